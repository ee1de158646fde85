/**
 * The bank under fire: 16 tellers and two auditors over two proxies and four databases, while
 * processes are killed (SIGKILL) at random moments and started again. Afterwards the databases are
 * compared, side by side, with what every client was told.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { below, pick, seeded } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { Auditor } from "./auditor.ts";
import {
  countAll,
  countPrepared,
  countRecords,
  OPENING_TOTAL,
  openAccounts,
  readSides,
  SCHEMA,
  totalOf,
  untilNone,
} from "./bank.ts";
import { Fleet } from "./fleet.ts";
import type { Victim } from "./fleet.ts";
import { Ledger } from "./ledger.ts";
import { Teller } from "./teller.ts";

const TELLERS = 16;
const AUDITORS = 2;
/** Two processes at the same instant, once in so many kills. */
const DOUBLE_KILL_ONE_IN = 6;
const PAUSE_MAX_MS = 1_500;
/** Between two kills so many transfers are acknowledged, unless nothing can be done for so long. */
const TRANSFERS_BETWEEN = 60;
const STANDSTILL_MAX_MS = 8_000;
/** What the issue asks: nothing is prepared any more so long after everything serves again. */
const DECIDED_WITHIN_MS = 10_000;
/** Two sweeps, and what a record of an aborted one is kept at least. */
const FORGOTTEN_WITHIN_MS = 30_000;

export interface KillsReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly rolledBack: number;
  readonly unknown: number;
  readonly unknownThere: number;
  readonly reads: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Prepared parts found when the tellers had stopped, and how long the last of them lasted. */
  readonly preparedLeft: number;
  readonly decidedMs: number;
  readonly forgottenMs: number;
  /** Of coordinators that recovery had decided against. */
  readonly abortedRecords: number;
  readonly total: number;
  readonly seconds: number;
  readonly faults: readonly string[];
}

/** `progress` is told of each kill. */
export async function runKills(
  killCount: number,
  seed: number,
  progress: (line: string) => void,
): Promise<KillsReport> {
  await using fleet = await Fleet.start(SCHEMA);
  await openAccounts(fleet);
  const random = seeded(seed);
  const ledger = new Ledger();
  const startMs = performance.now();
  const stop = new AbortController();
  const tellers = Array.from(
    { length: TELLERS },
    (_, index) =>
      new Teller(index, seeded(random()), ledger, () => fleet.connect(index + Date.now())),
  );
  const auditors = Array.from(
    { length: AUDITORS },
    () => new Auditor(fleet, seeded(random()), ledger),
  );
  const working = [...tellers, ...auditors].map((each) => each.run(stop.signal));
  const kills = await killAtRandom(fleet, ledger, killCount, random, progress);
  await sleep(PAUSE_MAX_MS);
  stop.abort();
  await Promise.all(working);

  const preparedLeft = await countAll(fleet, countPrepared);
  const decidedMs = await untilNone(
    fleet,
    "transactions prepared",
    countPrepared,
    DECIDED_WITHIN_MS,
    ledger,
  );
  const abortedRecords = await countAll(fleet, countRecords("NOT committed"));
  const forgottenMs = await untilNone(
    fleet,
    "commit records",
    countRecords("true"),
    FORGOTTEN_WITHIN_MS,
    ledger,
  );
  const sides = await readSides(fleet);
  ledger.faults.push(...ledger.differencesFrom(sides));
  const total = await totalOf(fleet, ledger);
  if (total !== OPENING_TOTAL) ledger.faults.push(`the total is ${total}`);
  ledger.faults.push(...faultsInLogs(fleet));
  return {
    kills,
    acknowledged: ledger.count("acknowledged"),
    rolledBack: ledger.count("rolled back"),
    unknown: ledger.count("unknown"),
    unknownThere: ledger.unknownAmong(sides),
    reads: auditors.reduce((sum, { reads }) => sum + reads, 0),
    errors: Object.fromEntries(
      [...ledger.errors].toSorted(([left], [right]) => (left < right ? -1 : 1)),
    ),
    preparedLeft,
    decidedMs,
    forgottenMs,
    abortedRecords,
    total,
    seconds: (performance.now() - startMs) / 1000,
    faults: ledger.faults,
  };
}

async function killAtRandom(
  fleet: Fleet,
  ledger: Ledger,
  count: number,
  random: Random,
  progress: (line: string) => void,
): Promise<Readonly<Record<string, number>>> {
  const kills: Record<string, number> = {};
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
      kills[victim.name] = (kills[victim.name] ?? 0) + 1;
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

/** What the proxies say of themselves: an invariant that did not hold is one of theirs, whatever came of it. */
function faultsInLogs(fleet: Fleet): readonly string[] {
  return fleet
    .logs()
    .flatMap((log) => log.split("\n"))
    .filter((line) => /InvariantViolation|unhandled|"level":(50|60)/i.test(line))
    .map((line) => `a proxy's log: ${line.slice(0, 500)}`);
}

/** As the command prints it, and as a test's failure shows it. */
export function printKills(report: KillsReport): string {
  const { kills, errors, faults } = report;
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  const killCount = Object.values(kills).reduce((sum, count) => sum + count, 0);
  return [
    `${killCount} kills (${listed(kills)}) in ${report.seconds.toFixed(0)} s`,
    `transfers: ${report.acknowledged} acknowledged, ${report.rolledBack} rolled back, ${report.unknown} unknown (${report.unknownThere} of them committed)`,
    `errors told: ${listed(errors)}`,
    `${report.reads} audits; total ${report.total}`,
    `${report.preparedLeft} prepared parts left, decided after ${report.decidedMs.toFixed(0)} ms; ${report.abortedRecords} records of aborted transactions; all records forgotten after ${report.forgottenMs.toFixed(0)} ms`,
    `${faults.length} faults`,
    ...faults.slice(0, FAULTS_PRINTED_MAX),
  ].join("\n");
}

const FAULTS_PRINTED_MAX = 40;
