/**
 * Nobody's money is lost: pgbench's TPC-B-like transactions over four databases, in each
 * protocol, and afterwards the four sums of balances agree over all shards.
 *
 * `COLONNADE_FULL=1` runs each for 60 s.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { inFullRun } from "../support/run-mode.ts";
import { hasPgbench, runPgbench } from "./pgbench.ts";
import { DATABASES, fillTables, readBalances, tpcbMap } from "./tpcb-tables.ts";
import type { Balances, Sharding } from "./tpcb-tables.ts";

const SECONDS = inFullRun(60, 3);
const CLIENTS = 8;
const SCALE = { branches: 8, accountsPerBranch: 1_000 };
/** The built-in script takes it from the number of branches: 100,000 accounts each. */
const BUILT_IN_SCALE = { branches: inFullRun(8, 2), accountsPerBranch: 100_000 };

const BY_BRANCH = new URL("by-branch.sql", import.meta.url).pathname;

describe.skipIf(!hasPgbench())("pgbench (skipped where it is not installed)", () => {
  const servers: TestPostgres[] = [];
  const serverOf = (database: string): TestPostgres =>
    servers[DATABASES.indexOf(database as "bank0") % 2] as TestPostgres;
  beforeAll(async () => {
    servers.push(
      await startPostgres({ databases: ["bank0", "bank2"] }),
      await startPostgres({ databases: ["bank1", "bank3"] }),
    );
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  describe.for<[Sharding, readonly string[], typeof SCALE]>([
    [
      "by branch",
      [
        "-f",
        BY_BRANCH,
        "-D",
        `branches=${SCALE.branches}`,
        "-D",
        `accounts=${SCALE.accountsPerBranch}`,
      ],
      SCALE,
    ],
    ["by own key", ["-b", "tpcb-like"], BUILT_IN_SCALE],
  ])("sharded %s", ([sharding, script, scale]) => {
    test.for(["simple", "extended", "prepared"] as const)(
      "%s protocol",
      { timeout: SECONDS * 1000 + 120_000 },
      async (protocol) => {
        await fillTables(serverOf, sharding, scale);
        await using proxy = await startTestProxy(tpcbMap(serverOf, sharding));
        const result = await runPgbench({
          host: proxy.host,
          port: proxy.port,
          database: "bank",
          protocol,
          seconds: SECONDS,
          clients: CLIENTS,
          script,
        });
        const balances = await settledBalances(serverOf);
        process.stdout.write(
          `${sharding}, ${protocol}: ${result.transactions} transactions in ${SECONDS} s, ${result.failed} failed, balances ${JSON.stringify(balances)}\n`,
        );

        expect(result.failed, result.output).toBe(0);
        expect(result.transactions).toBeGreaterThan(inFullRun(2_000, 50));
        expect(balances.historyRows).toBe(result.transactions);
        expect([balances.tellers, balances.branches, balances.history]).toEqual([
          balances.accounts,
          balances.accounts,
          balances.accounts,
        ]);
        expect(balances.preparedTransactions).toBe(0);
      },
    );
  });
});

/** The second phase of the last commits may still be on its way. */
async function settledBalances(serverOf: (database: string) => TestPostgres): Promise<Balances> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const balances = await readBalances(serverOf);
    if (balances.preparedTransactions === 0 || Date.now() > deadline) return balances;
    await sleep(100);
  }
}
