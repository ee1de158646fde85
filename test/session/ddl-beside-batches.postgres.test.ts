/**
 * Parse, Bind, Describe, Execute and Sync in one batch, as drivers send them, while the table
 * gets and loses a column: through the same proxy, through another, and past any. In PostgreSQL
 * the lock that Parse takes is held up to the Sync, so no such batch ever fails.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { readColumns, readFields, readRow } from "../support/raw-frames.ts";
import { bind, close, describe, execute, parse, query, sync } from "./conversation.ts";
import type { Said } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;
let other: TestProxy;
beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  other = await startTestProxy(servers.map);
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

const DURATION_MS = inFullRun(30_000, 1_500);

/** One placement, then gathers of both kinds, then writes of one and of several. */
const STATEMENTS: readonly (readonly [sql: string, value: string])[] = [
  ["SELECT * FROM accounts WHERE id = $1", "1"],
  ["SELECT * FROM accounts WHERE balance >= $1 ORDER BY id", "0"],
  ["SELECT *, row_number() OVER (ORDER BY balance) FROM accounts WHERE id > $1 ORDER BY id", "0"],
  ["UPDATE accounts SET name = name WHERE id = $1 RETURNING *", "1"],
  ["UPDATE accounts SET name = name WHERE balance >= $1 RETURNING *", "0"],
];

/** How a batch comes; `name`: of a statement that nobody has used yet. */
const BATCHES: readonly ((sql: string, value: string, name: string) => readonly Said[])[] = [
  (sql, value) => [parse("", sql), bind("", "", [value]), describe("P", ""), execute(), sync()],
  (sql, value, name) => [
    parse(name, sql),
    bind("", name, [value]),
    describe("P", ""),
    execute(),
    close("S", name),
    sync(),
  ],
  (sql, value) => [
    parse("", sql),
    bind("", "", [value]),
    describe("P", ""),
    execute("", 9),
    sync(),
  ],
];

const DEADLOCK = "40P01: deadlock detected";

/** The victim of a circle has changed nothing, and says it again. */
async function againAfterDeadlock(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if ((error as Error).message !== DEADLOCK) throw error;
    await againAfterDeadlock(run);
  }
}

const changeOf = async (run: (sql: string) => Promise<unknown>): Promise<void> => {
  await againAfterDeadlock(() => run("ALTER TABLE accounts ADD COLUMN zz integer DEFAULT 1"));
  await againAfterDeadlock(() => run("ALTER TABLE accounts DROP COLUMN zz"));
};

/** By hand, one database after the other. */
async function past(sql: string): Promise<void> {
  await servers.first.query("main", sql);
  await servers.second.query("east", sql);
  await servers.second.query("west", `${sql}; SET search_path = far; ${sql}`);
}

/** What is wrong with the answer; undefined for nothing. */
async function wrongOf(client: RawClient, said: readonly Said[]): Promise<string | undefined> {
  const { messages } = await client.exchange(Buffer.concat(said.map(({ bytes }) => bytes)));
  const failure = messages.find(({ type }) => type === "E");
  if (failure !== undefined) {
    const { C, M } = readFields(failure.body);
    return `${C} ${M}`;
  }
  const columns = messages.find(({ type }) => type === "T");
  const width = columns === undefined ? 0 : readColumns(columns.body).length;
  const rows = messages.filter(({ type }) => type === "D").map(({ body }) => readRow(body).length);
  return rows.length > 0 && rows.every((length) => length === width) ? undefined : "torn";
}

async function besideChanges(
  run: (sql: string) => Promise<unknown>,
  batches: typeof BATCHES,
  isInBlock: boolean,
): Promise<Readonly<Record<string, number>>> {
  const failures: Record<string, number> = {};
  const clients = await Promise.all([1, 2, 3].map(() => servers.proxy.connect()));
  const end = performance.now() + DURATION_MS;
  let [changes, count] = [0, 0];
  const isOn = (): boolean => performance.now() < end || changes < 2;
  const change = async (): Promise<void> => {
    for (; isOn(); changes += 1) await changeOf(run);
  };
  const work = async (client: RawClient, first: number): Promise<void> => {
    for (let round = first; isOn(); round += 1, count += 1) {
      const [sql, value] = STATEMENTS[round % STATEMENTS.length] as (typeof STATEMENTS)[number];
      const batch = batches[round % batches.length] as (typeof BATCHES)[number];
      if (isInBlock) await client.exchange(query("BEGIN").bytes);
      const wrong = await wrongOf(client, batch(sql, value, `s${round}`));
      if (isInBlock) await client.exchange(query("COMMIT").bytes);
      const key = `${sql}: ${wrong}`;
      if (wrong !== undefined) failures[key] = (failures[key] ?? 0) + 1;
    }
  };
  try {
    await Promise.all([change(), ...clients.map((client, index) => work(client, index * 2))]);
  } finally {
    for (const client of clients) client.destroy();
  }
  console.log(`${count} batches beside ${changes} pairs of changes`);
  return failures;
}

/**
 * A gather takes its locks database by database, and so does DDL: where they are a circle it is
 * broken, which the client of either may be told of. What is told of a plan may not reach it.
 */
function butDeadlocks(failures: Readonly<Record<string, number>>): readonly string[] {
  return Object.keys(failures).filter((failure) => !failure.endsWith(": 40P01 deadlock detected"));
}

test("columns that come and go through the same proxy", async () => {
  const owner = await servers.proxy.connect();
  const failures = await besideChanges((sql) => owner.query(sql), BATCHES, false);
  owner.destroy();
  expect(butDeadlocks(failures)).toEqual([]);
});

test("columns that come and go through another proxy", async () => {
  const owner = await other.connect();
  const failures = await besideChanges((sql) => owner.query(sql), BATCHES, false);
  owner.destroy();
  expect(butDeadlocks(failures)).toEqual([]);
});

test("columns that come and go past any proxy", async () => {
  expect(butDeadlocks(await besideChanges(past, BATCHES, false))).toEqual([]);
});

test("columns that come and go beside blocks", async () => {
  const owner = await servers.proxy.connect();
  const failures = await besideChanges((sql) => owner.query(sql), BATCHES, true);
  owner.destroy();
  expect(butDeadlocks(failures)).toEqual([]);
});
