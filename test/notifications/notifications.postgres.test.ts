/**
 * LISTEN and NOTIFY between clients of several proxies: one backend listens for all of a
 * proxy's clients, and whatever becomes of it, nobody misses a notification without being told.
 */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { ConnectionLost, RawClient } from "../support/raw-client.ts";
import { readCstrings, readFields } from "../support/raw-frames.ts";
import { line } from "../session/conversation.ts";
import { startServers } from "../session/servers.ts";
import type { Servers } from "../session/servers.ts";

let servers: Servers;
let other: TestProxy;
const clients: RawClient[] = [];

beforeAll(async () => {
  servers = await startServers({ config: { pool: { size: 2 } } });
  other = await startTestProxy(servers.map, { config: { pool: { size: 2 } } });
});
afterAll(async () => {
  await other.stop();
  await servers[Symbol.asyncDispose]();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

async function connect(proxy: TestProxy = servers.proxy): Promise<RawClient> {
  const client = await proxy.connect();
  clients.push(client);
  return client;
}

/** The next message, whatever it is, as a line. */
const next = async (client: RawClient): Promise<string> => line(await client.receive());

const listeners = async (): Promise<number> => {
  const { rows } = await servers.first.query(
    "main",
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'colonnade notifications'",
  );
  return rows.length;
};

describe("notifications", () => {
  test("reach clients of every proxy, idle ones at once", async () => {
    const [first, second, sender] = [await connect(), await connect(other), await connect(other)];
    await first.query("LISTEN news");
    await second.query('LISTEN "news"');
    await sender.query("NOTIFY news, 'hello'");
    for (const client of [first, second])
      expect(await next(client)).toBe("NotificationResponse news hello");
    const direct = await servers.first.connect("main");
    await direct.query("NOTIFY news, 'from PostgreSQL itself'");
    await direct.end();
    for (const client of [first, second])
      expect(await next(client)).toBe("NotificationResponse news from PostgreSQL itself");
  });

  test("carry the process that notified", async () => {
    const listener = await connect();
    await listener.query("LISTEN news");
    const direct = await servers.first.connect("main");
    const { rows } = await direct.query("SELECT pg_backend_pid() AS pid");
    await direct.query("NOTIFY news");
    const { type, body } = await listener.receive();
    expect([type, body.readInt32BE(0)]).toEqual(["A", rows[0]?.pid]);
    expect(readCstrings(body.subarray(4))).toEqual(["news", ""]);
    await direct.end();
  });

  test("wait for the end of a transaction, also of a failed one", async () => {
    const [listener, sender] = [await connect(), await connect()];
    await listener.query("LISTEN news");
    await listener.query("BEGIN");
    await sender.query("NOTIFY news, '1'");
    await sleep(200);
    expect(await listener.query("SELECT 1")).toEqual([["1"]]);
    await listener.query("SELECT 1/0").catch(() => undefined);
    await sender.query("NOTIFY news, '2'");
    await sleep(200);
    const { messages } = await listener.exchange(Buffer.from("Q\0\0\0\rROLLBACK\0", "latin1"));
    expect(messages.map(line)).toEqual([
      "CommandComplete ROLLBACK",
      "NotificationResponse news 1",
      "NotificationResponse news 2",
      "ReadyForQuery I",
    ]);
  });

  test("of what is rolled back never come, of what is not LISTENed to neither", async () => {
    const [listener, sender] = [await connect(), await connect(other)];
    await listener.query("LISTEN news");
    await listener.query("BEGIN; LISTEN undone; ROLLBACK");
    await sender.query("BEGIN; NOTIFY news, 'undone'; ROLLBACK");
    await sender.query("NOTIFY undone");
    await sender.query("NOTIFY news, 'last'");
    expect(await next(listener)).toBe("NotificationResponse news last");
  });

  test("sent after the answer to LISTEN are never missed", async () => {
    const sender = await connect(other);
    for (let round = 0; round < 30; round++) {
      const listener = await connect();
      await listener.query(`LISTEN round_${round}`);
      await sender.query(`NOTIFY round_${round}`);
      expect(await next(listener)).toBe(`NotificationResponse round_${round} `);
      await listener.close();
    }
  });

  test("for 200 clients take one backend, which others keep using when one goes", async () => {
    const many = await Promise.all(Array.from({ length: 200 }, () => connect()));
    await Promise.all(
      many.map((client, index) => client.query(`LISTEN all_of_us; LISTEN c${index}`)),
    );
    const sender = await connect(other);
    await sender.query("NOTIFY all_of_us, 'x'");
    for (const client of many) expect(await next(client)).toBe("NotificationResponse all_of_us x");
    expect(await listeners()).toBeLessThanOrEqual(2);
    for (const client of many.slice(1)) client.destroy();
    await sender.query("NOTIFY all_of_us, 'y'; NOTIFY c1");
    const [left] = many;
    if (left === undefined) throw new Error("no client");
    expect(await next(left)).toBe("NotificationResponse all_of_us y");
  });
});

describe("a client that does not read", () => {
  /** 2.8 MB: fewer than may wait unread, so that one alone sends nobody away who reads. */
  const FLOOD_COUNT = 400;
  const flood = `SELECT pg_notify('flood', '${"x".repeat(7_000)}' || n) FROM generate_series(1, ${FLOOD_COUNT}) n`;

  test("is sent away, and the others are served", async () => {
    const socket = net.connect({ host: servers.proxy.host, port: servers.proxy.port });
    await once(socket, "connect");
    const deaf = new RawClient(socket);
    clients.push(deaf);
    await deaf.start({ user: "postgres", database: "app" });
    const [listener, sender] = [await connect(), await connect()];
    await deaf.query("LISTEN flood");
    await listener.query("LISTEN flood");
    socket.pause();
    for (let round = 1; round <= 8; round++) {
      await sender.query(flood);
      for (let count = 0; count < FLOOD_COUNT; count++)
        expect((await listener.receive()).type).toBe("A");
    }
    await expect
      .poll(async () => (await metrics(servers.proxy)).clients, { timeout: 15_000 })
      .toBe(2);
  });

  test("or stays in a transaction too long, is told why", async () => {
    const [listener, sender] = [await connect(), await connect()];
    await listener.query("LISTEN flood");
    await listener.query("BEGIN");
    await sender.query(flood);
    await sender.query(flood);
    const { type, body } = await listener.receive();
    expect([type, readFields(body)]).toMatchObject([
      "E",
      {
        S: "FATAL",
        C: "54000",
        R: "notifications_unread",
        M: expect.stringContaining("too many notifications"),
      },
    ]);
    expect(await sender.query("SELECT 1")).toEqual([["1"]]);
  });
});

test("a client may listen to so many channels", async () => {
  const client = await connect();
  const listen = (from: number, to: number) =>
    client.query(
      Array.from({ length: to - from }, (_, index) => `LISTEN c${from + index}`).join("; "),
    );
  for (let from = 0; from < 10_000; from += 2_500) await listen(from, from + 2_500);
  // too_many_channels
  await expect(client.query("LISTEN one_more")).rejects.toMatchObject({ fields: { C: "54000" } });
  await (await connect(other)).query("NOTIFY c9999");
  expect(await next(client)).toBe("NotificationResponse c9999 ");
});

test.each([
  "SELECT * FROM pg_listening_channels() WITH ORDINALITY",
  "SELECT pg_listening_channels/**/()",
  "INSERT INTO notes SELECT 1, pg_listening_channels()",
  "COPY (SELECT pg_listening_channels()) TO STDOUT",
  "EXPLAIN SELECT pg_listening_channels()",
  "BEGIN; DECLARE c CURSOR FOR SELECT pg_listening_channels()",
  "CREATE TABLE kept AS SELECT pg_listening_channels()",
])("%s would tell of a backend that listens to nothing, and is refused", async (sql) => {
  const client = await connect();
  await client.query("LISTEN news");
  await expect(client.query(sql)).rejects.toMatchObject({ fields: { C: "0A000" } });
});

describe("a transaction that notifies", () => {
  test("from a trigger that the proxy knows nothing of commits last", async () => {
    await servers.first.query(
      "main",
      `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_notify('notes', NEW.id::text); RETURN NEW; END $$;
       CREATE TRIGGER tell AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION tell()`,
    );
    const [listener, sender] = [await connect(), await connect(other)];
    await listener.query("LISTEN notes");
    await sender.query(
      `BEGIN; INSERT INTO notes VALUES (7001, 'a');
       INSERT INTO accounts VALUES (7, 'x', 1), (107, 'y', 1)`,
    );
    await sender.query("COMMIT");
    expect(await next(listener)).toBe("NotificationResponse notes 7001");
    expect(await sender.query("SELECT id FROM accounts WHERE id IN (7, 107) ORDER BY id")).toEqual([
      ["7"],
      ["107"],
    ]);
    await servers.first.query("main", "DROP FUNCTION tell() CASCADE");
  });
});

describe("a catalog database that is lost", () => {
  test("ends who listens, as their own connection would have ended, and is listened to again", async () => {
    const [listener, late] = [await connect(), await connect(other)];
    await listener.query("LISTEN news");
    await servers.first.kill9();
    const told = await listener.receive();
    expect(readFields(told.body)).toMatchObject({
      V: "FATAL",
      C: "57P01",
      R: "notifications_lost",
    });
    await expect(listener.receive()).rejects.toBeInstanceOf(ConnectionLost);
    await expect(late.query("LISTEN news")).rejects.toMatchObject({
      fields: { C: expect.stringMatching(/^(08|57)/) },
    });
    await servers.first.restart();
    await expect
      .poll(() => late.query("LISTEN news; NOTIFY news, 'again'").then(() => "sent"), {
        timeout: 15_000,
      })
      .toBe("sent");
    const again = await connect();
    await again.query("LISTEN news");
    await late.query("NOTIFY news, 'anew'");
    expect(await next(again)).toBe("NotificationResponse news anew");
  });

  test("nobody listens any more once nobody wants to", async () => {
    const listener = await connect();
    await listener.query("LISTEN news");
    expect(await listeners()).toBeGreaterThan(0);
    await listener.query("UNLISTEN *");
    await expect.poll(listeners, { timeout: 30_000, interval: 500 }).toBe(0);
    await listener.query("LISTEN news; NOTIFY news");
  });
});

async function metrics(proxy: TestProxy): Promise<{ clients: number }> {
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  return { clients: Number(/^colonnade_clients (\d+)$/m.exec(text)?.[1]) };
}
