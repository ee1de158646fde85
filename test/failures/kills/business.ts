/**
 * A bank in business: its tellers and auditors work while something befalls it, and when they have
 * stopped, what its databases hold is compared with what each client was told.
 */
import type { RawClient } from "../../support/raw-client.ts";
import { seeded } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { Auditor } from "./auditor.ts";
import {
  countAll,
  countPrepared,
  OPENING_TOTAL,
  openAccounts,
  readSides,
  totalOf,
  untilNone,
} from "./bank.ts";
import type { Bank } from "./bank.ts";
import type { Ledger } from "./ledger.ts";
import { Teller } from "./teller.ts";

/** What the product promises: nothing is prepared any more so long after everything serves again. */
const DECIDED_WITHIN_MS = 10_000;
const AUDITORS = 2;
const FAULTS_PRINTED_MAX = 40;

export interface Account {
  readonly seconds: number;
  readonly acknowledged: number;
  readonly rolledBack: number;
  readonly unknown: number;
  readonly unknownThere: number;
  readonly audits: number;
  /** SQLSTATEs that clients were told. */
  readonly errors: ReadonlyMap<string, number>;
  /** Prepared parts found when the tellers had stopped, and how long the last of them lasted. */
  readonly preparedLeft: number;
  readonly decidedMs: number;
  readonly total: number;
}

export interface Business {
  readonly bank: Bank;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly tellers: number;
  /** A teller's connection, each time it needs one. */
  readonly connect: (teller: number) => Promise<RawClient>;
}

/** Works until `during` has ended. Faults are the ledger's. */
export async function inBusiness(
  { bank, ledger, random, tellers: count, connect }: Business,
  during: () => Promise<void>,
): Promise<Account> {
  await openAccounts(bank);
  const startMs = performance.now();
  const stop = new AbortController();
  const tellers = Array.from(
    { length: count },
    (_, index) => new Teller(index, seeded(random()), ledger, () => connect(index)),
  );
  const auditors = Array.from(
    { length: AUDITORS },
    () => new Auditor(bank, seeded(random()), ledger),
  );
  const working = [...tellers, ...auditors].map((each) => each.run(stop.signal));
  await during();
  stop.abort();
  await Promise.all(working);

  const preparedLeft = await countAll(bank, countPrepared);
  const what = "transactions prepared";
  const decidedMs = await untilNone(bank, what, countPrepared, DECIDED_WITHIN_MS, ledger);
  const sides = await readSides(bank);
  ledger.faults.push(...ledger.differencesFrom(sides));
  const total = await totalOf(bank, ledger);
  if (total !== OPENING_TOTAL) ledger.faults.push(`the total is ${total}, not ${OPENING_TOTAL}`);
  return {
    seconds: (performance.now() - startMs) / 1_000,
    acknowledged: ledger.count("acknowledged"),
    rolledBack: ledger.count("rolled back"),
    unknown: ledger.count("unknown"),
    unknownThere: ledger.unknownAmong(sides),
    audits: auditors.reduce((sum, { reads }) => sum + reads, 0),
    errors: ledger.errors,
    preparedLeft,
    decidedMs,
    total,
  };
}

/** What the proxies say of themselves: an invariant that did not hold is one of theirs, whatever came of it. */
export function faultsInLogs(logs: readonly string[], expected?: RegExp): readonly string[] {
  return logs
    .flatMap((log) => log.split("\n"))
    .filter((line) => /InvariantViolation|unhandled|"level":(50|60)/i.test(line))
    .filter((line) => expected?.test(line) !== true)
    .map((line) => `a proxy's log: ${line.slice(0, 500)}`);
}

export function printAccount(account: Account): readonly string[] {
  return [
    `transfers: ${account.acknowledged} acknowledged, ${account.rolledBack} rolled back, ${account.unknown} unknown (${account.unknownThere} of them committed)`,
    `errors told: ${listed(account.errors)}`,
    `${account.audits} audits; total ${account.total}`,
    `${account.preparedLeft} prepared parts left, decided after ${account.decidedMs.toFixed(0)} ms`,
  ];
}

/** The last line is the verdict. */
export function printFaults(faults: readonly string[]): readonly string[] {
  const printed = faults.slice(0, FAULTS_PRINTED_MAX).map((fault) => `fault: ${fault}`);
  return [...printed, faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults`];
}

export function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
