/**
 * One PostgreSQL server is killed (SIGKILL) under load and started again: the other
 * databases go on, no answer is wrong, nothing acknowledged is lost, no transaction stays
 * half committed, and the proxy serves everything again without being restarted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { inFullRun } from "../support/run-mode.ts";
import { Worker, VICTIM_KEYS_FROM, transfer } from "./load.ts";

const PHASE_MS = inFullRun(10_000, 2_000);
const WORKERS_PER_DATABASE = 4;
/** Of a statement that does not need the dead database; two busy cores are slow by themselves. */
const STEADY_LATENCY_MAX_MS = 3_000;
/** Of one that does: it must fail, and not hang. */
const VICTIM_LATENCY_MAX_MS = 25_000;
const RECOVERY_MAX_MS = 20_000;

const DDL = `
  CREATE TABLE items (key integer, number integer, PRIMARY KEY (key, number));
  CREATE TABLE balances (key integer PRIMARY KEY, amount bigint NOT NULL);
  CREATE TABLE transfers (key integer, number integer, PRIMARY KEY (key, number));`;

function mapOf(main: TestPostgres, victim: TestPostgres): string {
  return `
version: 1
catalog: steady
databases:
  steady: { primary: ${main.url("steady")} }
  victim: { primary: ${victim.url("victim")} }
colocations:
  keys:
    shard_key: integer
    function: range
    tables: { items: key, balances: key, transfers: key }
    placements:
      - { ranges: [{ to: ${VICTIM_KEYS_FROM} }], database: steady }
      - { ranges: [{ from: ${VICTIM_KEYS_FROM} }], database: victim }
`;
}

describe("a killed server", () => {
  test(
    "disturbs only the statements that need it, and loses nothing",
    { timeout: 180_000 },
    async () => {
      await using steady = await startPostgres({ databases: ["steady"] });
      await using victim = await startPostgres({ databases: ["victim"] });
      await steady.query("steady", DDL);
      await victim.query("victim", DDL);
      await steady.query("steady", "INSERT INTO balances VALUES (1, 1000000)");
      await victim.query(
        "victim",
        `INSERT INTO balances VALUES (${VICTIM_KEYS_FROM + 1}, 1000000)`,
      );
      await using proxy = await startTestProxy(mapOf(steady, victim));

      const stop = new AbortController();
      const steadyWorkers = await workersAt(proxy, 0);
      const victimWorkers = await workersAt(proxy, VICTIM_KEYS_FROM);
      const transferring = transfer(await proxy.connect(), stop.signal);
      const working = [...steadyWorkers, ...victimWorkers].map((worker) => worker.run(stop.signal));

      await sleep(PHASE_MS);
      const killedAtMs = performance.now();
      await victim.kill9();
      await sleep(PHASE_MS);
      const restartedAtMs = performance.now();
      await victim.restart();
      const recoveryMs = await untilAnswered(proxy);
      await sleep(PHASE_MS);
      stop.abort();
      await Promise.all(working);
      const transfers = await transferring;

      for (const worker of [...steadyWorkers, ...victimWorkers]) expect(worker.faults).toEqual([]);
      expect(transfers.faults).toEqual([]);
      const during = (worker: Worker): Worker["samples"] =>
        worker.samples.filter(({ atMs }) => atMs > killedAtMs && atMs < restartedAtMs);
      const steadySamples = steadyWorkers.flatMap(during);
      process.stdout.write(
        `while the server was dead: ${steadySamples.length} statements elsewhere, slowest ${Math.max(...steadySamples.map(({ tookMs }) => tookMs)).toFixed(0)} ms; ` +
          `answered again ${recoveryMs.toFixed(0)} ms after its start; ${transfers.acknowledged.size} transfers acknowledged, ${transfers.unknown.size} unknown\n`,
      );
      expect(steadySamples.length).toBeGreaterThan(50);
      expect(
        steadyWorkers.flatMap(({ samples }) => samples).filter(({ isAnswered }) => !isAnswered),
      ).toEqual([]);
      expect(
        Math.max(...steadyWorkers.flatMap(({ samples }) => samples.map(({ tookMs }) => tookMs))),
      ).toBeLessThan(STEADY_LATENCY_MAX_MS);
      expect(
        Math.max(...victimWorkers.flatMap(({ samples }) => samples.map(({ tookMs }) => tookMs))),
      ).toBeLessThan(VICTIM_LATENCY_MAX_MS);
      for (const worker of victimWorkers)
        expect(worker.samples.at(-1)?.isAnswered, "serves again at the end").toBe(true);

      await untilNothingPrepared([
        [steady, "steady"],
        [victim, "victim"],
      ]);
      await expectRows(steady, "steady", steadyWorkers);
      await expectRows(victim, "victim", victimWorkers);
      await expectTransfers(steady, victim, transfers);
      expect(proxy.isAlive()).toBe(true);
    },
  );
});

