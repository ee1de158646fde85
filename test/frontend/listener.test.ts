import { once } from "node:events";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeBackendKeyData } from "../../proxy/protocol/backend/backend-key-data.ts";
import { decodeNegotiateProtocolVersion } from "../../proxy/protocol/backend/negotiate-protocol-version.ts";
import type { Frame } from "../../proxy/protocol/frame-reader.ts";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../../proxy/protocol/message-type.ts";
import { encodeStartup } from "../../proxy/protocol/startup.ts";
import {
  ask,
  errorTexts,
  listening,
  makeCertificate,
  RawClient,
  startupOf,
  usersOf,
} from "./listening.ts";
import type { Certificate } from "./listening.ts";

let certificate: Certificate;

beforeAll(async () => {
  certificate = await makeCertificate();
});

function typesOf(frames: readonly Frame[]): string {
  return frames.map(({ type }) => String.fromCharCode(type)).join("");
}

describe("start-up", () => {
  test("user, database and settings reach the session", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.startup({
      user: "u",
      DateStyle: "ISO",
      options: "-c search_path=a --Statement-Timeout=5 -c datestyle=German",
    });
    expect(await ask(client, "x")).toMatchObject({
      user: "u",
      database: "u",
      settings: { datestyle: "ISO", search_path: "a", statement_timeout: "5" },
      secretKeyBytes: 4,
    });
  });

  test("protocol 3.2 gives a cancel key of 32 bytes, and a newer one is talked down to it", async () => {
    await using server = await listening();
    for (const [minor, types] of [
      [2, "RSSKZ"],
      [9, "vRSSKZ"],
    ] as const) {
      using client = new RawClient(server.port);
      client.startup({ user: "u" }, minor);
      const frames: Frame[] = [];
      while (frames.length < types.length) {
        const frame = await client.frame();
        if (frame === undefined) break;
        frames.push(frame);
      }
      expect(typesOf(frames)).toBe(types);
      const key = frames.find(({ type }) => type === BACKEND_TYPE.backendKeyData);
      expect(key && decodeBackendKeyData(key.body).secretKey.length).toBe(32);
    }
  });

  test("unknown protocol extensions are named, and the connection goes on", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.startup({ user: "u", "_pq_.future": "1" });
    const frame = await client.frame();
    expect(frame && decodeNegotiateProtocolVersion(frame.body)).toMatchObject({
      major: 3,
      minor: 0,
      unrecognizedParameters: ["_pq_.future"],
    });
    expect((await ask(client, "x")).settings).toEqual({});
  });

  test("GSSAPI encryption and TLS are declined where there are none, and start-up goes on", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.socket.removeAllListeners("data");
    client.packet({ kind: "gssencRequest" });
    expect(String(await once(client.socket, "data"))).toBe("N");
    client.packet({ kind: "sslRequest" });
    expect(String(await once(client.socket, "data"))).toBe("N");
    client.startup({ user: "u" });
    const [bytes] = (await once(client.socket, "data")) as [Buffer];
    expect(bytes[0]).toBe(BACKEND_TYPE.authentication);
  });

  test("a cancel request reaches the sessions and is answered by closing", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    const secretKey = Buffer.from("deadbeef", "hex");
    client.packet({ kind: "cancelRequest", processId: 77, secretKey });
    expect(await client.rest()).toEqual([]);
    expect(server.host.cancelled).toEqual([{ processId: 77, secretKey }]);
  });

  test.each([
    [{ database: "d" }, "FATAL 28000 no PostgreSQL user name specified in startup packet"],
    [{ user: "u", replication: "true" }, "FATAL 0A000 replication connections are not supported"],
    [
      { user: "u", replication: "database" },
      "FATAL 0A000 replication connections are not supported",
    ],
    [
      { user: "u", options: "-d 5" },
      "FATAL 42601 invalid command-line argument for server process: -d",
    ],
  ])("%j is refused", async (parameters, error) => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.startup(parameters);
    expect(errorTexts(await client.rest())).toEqual([error]);
    expect(server.host.clients.size).toBe(0);
  });

  test("replication=off is a client like any other", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.startup({ user: "u", replication: "off" });
    expect((await ask(client, "x")).user).toBe("u");
  });

  test("another major version", async () => {
    await using server = await listening();
    using client = new RawClient(server.port);
    client.send(Buffer.from("0000000900020000 00".replaceAll(" ", ""), "hex"));
    expect(errorTexts(await client.rest())).toEqual([
      "FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2",
    ]);
  });
});

