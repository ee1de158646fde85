/**
 * Circles of waits over several databases, through a whole proxy: somebody must give way, it
 * must be one, and nobody who only waits may be disturbed.
 */
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";

const NAMES = ["a", "b", "c"] as const;
/** A list colocation: the key says the database. */
const KEYS = { a: 1, b: 2, c: 3 } as const;
type Name = (typeof NAMES)[number];
const POOL_SIZE = 6;

let first: TestPostgres;
let second: TestPostgres;
let proxy: TestProxy;

/** `a` alone on one server, `b` and `c` on another. */
function serverOf(name: Name): TestPostgres {
  return name === "a" ? first : second;
}

beforeAll(async () => {
  const settings = { max_prepared_transactions: "20", max_connections: "60" };
  first = await startPostgres({ databases: ["a"], settings });
  second = await startPostgres({ databases: ["b", "c"], settings });
  for (const name of NAMES) {
    const schema = name === "a" ? "public" : `at_${name}`;
    await serverOf(name).query(
      name,
      `${schema === "public" ? "" : `CREATE SCHEMA ${schema};`}
       CREATE TABLE ${schema}.accounts (place int, id int, balance int NOT NULL DEFAULT 0, PRIMARY KEY (place, id))`,
    );
  }
  proxy = await startTestProxy(
    `version: 1
catalog: a
databases:
${NAMES.map((name) => `  ${name}: { primary: "${serverOf(name).url(name)}" }`).join("\n")}
colocations:
  places:
    shard_key: integer
    function: list
    tables: { accounts: place }
    placements:
      - { values: [1], database: a }
      - { values: [2], database: b, schema: at_b }
      - { values: [3], database: c, schema: at_c }
`,
    { config: { pool: { size: POOL_SIZE } } },
  );
});

afterAll(async () => {
  await proxy?.stop();
  await first?.stop();
  await second?.stop();
});

beforeEach(async () => {
  for (const name of NAMES) {
    const table = name === "a" ? "accounts" : `at_${name}.accounts`;
    await serverOf(name).query(
      name,
      `TRUNCATE ${table}; INSERT INTO ${table} SELECT ${KEYS[name]}, id FROM generate_series(1, 9) AS id`,
    );
  }
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: proxy.url() });
  await client.connect();
  return client;
}

/** Connected clients inside transactions; ended with their transactions, whatever came of them. */
async function clients(count: number) {
  const connected = await Promise.all(Array.from({ length: count }, connect));
  for (const client of connected) await client.query("BEGIN");
  return {
    connected,
    async [Symbol.asyncDispose]() {
      await Promise.all(connected.map((client) => client.end()));
    },
  };
}

function add(client: pg.Client, name: Name, id: number, amount: number) {
  return client.query("UPDATE accounts SET balance = balance + $3 WHERE place = $1 AND id = $2", [
    KEYS[name],
    id,
    amount,
  ]);
}

async function balance(name: Name, id: number): Promise<unknown> {
  const table = name === "a" ? "accounts" : `at_${name}.accounts`;
  const { rows } = await serverOf(name).query(
    name,
    `SELECT balance FROM ${table} WHERE id = ${id}`,
  );
  return rows[0]?.["balance"];
}

async function preparedLeft(): Promise<number> {
  const lists = [first, second].map((server) =>
    server.query("postgres", "SELECT 1 FROM pg_prepared_xacts"),
  );
  return (await Promise.all(lists)).reduce((sum, { rows }) => sum + rows.length, 0);
}

async function deadlocksCounted(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  return Number(/^colonnade_deadlocks_total (\d+)$/m.exec(text)?.[1] ?? 0);
}

type Outcome = PromiseSettledResult<unknown>;

function failure(outcome: Outcome | undefined): pg.DatabaseError {
  if (outcome?.status !== "rejected") throw new Error("the statement did not fail");
  return outcome.reason as pg.DatabaseError;
}

