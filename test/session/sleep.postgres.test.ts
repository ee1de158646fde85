/**
 * A session that does nothing is soon let go of, and made anew when its client goes on. What it was,
 * it is then still: scripts with rests between their messages are compared with a plain PostgreSQL.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SESSION_REVIEW_MS, SESSION_SHORT_REST_MS } from "../../base/limits.ts";
import type { RawClient } from "../support/raw-client.ts";
import { bind, execute, line, parse, query, run, sync } from "./conversation.ts";
import type { Said } from "./conversation.ts";
import { eventually, untilNothingIsHeld } from "./eventually.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

/** Long enough to fall asleep in, on a machine that is not too slow. */
const REST_MS = 4 * (SESSION_REVIEW_MS + SESSION_SHORT_REST_MS);

const CLIENTS = 300;
/** Socket and all; one that is awake has three times as much. */
const SLEEPING_BYTES_MAX = 4.5 * 1024;

let servers: Servers;
beforeAll(async () => {
  servers = await startServers({ config: { listen: { max_clients: 2 * CLIENTS } } });
  await servers.reset();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

/** What is said with a rest after each message. */
async function withRests(client: RawClient, script: readonly (Said | readonly Said[])[]) {
  const said = script.flat();
  const lines: string[] = [];
  for (const { bytes, isAnswered } of said) {
    client.write(bytes);
    if (isAnswered) lines.push(...(await client.untilReady()).messages.map(line));
    await sleep(REST_MS);
  }
  client.destroy();
  return lines;
}

const SCRIPTS: Readonly<Record<string, readonly (Said | readonly Said[])[]>> = {
  "a setting": [query("SET work_mem = '7MB'"), query("SHOW work_mem"), query("RESET work_mem")],
  "a setting of an extension": [query("SET my.own = 'x'"), query("SHOW my.own")],
  "what was set in a transaction": [
    query("BEGIN; SET LOCAL work_mem = '7MB'"),
    query("SHOW work_mem"),
    query("COMMIT"),
  ],
  "a transaction": [
    query("BEGIN; UPDATE accounts SET balance = 5 WHERE id = 1"),
    query("SELECT balance FROM accounts WHERE id = 1"),
    query("ROLLBACK"),
  ],
  "a transaction that has failed": [
    query("BEGIN; SELECT 1/0"),
    query("SELECT name FROM accounts WHERE id = 1"),
    query("COMMIT"),
  ],
  "a statement prepared by its name": [
    query("PREPARE s (bigint) AS SELECT name FROM accounts WHERE id = $1"),
    query("EXECUTE s (101)"),
    query("DEALLOCATE s"),
  ],
  "a statement prepared, bound and run by several messages": [
    parse("s", "SELECT name FROM accounts WHERE id = $1", [20]),
    bind("", "s", ["101"]),
    execute(),
    sync(),
  ],
  "the unnamed statement": [
    [parse("", "SELECT name FROM accounts WHERE id = $1", [20]), sync()],
    [bind("", "", ["2"]), execute(), sync()],
  ],
  "messages that are skipped after an error": [
    parse("", "SELECT nothing FROM nowhere"),
    parse("s", "SELECT 1"),
    sync(),
    query("EXECUTE s"),
  ],
  "a cursor that is held": [
    query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM accounts ORDER BY id; COMMIT"),
    query("FETCH 2 FROM c"),
    query("FETCH 2 FROM c"),
  ],
  "a temporary table": [
    query("CREATE TEMPORARY TABLE mine (n integer)"),
    query("INSERT INTO mine VALUES (1)"),
    query("SELECT n FROM mine"),
  ],
  "an advisory lock": [
    query("SELECT pg_advisory_lock(5)"),
    query("SELECT pg_advisory_unlock(5)"),
    query("SELECT pg_advisory_unlock(5)"),
  ],
  "what it listens to": [query("LISTEN news"), query("NOTIFY news, 'one'"), query("SELECT 1")],
  "a text that is run again": [
    run("SELECT name FROM accounts WHERE id = 1"),
    sync(),
    query("SELECT name FROM accounts WHERE id = 1"),
    query("SELECT name FROM accounts WHERE id = 2"),
  ],
};

describe("outlasts any rest", () => {
  test.concurrent.each(Object.entries(SCRIPTS))("%s", async (_, script) => {
    const [proxied, plain] = await Promise.all(
      [servers.proxy.connect(), servers.connectPlain()].map(async (client) =>
        withRests(await client, script),
      ),
    );
    expect(proxied).toEqual(plain);
  });
});

test("what the client was told of its settings is told again where it changes alone", async () => {
  const client = await servers.proxy.connect({ application_name: "first" });
  await sleep(REST_MS);
  const told = async (sql: string) =>
    (await client.exchange(query(sql).bytes)).messages
      .map(line)
      .filter((each) => each.startsWith("ParameterStatus"));
  expect(await told("SET application_name = 'second'")).toEqual([
    "ParameterStatus application_name=second",
  ]);
  await sleep(REST_MS);
  expect(await told("SET application_name = 'second'")).toEqual([]);
  client.destroy();
});

test("operators see a client that sleeps as one that is idle", async () => {
  const client = await servers.proxy.connect({ application_name: "sleeper" });
  await client.query("PREPARE s AS SELECT 1");
  await client.query("SELECT 1");
  await sleep(REST_MS);
  const clients = await (await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/clients`)).text();
  const found = JSON.parse(clients) as readonly Readonly<Record<string, unknown>>[];
  expect(found.find(({ id }) => id === client.processId)).toMatchObject({
    application_name: "sleeper",
    state: "idle",
    statements: 2,
    prepared_statements: 1,
  });
  client.destroy();
});

test("a client that leaves while its session sleeps leaves nothing behind", async () => {
  const count = async () =>
    /^colonnade_clients (\d+)$/m.exec(
      await (await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/metrics`)).text(),
    )?.[1];
  const before = await count();
  const clients = await Promise.all(Array.from({ length: 9 }, () => servers.proxy.connect()));
  await sleep(REST_MS);
  expect(await count()).toBe(String(Number(before) + 9));
  for (const [index, client] of clients.entries())
    if (index % 3 === 0) await client.close();
    else client.destroy();
  await eventually(async () => expect(await count()).toBe(before));
  await untilNothingIsHeld(servers);
});

test("a session that sleeps has hardly anything of its own", async () => {
  const connect = async () => {
    const clients: RawClient[] = [];
    for (let index = 0; index < CLIENTS; index += 1) {
      const client = await servers.proxy.connect();
      await client.query("SELECT 1");
      clients.push(client);
    }
    return clients;
  };
  // What the engine compiles and keeps for good is there after the first of them.
  for (const client of await connect()) await client.close();
  await sleep(REST_MS);
  const before = await servers.proxy.memory();
  const clients = await connect();
  await eventually(async () => {
    const { heapBytes } = await servers.proxy.memory();
    expect((heapBytes - before.heapBytes) / CLIENTS).toBeLessThan(SLEEPING_BYTES_MAX);
  });
  for (const client of clients) client.destroy();
});
