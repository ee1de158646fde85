/**
 * Every refusal of the frontend, met by a client: its id stands in the field for a routine's
 * name, beside the SQLSTATE and the hint of the catalogue.
 */
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { createLog } from "../../base/log.ts";
import { ERRORS } from "../../base/sql-error.ts";
import type { ErrorDefinition, ErrorId } from "../../base/sql-error.ts";
import type { AuthenticationPolicy } from "../../proxy/frontend/authentication.ts";
import type { ListenerOptions } from "../../proxy/frontend/listener.ts";
import { FrameReader } from "../../proxy/protocol/frame-reader.ts";
import type { Frame } from "../../proxy/protocol/frame-reader.ts";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
import { encodePassword } from "../../proxy/protocol/frontend/password.ts";
import { encodeSaslInitialResponse } from "../../proxy/protocol/frontend/sasl-initial-response.ts";
import { encodeStartup } from "../../proxy/protocol/startup.ts";
import { errorsIn, listening, makeCertificate, RawClient, usersOf } from "./listening.ts";
import type { Certificate } from "./listening.ts";

const STARTUP = encodeToBuffer(encodeStartup, {
  kind: "startup",
  major: 3,
  minor: 0,
  parameters: new Map([["user", "u"]]),
});
let certificate: Certificate;

beforeAll(async () => {
  certificate = await makeCertificate();
});

interface Refusal {
  readonly id: ErrorId;
  readonly when: string;
  readonly options?: () => Partial<ListenerOptions>;
  /** What the server says until it closes. */
  readonly meet: (port: number) => Promise<readonly Frame[]>;
}

const asked = (method: "password" | "md5" | "scram-sha-256"): AuthenticationPolicy => ({
  method,
  users: usersOf({ u: "p" }),
});

/** Sends each buffer when something has come back on the one before. */
const saying =
  (...words: readonly Buffer[]) =>
  async (port: number): Promise<readonly Frame[]> => {
    using client = new RawClient(port);
    const heard: Frame[] = [];
    for (const [index, bytes] of words.entries()) {
      if (index > 0) {
        const frame = await client.frame();
        if (frame !== undefined) heard.push(frame);
      }
      client.send(bytes);
    }
    return [...heard, ...(await client.rest())];
  };

const startingWith = (parameters: Readonly<Record<string, string>>) =>
  saying(
    encodeToBuffer(encodeStartup, {
      kind: "startup",
      major: 3,
      minor: 0,
      parameters: new Map(Object.entries(parameters)),
    }),
  );

/** Over TLS, a client that says it could bind but was not offered to. */
async function bindingTakenAway(port: number): Promise<readonly Frame[]> {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    rejectUnauthorized: false,
    ALPNProtocols: ["postgresql"],
  });
  const reader = new FrameReader(1024);
  socket.on("data", (bytes: Buffer) => reader.append(bytes));
  socket.write(STARTUP);
  socket.write(
    encodeToBuffer(encodeSaslInitialResponse, {
      kind: "saslInitialResponse",
      mechanism: "SCRAM-SHA-256",
      data: Buffer.from("y,,n=,r=nonce"),
    }),
  );
  await once(socket, "end");
  socket.destroy();
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

const REFUSALS: readonly Refusal[] = [
  {
    id: "protocol_violation",
    when: "a frame that is shorter than its own length",
    meet: saying(STARTUP, Buffer.from("5100000003", "hex")),
  },
  {
    id: "invalid_byte_sequence",
    when: "a user's name that is no UTF-8",
    meet: saying(Buffer.from("00000011000300007573657200fffe0000", "hex")),
  },
  {
    id: "protocol_version_not_supported",
    when: "protocol 2.0",
    meet: saying(Buffer.from("000000090002000000", "hex")),
  },
  {
    id: "replication_not_supported",
    when: "a logical replication connection",
    meet: startingWith({ user: "u", replication: "database" }),
  },
  {
    id: "startup_user_missing",
    when: "no user",
    meet: startingWith({ database: "d" }),
  },
  {
    id: "startup_option_not_supported",
    when: "a switch of the server's own",
    meet: startingWith({ user: "u", options: "-d 5" }),
  },
  {
    id: "tls_required",
    when: "TLS is required of every client",
    options: () => ({ tls: { ...certificate, isRequired: true } }),
    meet: saying(STARTUP),
  },
  {
    id: "tls_required",
    when: "the password would go in clear text",
    options: () => ({ authentication: asked("password") }),
    meet: saying(STARTUP),
  },
  {
    id: "too_many_clients",
    when: "one client more than there may be",
    options: () => ({ clientsMax: 1 }),
    async meet(port) {
      using first = new RawClient(port);
      first.send(STARTUP);
      await first.frame();
      return await saying(STARTUP)(port);
    },
  },
  {
    id: "authentication_timeout",
    when: "a password that does not come",
    options: () => ({ authentication: asked("scram-sha-256"), authenticationTimeoutMs: 100 }),
    meet: saying(STARTUP),
  },
  {
    id: "password_authentication_failed",
    when: "a wrong password",
    options: () => ({ authentication: asked("md5") }),
    meet: saying(
      STARTUP,
      encodeToBuffer(encodePassword, { kind: "password", password: Buffer.from("md5wrong") }),
    ),
  },
  {
    id: "channel_binding_failed",
    when: "somebody in between took SCRAM-SHA-256-PLUS away",
    options: () => ({
      authentication: asked("scram-sha-256"),
      tls: { ...certificate, isRequired: true },
    }),
    meet: bindingTakenAway,
  },
];

test.each(REFUSALS)("$id: $when", async ({ id, options, meet }) => {
  await using server = await listening(options?.());
  const errors = errorsIn(await meet(server.port));
  const { sqlstate, hint }: ErrorDefinition = ERRORS[id];
  expect(errors.map(({ S, R, C, H }) => ({ S, R, C, H }))).toEqual([
    { S: "FATAL", R: id, C: sqlstate, H: hint },
  ]);
  await expect.poll(() => server.listener.clientCount).toBe(0);
});

test("a refused client is one line of the log: its id, SQLSTATE and reason, without a stack", async () => {
  const lines: string[] = [];
  const log = createLog("info", { write: (line: string) => void lines.push(line) });
  await using server = await listening({
    log,
    authentication: { method: "password", users: usersOf({ u: "p" }) },
    tls: { ...certificate, isRequired: true },
  });
  using plain = new RawClient(server.port);
  plain.startup({ user: "u" });
  await plain.rest();
  using broken = new RawClient(server.port);
  broken.send(Buffer.from("0000000400030000", "hex"));
  await broken.rest();
  const [tls, violation] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const common = { level: "info", msg: "client refused", client: expect.any(String) as string };
  expect(tls).toMatchObject({ ...common, id: "tls_required", sqlstate: "28000" });
  expect(violation).toMatchObject({ ...common, id: "protocol_violation", sqlstate: "08P01" });
  expect(violation?.["reason"]).toEqual(expect.any(String));
  expect(lines.join("")).not.toContain("    at ");
  expect(lines).toHaveLength(2);
});
