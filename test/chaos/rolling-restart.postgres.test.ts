/**
 * Three proxies behind a TCP balancer are drained (SIGTERM) and started again, one after the other, under load:
 * what clients see of it is that they are to connect again, and who does goes on.
 */
import { expect, test } from "vitest";
import { Auditor } from "../failures/kills/auditor.ts";
import {
  CATALOG,
  countAll,
  countPrepared,
  OPENING_TOTAL,
  openAccounts,
  readSides,
  totalOf,
} from "../failures/kills/bank.ts";
import type { Bank } from "../failures/kills/bank.ts";
import { Ledger } from "../failures/kills/ledger.ts";
import { Teller } from "../failures/kills/teller.ts";
import { seeded } from "../shardmap/random-keys.ts";
import { inFullRun } from "../support/run-mode.ts";
import { RawClient } from "../support/raw-client.ts";
import { Balancer } from "./balancer.ts";
import { ChaosFleet } from "./fleet.ts";

const TELLERS = 12;
const ROUNDS = inFullRun(10, 1);
const TIMEOUT_MS = inFullRun(1_200_000, 240_000);

test(
  "a rolling restart loses nothing, and who is sent away connects again without an error",
  { timeout: TIMEOUT_MS },
  async () => {
    await using fleet = await ChaosFleet.start();
    await fleet.open();
    await openAccounts(fleet);
    await using balancer = await Balancer.open(fleet.proxies.map(({ port }) => port));
    const ledger = new Ledger();
    const connectErrors: string[] = [];
    const bank: Bank = {
      serverOf: (database) => fleet.serverOf(database),
      connect: async () => {
        try {
          const to = {
            host: "127.0.0.1",
            port: balancer.port,
            user: "postgres",
            database: CATALOG,
          };
          return await RawClient.connect(to);
        } catch (error) {
          connectErrors.push(String(error));
          throw error;
        }
      },
    };
    const stop = new AbortController();
    const tellers = Array.from(
      { length: TELLERS },
      (_, index) => new Teller(index, seeded(index), ledger, () => bank.connect(0)),
    );
    const auditor = new Auditor(bank, seeded(TELLERS), ledger);
    const working = [...tellers, auditor].map((each) => each.run(stop.signal));
    for (let round = 0; round < ROUNDS; round += 1)
      for (const proxy of fleet.proxies) {
        await untilTransfers(ledger, ledger.acknowledged + TELLERS);
        expect(await proxy.drain()).toMatchObject({ code: 0, stderr: "" });
        await untilTransfers(ledger, ledger.acknowledged + TELLERS);
        await proxy.start();
      }
    stop.abort();
    await Promise.all(working);

    process.stdout.write(
      `${ledger.acknowledged} transfers, ${auditor.reads} audits, told: ${JSON.stringify(Object.fromEntries(ledger.errors))}\n`,
    );
    expect(connectErrors).toEqual([]);
    // Nobody was left in doubt, and nobody was told anything else than to connect again.
    expect(ledger.count("unknown")).toBe(0);
    expect([...ledger.errors.keys()].filter((code) => code !== "57P01")).toEqual([]);
    expect(ledger.errors.get("57P01")).toBeGreaterThanOrEqual(fleet.proxies.length * ROUNDS);
    expect(await countAll(fleet, countPrepared)).toBe(0);
    const sides = await readSides(fleet);
    expect([...ledger.faults, ...ledger.differencesFrom(sides)]).toEqual([]);
    expect(await totalOf(bank, ledger)).toBe(OPENING_TOTAL);
  },
);

async function untilTransfers(ledger: Ledger, count: number): Promise<void> {
  await expect.poll(() => ledger.acknowledged, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
}