describe("a deadlock over databases", () => {
  test("of two sessions ends with 40P01 for the younger; the other goes on at once, and commits", async () => {
    await using sessions = await clients(2);
    const [older, younger] = sessions.connected as [pg.Client, pg.Client];
    const before = await deadlocksCounted();
    await add(older, "a", 1, 10);
    await add(younger, "b", 1, 20);
    const started = performance.now();
    const outcomes = await Promise.allSettled([add(older, "b", 1, 10), add(younger, "a", 1, 20)]);
    // The younger has not ended its transaction: its locks must be free without that.
    const lasted = performance.now() - started;
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(lasted).toBeGreaterThan(1000);
    // Without the detector they would wait until the test times out.
    expect(lasted).toBeLessThan(15_000);
    const error = failure(outcomes[1]);
    expect([error.code, error.message]).toEqual(["40P01", "deadlock detected"]);
    expect(error.detail?.split("\n")).toHaveLength(4);
    expect(error.detail).toMatch(
      /Process \d+ waits for a lock in database "a"; blocked by process \d+\./,
    );
    expect(error.detail).toMatch(
      /Process \d+ of database "a" and process \d+ of database "b" work for one transaction\./,
    );
    expect(error.routine).toBe("deadlock_detected");
    await expect(younger.query("SELECT 1")).rejects.toMatchObject({ code: "25P02" });
    expect((await younger.query("COMMIT")).command).toBe("ROLLBACK");
    await older.query("COMMIT");
    expect([await balance("a", 1), await balance("b", 1)]).toEqual([10, 10]);
    expect(await preparedLeft()).toBe(0);
    expect((await deadlocksCounted()) - before).toBe(1);
  });

  test("of three sessions over three databases", async () => {
    await using sessions = await clients(3);
    for (const [index, client] of sessions.connected.entries())
      await add(client, NAMES[index] ?? "a", 2, 1);
    const waiting = sessions.connected.map(async (client, index) => {
      await add(client, NAMES[(index + 1) % 3] ?? "a", 2, 1);
      await client.query("COMMIT");
    });
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(failure(outcomes[2]).code).toBe("40P01");
    expect([await balance("a", 2), await balance("b", 2), await balance("c", 2)]).toEqual([
      1, 2, 1,
    ]);
    expect(await preparedLeft()).toBe(0);
  });

  test("through a transaction of one database that is not the proxy's", async () => {
    const stranger = await first.connect("a");
    await using sessions = await clients(2);
    const [older, younger] = sessions.connected as [pg.Client, pg.Client];
    await add(older, "a", 3, 1);
    await add(younger, "b", 3, 1);
    await stranger.query("BEGIN; UPDATE accounts SET balance = 5 WHERE id = 4");
    const held = stranger.query("UPDATE accounts SET balance = 5 WHERE id = 3");
    await sleep(100);
    const outcomes = await Promise.allSettled([add(older, "b", 3, 1), add(younger, "a", 4, 1)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(failure(outcomes[1]).detail?.match(/waits for/g)).toHaveLength(3);
    await older.query("COMMIT");
    await held;
    await stranger.query("COMMIT");
    await stranger.end();
    expect([await balance("a", 3), await balance("b", 3)]).toEqual([5, 1]);
  });

  test("two at once are both broken", async () => {
    await using sessions = await clients(4);
    const [one, two, three, four] = sessions.connected as [
      pg.Client,
      pg.Client,
      pg.Client,
      pg.Client,
    ];
    await add(one, "a", 5, 1);
    await add(two, "b", 5, 1);
    await add(three, "b", 6, 1);
    await add(four, "c", 6, 1);
    const outcomes = await Promise.allSettled([
      add(one, "b", 5, 1),
      add(two, "a", 5, 1),
      add(three, "c", 6, 1),
      add(four, "b", 6, 1),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
    ]);
  });

  test("that fills a pool is seen nevertheless", async () => {
    await using sessions = await clients(2);
    const [older, younger] = sessions.connected as [pg.Client, pg.Client];
    await add(older, "a", 7, 1);
    await add(younger, "a", 8, 1);
    await add(younger, "b", 7, 1);
    const others = await Promise.all(Array.from({ length: POOL_SIZE - 2 }, connect));
    const behind = Promise.all(others.map((client) => add(client, "a", 7, 1)));
    await sleep(100);
    const circle = await Promise.allSettled([add(older, "b", 7, 1), add(younger, "a", 7, 1)]);
    expect(circle.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await older.query("COMMIT");
    await behind;
    await Promise.all(others.map((client) => client.end()));
    expect(await balance("a", 7)).toBe(POOL_SIZE - 1);
  });

  test("leaves what was done before the last savepoint", async () => {
    await using sessions = await clients(2);
    const [older, younger] = sessions.connected as [pg.Client, pg.Client];
    await add(older, "a", 8, 1);
    await add(younger, "c", 8, 1);
    await younger.query("SAVEPOINT s");
    await add(younger, "b", 8, 1);
    const outcomes = await Promise.allSettled([add(older, "b", 8, 1), add(younger, "a", 8, 1)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await younger.query("ROLLBACK TO SAVEPOINT s");
    await older.query("COMMIT");
    await add(younger, "a", 8, 1);
    await younger.query("COMMIT");
    expect([await balance("a", 8), await balance("b", 8), await balance("c", 8)]).toEqual([
      2, 1, 1,
    ]);
    expect(await preparedLeft()).toBe(0);
  });

  test("of statements over all databases, without a transaction block", async () => {
    await using sessions = await clients(1);
    const [holder] = sessions.connected as [pg.Client];
    const writer = await connect();
    await add(holder, "b", 9, 1);
    const outcome = writer.query("UPDATE accounts SET balance = balance + 1 WHERE id = 9");
    await sleep(200);
    const outcomes = await Promise.allSettled([add(holder, "a", 9, 1), outcome]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(failure(outcomes[1]).code).toBe("40P01");
    await holder.query("COMMIT");
    expect((await writer.query("SELECT sum(balance) FROM accounts WHERE id = 9")).rows).toEqual([
      { sum: "2" },
    ]);
    await writer.end();
  });
});

describe("nobody is disturbed", () => {
  test("by waiting long for a lock, however many transactions do", async () => {
    await using sessions = await clients(3);
    const [holder, second_, third] = sessions.connected as [pg.Client, pg.Client, pg.Client];
    const before = await deadlocksCounted();
    await add(holder, "a", 1, 1);
    await add(holder, "b", 1, 1);
    await add(second_, "c", 1, 1);
    await add(third, "c", 2, 1);
    const waiting = [add(second_, "a", 1, 1), add(third, "b", 1, 1)];
    await sleep(4000);
    await holder.query("COMMIT");
    await Promise.all(waiting);
    await second_.query("COMMIT");
    await third.query("COMMIT");
    expect([await balance("a", 1), await balance("b", 1)]).toEqual([2, 2]);
    expect(await deadlocksCounted()).toBe(before);
  });

  test("in a circle within one database, which the server itself breaks", async () => {
    await using sessions = await clients(2);
    const [one, two] = sessions.connected as [pg.Client, pg.Client];
    const before = await deadlocksCounted();
    await add(one, "b", 1, 1);
    await add(two, "b", 2, 1);
    await add(one, "a", 1, 1);
    await add(two, "a", 2, 1);
    const outcomes = await Promise.allSettled([add(one, "b", 2, 1), add(two, "b", 1, 1)]);
    expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(1);
    const error = failure(outcomes.find(({ status }) => status === "rejected"));
    expect([error.code, error.routine]).toEqual(["40P01", "DeadLockReport"]);
    expect(await deadlocksCounted()).toBe(before);
  });

  test("a client's own cancel stays what it is", async () => {
    await using sessions = await clients(2);
    const [holder, waiter] = sessions.connected as [pg.Client, pg.Client];
    await add(holder, "a", 1, 1);
    await add(waiter, "b", 1, 1);
    for (let round = 0; round < 2; round += 1) {
      await waiter.query("SAVEPOINT s");
      const waiting = add(waiter, "a", 1, 1).catch((error: unknown) => error);
      await sleep(200);
      await cancel(waiter);
      expect(await waiting).toMatchObject({ code: "57014" });
      await waiter.query("ROLLBACK TO SAVEPOINT s");
    }
  });
});

async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  for (const [index, value] of [16, 80_877_102, processID, secretKey].entries())
    request.writeInt32BE(value, index * 4);
  const socket = createConnection(proxy.port, proxy.host, () => socket.end(request));
  await new Promise((resolve) => socket.on("close", resolve).resume());
}
