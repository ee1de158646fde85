/**
 * A proxy dies (SIGKILL) while its clients' transactions commit over two databases: within
 * five seconds another proxy has decided each of them, wholly, whatever its clients wait for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { inFullRun } from "../support/run-mode.ts";

const DECIDED_WITHIN_MS = 5_000;
const ROUNDS = inFullRun(25, 2);
const ACCOUNTS = 20;
const TOTAL = String(ACCOUNTS * 2 * 100);

let left: TestPostgres;
let right: TestPostgres;
let survivor: TestProxy;

beforeAll(async () => {
  [left, right] = await Promise.all([
    startPostgres({ databases: ["home", "left"], settings: { max_prepared_transactions: "50" } }),
    startPostgres({ databases: ["right"], settings: { max_prepared_transactions: "50" } }),
  ]);
  const table = "CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint NOT NULL)";
  await left.query("home", table);
  await left.query("left", table);
  await right.query("right", table);
  survivor = await startProxy();
});
afterAll(async () => {
  await survivor.stop();
  await left.stop();
  await right.stop();
});
beforeEach(async () => {
  await left.query(
    "left",
    `TRUNCATE accounts; INSERT INTO accounts SELECT n, 100 FROM generate_series(1, ${ACCOUNTS}) n`,
  );
  await right.query(
    "right",
    `TRUNCATE accounts; INSERT INTO accounts SELECT 1000 + n, 100 FROM generate_series(1, ${ACCOUNTS}) n`,
  );
});

function startProxy(size = 10): Promise<TestProxy> {
  return startTestProxy(mapOf(left, right), { config: { pool: { size } } });
}

function mapOf(first: TestPostgres, second: TestPostgres): string {
  return `
version: 1
catalog: home
databases:
  home: { primary: ${first.url("home")} }
  left: { primary: ${first.url("left")} }
  right: { primary: ${second.url("right")} }
colocations:
  accounts:
    shard_key: integer
    function: range
    tables: { accounts: id }
    placements:
      - { ranges: [{ to: 1000 }], database: left }
      - { ranges: [{ from: 1000 }], database: right }
`;
}

const kill = (proxy: TestProxy): boolean => process.kill(proxy.pid, "SIGKILL");

async function prepared(): Promise<number> {
  const counts = await Promise.all(
    [left, right].map((server) => server.query("postgres", "SELECT 1 FROM pg_prepared_xacts")),
  );
  return counts.reduce((sum, { rows }) => sum + rows.length, 0);
}

async function waitingForLocks(): Promise<number> {
  const { rows } = await right.query(
    "right",
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%'",
  );
  return rows.length;
}

/** Milliseconds until nothing is prepared any more. */
async function untilDecided(): Promise<number> {
  const startMs = performance.now();
  while ((await prepared()) > 0 && performance.now() - startMs < 4 * DECIDED_WITHIN_MS)
    await sleep(50);
  return performance.now() - startMs;
}

async function total(): Promise<string | null | undefined> {
  const client = await survivor.connect();
  const [row] = await client.query("SELECT sum(amount) FROM accounts");
  await client.close();
  return row?.[0];
}

async function move(client: RawClient, from: number, to: number): Promise<void> {
  await client.query("BEGIN");
  await client.query(`UPDATE accounts SET amount = amount - 1 WHERE id = ${from}`);
  await client.query(`UPDATE accounts SET amount = amount + 1 WHERE id = ${to}`);
  await client.query("COMMIT");
}

/** Ends with its client's connection. */
async function moveOnAndOn(client: RawClient, index: number): Promise<void> {
  try {
    for (let number = 0; ; number++) {
      const accounts = [
        1 + ((index + number) % ACCOUNTS),
        1001 + ((index * 7 + number) % ACCOUNTS),
      ];
      const [from = 0, to = 0] = number % 2 === 0 ? accounts : accounts.toReversed();
      await move(client, from, to).catch((error: unknown) => {
        if (!(error instanceof ServerError)) throw error;
        return client.query("ROLLBACK");
      });
    }
  } catch {
    client.destroy();
  }
}

