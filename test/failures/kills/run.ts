/**
 * The bank under fire: 16 tellers and two auditors over two proxies and four databases, while
 * processes are killed (SIGKILL) at random moments and started again. Afterwards the databases are
 * compared, side by side, with what every client was told.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { below, pick, seeded } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { countAll, countRecords, SCHEMA, untilNone } from "./bank.ts";
import { faultsInLogs, inBusiness, listed, printAccount, printFaults } from "./business.ts";
import type { Account } from "./business.ts";
import { Fleet } from "./fleet.ts";
import type { Victim } from "./fleet.ts";
import { Ledger } from "./ledger.ts";

const TELLERS = 16;
/** Two processes at the same instant, once in so many kills. */
const DOUBLE_KILL_ONE_IN = 6;
const PAUSE_MAX_MS = 1_500;
/** Between two kills so many transfers are acknowledged, unless nothing can be done for so long. */
const TRANSFERS_BETWEEN = 60;
const STANDSTILL_MAX_MS = 8_000;
/** Two sweeps, and what a record of an aborted one is kept at least. */
const FORGOTTEN_WITHIN_MS = 30_000;

export interface KillsReport {
  readonly kills: ReadonlyMap<string, number>;
  readonly account: Account;
  readonly forgottenMs: number;
  /** Of coordinators that recovery had decided against. */
  readonly abortedRecords: number;
  readonly faults: readonly string[];
}

/** `progress` is told of each kill. */
export async function runKills(
  killCount: number,
  seed: number,
  progress: (line: string) => void,
): Promise<KillsReport> {
  await using fleet = await Fleet.start(SCHEMA);
  const random = seeded(seed);
  const ledger = new Ledger();
  let kills: ReadonlyMap<string, number> = new Map();
  const connect = (teller: number): ReturnType<Fleet["connect"]> =>
    fleet.connect(teller + Date.now());
  const business = { bank: fleet, ledger, random, tellers: TELLERS, connect };
  const account = await inBusiness(business, async () => {
    kills = await killAtRandom(fleet, ledger, killCount, random, progress);
    await sleep(PAUSE_MAX_MS);
  });
  const abortedRecords = await countAll(fleet, countRecords("NOT committed"));
  const forgottenMs = await untilNone(
    fleet,
    "commit records",
    countRecords("true"),
    FORGOTTEN_WITHIN_MS,
    ledger,
  );
  ledger.faults.push(...faultsInLogs(fleet.logs()));
  return { kills, account, forgottenMs, abortedRecords, faults: ledger.faults };
}

async function killAtRandom(
  fleet: Fleet,
  ledger: Ledger,
  count: number,
  random: Random,
  progress: (line: string) => void,
): Promise<ReadonlyMap<string, number>> {
  const kills = new Map<string, number>();
  const restarting = new Set<Promise<void>>();
  for (let done = 0; done < count;) {
    await sleep(below(random, PAUSE_MAX_MS));
    await untilTransfers(ledger, ledger.acknowledged + TRANSFERS_BETWEEN);
    const atOnce = below(random, DOUBLE_KILL_ONE_IN) === 0 ? 2 : 1;
    for (let index = 0; index < atOnce && done < count; index++) {
      const up = fleet.victims.filter((victim) => victim.isUp());
      if (up.length === 0) break;
      const victim = pickVictim(random, up);
      done += 1;
      kills.set(victim.name, (kills.get(victim.name) ?? 0) + 1);
      progress(`kill ${done} of ${count}: ${victim.name}`);
      const restarted = victim
        .kill()
        .then(() => victim.restart())
        .finally(() => restarting.delete(restarted));
      restarting.add(restarted);
    }
  }
  await Promise.all(restarting);
  return kills;
}

/** Servers and proxies alike: proxies take longer to come back, so fewer of them are up. */
function pickVictim(random: Random, up: readonly Victim[]): Victim {
  const kind = below(random, 2) === 0 ? "proxy" : "server";
  const ofKind = up.filter(({ name }) => name.startsWith(kind));
  return pick(random, ofKind.length > 0 ? ofKind : up);
}

async function untilTransfers(ledger: Ledger, count: number): Promise<void> {
  const endMs = performance.now() + STANDSTILL_MAX_MS;
  while (ledger.acknowledged < count && performance.now() < endMs) await sleep(20);
}

/** As the command prints it, and as a test's failure shows it. */
export function printKills(report: KillsReport): string {
  const { kills, account, faults } = report;
  const killCount = [...kills.values()].reduce((sum, count) => sum + count, 0);
  return [
    `${killCount} kills (${listed(kills)}) in ${account.seconds.toFixed(0)} s`,
    ...printAccount(account),
    `${report.abortedRecords} records of aborted transactions; all records forgotten after ${report.forgottenMs.toFixed(0)} ms`,
    ...printFaults(faults),
  ].join("\n");
}