describe("the bound on clients", () => {
  test("one more is told so; a place is free again when a client has left", async () => {
    await using server = await listening({ clientsMax: 2 });
    using first = new RawClient(server.port);
    using second = new RawClient(server.port);
    for (const client of [first, second]) {
      client.startup({ user: "u" });
      await ask(client, "x");
    }
    using third = new RawClient(server.port);
    third.startup({ user: "u" });
    expect(errorTexts(await third.rest())).toEqual(["FATAL 53300 sorry, too many clients already"]);

    first.socket.end(Buffer.from("5800000004", "hex"));
    await first.rest();
    await expect.poll(() => server.listener.clientCount).toBe(1);
    using fourth = new RawClient(server.port);
    fourth.startup({ user: "u" });
    expect((await ask(fourth, "x")).user).toBe("u");
  });

  test("a cancel request needs no place", async () => {
    await using server = await listening({ clientsMax: 1 });
    using only = new RawClient(server.port);
    only.startup({ user: "u" });
    await ask(only, "x");
    using canceller = new RawClient(server.port);
    canceller.packet({ kind: "cancelRequest", processId: 1, secretKey: Buffer.alloc(4) });
    await canceller.rest();
    expect(server.host.cancelled.length).toBe(1);
  });
});

describe("the deadline", () => {
  test.each([
    ["says nothing", Buffer.alloc(0)],
    ["sends half a length", Buffer.from([0, 0])],
    ["sends half a packet", Buffer.from("0000001000030000", "hex")],
    ["asks for TLS and then is silent", Buffer.from("0000000804d2162f", "hex")],
  ])("who %s is cut off", async (_name, bytes) => {
    await using server = await listening({
      authenticationTimeoutMs: 100,
      tls: { ...certificate, isRequired: false },
    });
    using client = new RawClient(server.port);
    client.send(bytes);
    const closed = once(client.socket, "end");
    client.socket.removeAllListeners("data");
    client.socket.resume();
    await closed;
  });

  test("who dawdles with its password is told, and cut off", async () => {
    await using server = await listening({
      authenticationTimeoutMs: 100,
      authentication: { method: "scram-sha-256", users: usersOf({ u: "p" }) },
    });
    using client = new RawClient(server.port);
    client.startup({ user: "u" });
    expect(errorTexts(await client.rest())).toEqual([
      "FATAL 57014 canceling authentication due to timeout",
    ]);
    await expect.poll(() => server.listener.clientCount).toBe(0);
  });

  test("who is in has no deadline", async () => {
    await using server = await listening({ authenticationTimeoutMs: 50 });
    using client = new RawClient(server.port);
    client.startup({ user: "u" });
    await ask(client, "x");
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect((await ask(client, "y")).sql).toBe("y");
  });
});

