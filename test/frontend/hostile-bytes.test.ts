/** What no client means to send: random bytes, wrong lengths, resets. Others never notice. */
import { once } from "node:events";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
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

describe("hostile bytes", () => {
  test("random bytes instead of start-up: one error at most, then closed; others go on", async () => {
    await using server = await listening({
      authenticationTimeoutMs: 300,
      tls: { ...certificate, isRequired: false },
    });
    using bystander = new RawClient(server.port);
    bystander.startup({ user: "u" });
    await ask(bystander, "before");
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        using client = new RawClient(server.port);
        client.socket.removeAllListeners("data");
        client.socket.end(Buffer.from(bytes));
        client.socket.resume();
        if (!client.isClosed) await once(client.socket, "end");
      }),
      { numRuns: 100 },
    );
    expect((await ask(bystander, "after")).sql).toBe("after");
    await expect.poll(() => server.listener.clientCount).toBe(1);
  });

  test.each([
    ["a password message of 2 GB", "707fffffff"],
    ["a length below four", "7000000003"],
    ["a query before authentication", "51000000057800"],
    ["an unknown mechanism", "700000000d53435241 4d00ffffffff"],
    ["rubbish as SASL", "7000000008ffffffff"],
  ])("%s", async (_name, hex) => {
    await using server = await listening({
      authentication: { method: "scram-sha-256", users: usersOf({ u: "p" }) },
    });
    using client = new RawClient(server.port);
    client.startup({ user: "u" });
    await client.frame();
    client.send(Buffer.from(hex.replaceAll(" ", ""), "hex"));
    const [error, ...more] = errorTexts(await client.rest());
    expect(error).toMatch(/^FATAL 08P01 /);
    expect(more).toEqual([]);
    expect(server.host.failures).toEqual([]);
  });

  test("random bytes of an authenticated client: a violation, and closed", async () => {
    await using server = await listening();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 5, maxLength: 200 }), async (bytes) => {
        using client = new RawClient(server.port);
        client.startup({ user: "u" });
        client.socket.end(Buffer.from(bytes));
        const errors = errorTexts(await client.rest());
        expect(errors.filter((each) => !/^FATAL (08P01|22021) /.test(each))).toEqual([]);
      }),
      { numRuns: 100 },
    );
    await expect.poll(() => server.host.clients.size).toBe(0);
    await expect.poll(() => server.listener.clientCount).toBe(0);
  });

  test("a reset in the middle of a session ends that session and nothing else", async () => {
    await using server = await listening();
    using bystander = new RawClient(server.port);
    bystander.startup({ user: "b" });
    await ask(bystander, "before");
    using client = new RawClient(server.port);
    client.startup({ user: "u" });
    await ask(client, "x");
    client.socket.resetAndDestroy();
    await expect.poll(() => server.listener.clientCount).toBe(1);
    expect((await ask(bystander, "after")).sql).toBe("after");
    expect(server.host.failures).toEqual([]);
  });

  test("clients that vanish at any moment leave nothing behind", async () => {
    await using server = await listening({
      authentication: { method: "scram-sha-256", users: usersOf({ u: "p" }) },
      tls: { ...certificate, isRequired: false },
    });
    const bytes = Buffer.concat([
      encodeToBuffer(encodeStartup, { kind: "gssencRequest" }),
      encodeToBuffer(encodeStartup, startupOf("u")),
      Buffer.from("700000003653435241", "hex"),
    ]);
    for (let length = 0; length <= bytes.length; length++) {
      using client = new RawClient(server.port);
      client.send(bytes.subarray(0, length));
      await once(client.socket, "connect");
      if (length % 2 === 0) client.socket.resetAndDestroy();
    }
    await expect.poll(() => server.listener.clientCount).toBe(0);
  });
});
