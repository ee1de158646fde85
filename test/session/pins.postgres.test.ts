/** When a session's own backend is given back, how many there may be, and what becomes of a session that loses its own. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ClientReport } from "../../proxy/session/client-report.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const POOL_SIZE = 4;

let servers: Servers;
beforeAll(async () => {
  servers = await startServers({ config: { pool: { size: POOL_SIZE } } });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

async function connect(): Promise<Client & AsyncDisposable> {
  const client = new Client({
    host: "127.0.0.1",
    port: servers.proxy.port,
    user: "postgres",
    database: "app",
  });
  client.on("error", () => undefined);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

async function clients(): Promise<readonly ClientReport[]> {
  const answer = await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/clients`);
  return (await answer.json()) as readonly ClientReport[];
}

async function pinned(): Promise<readonly string[]> {
  return (await clients()).flatMap((client) => client.pinned).toSorted();
}

test("the reasons are told, and end with what they stand for", async () => {
  await using client = await connect();
  expect(await clients()).toMatchObject([{ user: "postgres", state: "idle", pinned: [] }]);
  await client.query("SELECT pg_advisory_lock(1)");
  await client.query("CREATE TEMP TABLE t (a int)");
  expect(await pinned()).toEqual(["advisory lock", "temporary object"]);
  await client.query("SELECT pg_advisory_unlock(1)");
  expect(await pinned()).toEqual(["temporary object"]);
  await client.query("BEGIN; DROP TABLE t");
  expect(await clients()).toMatchObject([{ state: "idle in transaction" }]);
  await client.query("ROLLBACK");
  expect(await pinned()).toEqual(["temporary object"]);
  await client.query("DROP TABLE t");
  expect(await pinned()).toEqual([]);
  await client.query("SELECT pg_try_advisory_lock(1)");
  await client.query("DISCARD ALL");
  expect(await pinned()).toEqual([]);
});

test("half of a pool may be pinned", async () => {
  await using first = await connect();
  await using second = await connect();
  await using third = await connect();
  await first.query("SELECT pg_advisory_lock(1)");
  await second.query("CREATE TEMP TABLE t (a int)");
  await expect(third.query("SELECT pg_advisory_lock(3)")).rejects.toMatchObject({
    code: "53300",
    routine: "pinned_backends_exhausted",
  });
  await expect(third.query("CREATE TEMP TABLE t (a int)")).rejects.toMatchObject({ code: "53300" });
  // Everybody else is served.
  expect((await third.query("SELECT count(*)::int AS n FROM accounts")).rows).toEqual([{ n: 4 }]);
  await first.query("SELECT pg_advisory_unlock(1)");
  await third.query("SELECT pg_advisory_lock(3)");
});

test("a session that leaves, whatever it does, leaves nothing behind", async () => {
  await using next = await connect();
  const { connection } = (await connect().then(async (client) => {
    await client.query("CREATE TEMP TABLE accounts (id int)");
    await client.query("SELECT pg_advisory_lock(7)");
    void client.query("SELECT pg_sleep(10)").catch(() => undefined);
    await sleep(50);
    return client;
  })) as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
  await expect
    .poll(async () => (await next.query("SELECT pg_try_advisory_lock(7) AS is")).rows, {
      timeout: 9_000,
    })
    .toEqual([{ is: true }]);
  expect((await next.query("SELECT count(*)::int AS n FROM accounts")).rows).toEqual([{ n: 4 }]);
});

test("a session whose own backend is lost ends, and others go on", async () => {
  await using other = await connect();
  await using client = await connect();
  const lost = new Promise<Error>((resolve) => client.once("error", resolve));
  await client.query("SELECT pg_advisory_lock(1)");
  await servers.first.query(
    "main",
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
  );
  expect(await lost).toMatchObject({ code: "57P01", routine: "pinned_backend_lost" });
  expect((await other.query("SELECT count(*)::int AS n FROM accounts")).rows).toEqual([{ n: 4 }]);
  expect(await pinned()).toEqual([]);
});

test("a deadlock of a session's lock and a row of another database is broken", async () => {
  await using first = await connect();
  await using second = await connect();
  await first.query("SELECT pg_advisory_lock(1)");
  await second.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 1");
  const code = (error: { code?: string }): string | undefined => error.code;
  const update = first.query("UPDATE accounts SET balance = 2 WHERE id = 1").then(() => "", code);
  const lock = second.query("SELECT pg_advisory_lock(1)").then(() => "granted", code);
  // The younger one is the victim. Its lock is the session's, and outlasts the statement.
  expect(await update).toBe("40P01");
  await first.query("SELECT pg_advisory_unlock(1)");
  expect(await lock).toBe("granted");
});

test("a value that a database may have drawn is not told", async () => {
  await using client = await connect();
  await client.query("CREATE SEQUENCE IF NOT EXISTS seen");
  await expect(client.query("SELECT lastval()")).rejects.toMatchObject({
    code: "55000",
    routine: "sequence_value_undefined",
  });
  await client.query("SELECT nextval('seen')");
  await client.query("INSERT INTO notes VALUES (1, 'x')");
  await expect(client.query("SELECT currval('seen')")).rejects.toMatchObject({
    code: "0A000",
    routine: "sequence_value_unknown",
  });
});