describe("TLS", () => {
  async function upgrade(port: number, options: ConnectionOptions): Promise<TLSSocket> {
    const raw = connect({ host: "127.0.0.1", port });
    raw.write(encodeToBuffer(encodeStartup, { kind: "sslRequest" }));
    const [answer] = (await once(raw, "data")) as [Buffer];
    expect(String(answer)).toBe("S");
    const socket = connectTls({ socket: raw, rejectUnauthorized: false, ...options });
    await once(socket, "secureConnect");
    return socket;
  }

  test.each(["TLSv1.2", "TLSv1.3"] as const)("%s", async (version) => {
    await using server = await listening({ tls: { ...certificate, isRequired: true } });
    const socket = await upgrade(server.port, { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.write(encodeToBuffer(encodeStartup, startupOf("u")));
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(bytes[0]).toBe(BACKEND_TYPE.authentication);
    socket.destroy();
    await expect.poll(() => server.listener.clientCount).toBe(0);
  });

  test("TLS 1.1 is refused", async () => {
    await using server = await listening({ tls: { ...certificate, isRequired: true } });
    const versions = { minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    await expect(
      upgrade(server.port, { ...versions, ciphers: "DEFAULT@SECLEVEL=0" }),
    ).rejects.toThrow(/protocol version|EPROTO|ECONNRESET/);
  });

  test("TLS at once, with ALPN, as libpq's sslnegotiation=direct", async () => {
    await using server = await listening({ tls: { ...certificate, isRequired: true } });
    const options = { host: "127.0.0.1", port: server.port, rejectUnauthorized: false };
    const socket = connectTls({ ...options, ALPNProtocols: ["postgresql"] });
    socket.write(encodeToBuffer(encodeStartup, startupOf("u")));
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(bytes[0]).toBe(BACKEND_TYPE.authentication);
    socket.destroy();

    const without = connectTls(options);
    without.write(encodeToBuffer(encodeStartup, startupOf("u")));
    const [refusal] = (await once(without, "data")) as [Buffer];
    expect(String(refusal)).toContain("without ALPN protocol negotiation extension");
    without.destroy();
  });

  test("a cancel request is answered by TLS's own end, or libpq takes it for failed", async () => {
    await using server = await listening({ tls: { ...certificate, isRequired: true } });
    const raw = connect({ host: "127.0.0.1", port: server.port });
    const received: Buffer[] = [];
    const tapped = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => raw.write(chunk, done),
    });
    raw.on("data", (chunk: Buffer) => {
      received.push(chunk);
      tapped.push(chunk);
    });
    // In TLS 1.3 an alert cannot be told from data.
    const options = { maxVersion: "TLSv1.2", ALPNProtocols: ["postgresql"] } as const;
    const socket = connectTls({ socket: tapped, rejectUnauthorized: false, ...options });
    const secretKey = Buffer.from("deadbeef", "hex");
    const request = { kind: "cancelRequest", processId: 77, secretKey } as const;
    socket.write(encodeToBuffer(encodeStartup, request));
    await once(raw, "end");
    expect(recordTypes(Buffer.concat(received)).at(-1)).toBe(TLS_ALERT);
    expect(server.host.cancelled).toEqual([{ processId: 77, secretKey }]);
    socket.destroy();
    raw.destroy();
  });

  test("clear text sent along with the request is not taken for encrypted (CVE-2021-23222)", async () => {
    await using server = await listening({ tls: { ...certificate, isRequired: false } });
    using client = new RawClient(server.port);
    const request = encodeToBuffer(encodeStartup, { kind: "sslRequest" });
    client.send(Buffer.concat([request, encodeToBuffer(encodeStartup, startupOf("u"))]));
    expect(errorTexts(await client.rest())).toEqual([
      "FATAL 08P01 received unencrypted data after SSL request",
    ]);
    expect(server.host.clients.size).toBe(0);
  });

  test("required, and not asked for", async () => {
    await using server = await listening({ tls: { ...certificate, isRequired: true } });
    using client = new RawClient(server.port);
    client.startup({ user: "u" });
    expect(errorTexts(await client.rest())).toEqual([
      'FATAL 28000 connection of user "u" requires TLS',
    ]);
  });

  test("a certificate without its key fails the listener, not the clients", async () => {
    const other = await makeCertificate();
    await expect(
      listening({ tls: { cert: certificate.cert, key: other.key, isRequired: false } }),
    ).rejects.toThrow(/key values mismatch/);
  });
});

const TLS_ALERT = 21;

/** A TLS record begins with its type, two bytes of version and two of length. */
function recordTypes(bytes: Buffer): readonly number[] {
  const types: number[] = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) {
    types.push(bytes.readUInt8(at));
  }
  return types;
}