describe("a proxy that is killed", () => {
  test(`while it commits, ${ROUNDS} times, leaves nothing half done`, async () => {
    const delays: number[] = [];
    let foundPrepared = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const victim = await startProxy();
      const clients = await Promise.all(Array.from({ length: 8 }, () => victim.connect()));
      const working = clients.map((client, index) => moveOnAndOn(client, index));
      await sleep(300 + Math.random() * 200);
      kill(victim);
      await Promise.all(working);
      foundPrepared += await prepared();
      delays.push(await untilDecided());
      expect(await total()).toBe(TOTAL);
      await victim.stop();
    }
    process.stdout.write(
      `${ROUNDS} kills left ${foundPrepared} prepared parts, decided after ${Math.max(...delays).toFixed(0)} ms at most\n`,
    );
    expect(Math.max(...delays)).toBeLessThan(DECIDED_WITHIN_MS);
  });

  test("between PREPARE and COMMIT is listed, and decided, though a whole pool waits for it", async () => {
    const victim = await startProxy();
    const cautious = await startProxy(2);
    const client = await victim.connect();
    await move(client, 1, 1001);
    await client.query("BEGIN");
    await client.query("UPDATE accounts SET amount = amount - 1 WHERE id = 2");
    await client.query("UPDATE accounts SET amount = amount + 1 WHERE id = 1002");
    const blocking = await left.connect("left");
    await blocking.query("BEGIN; LOCK TABLE colonnade.commit_record");
    const committing = client.query("COMMIT").catch(() => undefined);
    await expect.poll(prepared, { timeout: 5_000 }).toBe(1);

    const report = await fetch(`http://127.0.0.1:${survivor.adminPort}/in-doubt`);
    expect(await report.json()).toMatchObject({
      transactions: [
        { database: "right", coordinator: "left", name: expect.stringMatching(/^colonnade:/) },
      ],
      unreachable: [],
    });

    // The only proxy that is left has two connections, and clients that take all of them.
    process.kill(survivor.pid, "SIGSTOP");
    kill(victim);
    await committing;
    const waiting = await Promise.all(Array.from({ length: 4 }, () => cautious.connect()));
    const updates = waiting.map((each) =>
      each.query("UPDATE accounts SET amount = amount WHERE id = 1002"),
    );
    await expect.poll(waitingForLocks, { timeout: 5_000 }).toBe(2);
    // Recovery waits for a coordinator that may be committing; here its backend waits as well.
    await blocking.query("ROLLBACK");
    await blocking.end();
    const tookMs = await untilDecided();
    process.kill(survivor.pid, "SIGCONT");
    expect(tookMs).toBeLessThan(DECIDED_WITHIN_MS);
    await Promise.all(updates);
    expect(await total()).toBe(TOTAL);
    for (const each of waiting) await each.close();
    await cautious.stop();
    await victim.stop();
  });
});

describe("a pool of one connection", () => {
  test("is enough for a database's first transaction over several", async () => {
    await left.query("left", "DROP SCHEMA IF EXISTS colonnade CASCADE");
    const small = await startProxy(1);
    const client = await small.connect();
    const startMs = performance.now();
    await move(client, 3, 1003);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    expect(await client.query("SELECT amount FROM accounts WHERE id IN (3, 1003)")).toEqual(
      expect.arrayContaining([["99"], ["101"]]),
    );
    const { rows } = await left.query("left", "SELECT committed FROM colonnade.commit_record");
    expect(rows.length).toBeLessThanOrEqual(1);
    await client.close();
    await small.stop();
  });

  test("also for a client that writes only where it says so", async () => {
    await left.query("left", "DROP SCHEMA IF EXISTS colonnade CASCADE");
    const small = await startProxy(1);
    const client = await small.connect();
    await client.query("SET default_transaction_read_only = on; SET statement_timeout = 2000");
    await client.query("BEGIN READ WRITE");
    await client.query("UPDATE accounts SET amount = amount - 1 WHERE id = 4");
    await client.query("UPDATE accounts SET amount = amount + 1 WHERE id = 1004");
    await client.query("COMMIT");
    expect(await total()).toBe(TOTAL);
    await client.close();
    await small.stop();
  });
});

test("a server that cannot prepare refuses what is written over several, and nothing else", async () => {
  await using without = await startPostgres({
    databases: ["right"],
    settings: { max_prepared_transactions: "0" },
  });
  await without.query("right", "CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint)");
  await using proxy = await startTestProxy(mapOf(left, without));
  const client = await proxy.connect();
  const refused = {
    fields: { C: "55000", H: expect.stringContaining("max_prepared_transactions") },
  };
  await expect(
    client.query("INSERT INTO accounts VALUES (500, 1), (1500, 1)"),
  ).rejects.toMatchObject(refused);
  await client.query("BEGIN; INSERT INTO accounts VALUES (500, 1), (1500, 1)");
  await expect(client.query("COMMIT")).rejects.toMatchObject(refused);
  expect(await client.query("SELECT count(*) FROM accounts WHERE id IN (500, 1500)")).toEqual([
    ["0"],
  ]);
  await client.query("INSERT INTO accounts VALUES (1500, 1)");
  await client.query("BEGIN; UPDATE accounts SET amount = 2 WHERE id = 1500; COMMIT");
  expect(await client.query("SELECT amount FROM accounts WHERE id = 1500")).toEqual([["2"]]);
  await client.close();
});