async function workersAt(proxy: TestProxy, firstKey: number): Promise<Worker[]> {
  const workers: Worker[] = [];
  for (let index = 0; index < WORKERS_PER_DATABASE; index++)
    workers.push(new Worker(await proxy.connect(), firstKey + 10 + index));
  return workers;
}

/** Milliseconds until a statement on the restarted database is answered. */
async function untilAnswered(proxy: TestProxy): Promise<number> {
  const startMs = performance.now();
  const client = await proxy.connect();
  for (;;) {
    try {
      await client.query(`SELECT amount FROM balances WHERE key = ${VICTIM_KEYS_FROM + 1}`);
      await client.close();
      return performance.now() - startMs;
    } catch (error) {
      if (performance.now() - startMs > RECOVERY_MAX_MS) throw error;
      await sleep(50);
    }
  }
}

async function untilNothingPrepared(
  databases: readonly (readonly [TestPostgres, string])[],
): Promise<void> {
  const deadline = Date.now() + RECOVERY_MAX_MS;
  for (const [server, database] of databases) {
    for (;;) {
      const { rows } = await server.query(database, "SELECT gid FROM pg_prepared_xacts");
      if (rows.length === 0) break;
      expect(
        Date.now(),
        `transactions left prepared in ${database}: ${JSON.stringify(rows)}`,
      ).toBeLessThan(deadline);
      await sleep(200);
    }
  }
}

/** Every acknowledged row is there, and none that nobody wrote. */
async function expectRows(
  server: TestPostgres,
  database: string,
  workers: readonly Worker[],
): Promise<void> {
  for (const { record } of workers) {
    const { rows } = await server.query(database, "SELECT number FROM items WHERE key = $1", [
      record.key,
    ]);
    const there = new Set(rows.map(({ number }) => number as number));
    expect(record.acknowledged.size).toBeGreaterThan(0);
    expect(
      [...record.acknowledged].filter((number) => !there.has(number)),
      "acknowledged and lost",
    ).toEqual([]);
    expect(
      [...there].filter(
        (number) => !record.acknowledged.has(number) && !record.unknown.has(number),
      ),
      "never written",
    ).toEqual([]);
  }
}

/** A transfer is on both databases or on neither, an acknowledged one on both, and no unit is lost. */
async function expectTransfers(
  steady: TestPostgres,
  victim: TestPostgres,
  record: Awaited<ReturnType<typeof transfer>>,
): Promise<void> {
  const numbersOf = async (server: TestPostgres, database: string): Promise<Set<number>> => {
    const { rows } = await server.query(database, "SELECT number FROM transfers");
    return new Set(rows.map(({ number }) => number as number));
  };
  const [left, right] = [await numbersOf(steady, "steady"), await numbersOf(victim, "victim")];
  expect(
    [...left].toSorted((a, b) => a - b),
    "transfers half applied",
  ).toEqual([...right].toSorted((a, b) => a - b));
  expect(
    [...record.acknowledged].filter((number) => !left.has(number)),
    "acknowledged transfers lost",
  ).toEqual([]);
  const amountOf = async (server: TestPostgres, database: string): Promise<number> => {
    const { rows } = await server.query(database, "SELECT sum(amount) AS amount FROM balances");
    return Number(rows[0]?.["amount"]);
  };
  expect(await amountOf(steady, "steady")).toBe(1_000_000 - left.size);
  expect(await amountOf(victim, "victim")).toBe(1_000_000 + right.size);
}
