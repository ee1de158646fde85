/** What a chaos run saw, and as it is printed. */
import { FOLLOWS_WITHIN_MS } from "./follower-watch.ts";

export interface ChaosReport {
  readonly seconds: number;
  /** What happened, and how often. */
  readonly events: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  readonly rolledBack: number;
  readonly unknown: number;
  readonly unknownThere: number;
  readonly audits: number;
  /** SQLSTATEs that clients were told. */
  readonly errors: ReadonlyMap<string, number>;
  /** Milliseconds a proxy took to serve a version, each time that one could. */
  readonly followedMs: readonly number[];
  readonly preparedLeft: number;
  readonly decidedMs: number;
  readonly total: number;
  /** What must never happen, as sentences. */
  readonly faults: readonly string[];
}

const FAULTS_PRINTED_MAX = 40;

export function printChaos(report: ChaosReport): string {
  const { faults, followedMs } = report;
  const worst = Math.max(0, ...followedMs);
  const late = followedMs.filter((ms) => ms > FOLLOWS_WITHIN_MS).length;
  const median = followedMs.toSorted((a, b) => a - b)[Math.floor(followedMs.length / 2)] ?? 0;
  return [
    `${report.seconds.toFixed(0)} s; events: ${listed(report.events)}`,
    `transfers: ${report.acknowledged} acknowledged, ${report.rolledBack} rolled back, ${report.unknown} unknown (${report.unknownThere} of them committed)`,
    `errors told: ${listed(report.errors)}`,
    `${report.audits} audits; total ${report.total}`,
    `followed ${followedMs.length} times, after ${median.toFixed(0)} ms in the middle and ${worst.toFixed(0)} ms at worst; ${late} times after more than ${FOLLOWS_WITHIN_MS} ms, while looking at it took as long`,
    `${report.preparedLeft} prepared parts left, decided after ${report.decidedMs.toFixed(0)} ms`,
    ...faults.slice(0, FAULTS_PRINTED_MAX).map((fault) => `fault: ${fault}`),
    faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults`,
  ].join("\n");
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
