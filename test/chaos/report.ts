/** What a chaos run saw, and as it is printed. */
import { listed, printAccount, printFaults } from "../failures/kills/business.ts";
import type { Account } from "../failures/kills/business.ts";
import { FOLLOWS_WITHIN_MS } from "./follower-watch.ts";

export interface ChaosReport {
  readonly account: Account;
  /** What happened, and how often. */
  readonly events: ReadonlyMap<string, number>;
  /** Milliseconds a proxy took to serve a version, each time that one could. */
  readonly followedMs: readonly number[];
  /** What must never happen, as sentences. */
  readonly faults: readonly string[];
}

export function printChaos({ account, events, followedMs, faults }: ChaosReport): string {
  const worst = Math.max(0, ...followedMs);
  const late = followedMs.filter((ms) => ms > FOLLOWS_WITHIN_MS).length;
  const median = followedMs.toSorted((a, b) => a - b)[Math.floor(followedMs.length / 2)] ?? 0;
  return [
    `${account.seconds.toFixed(0)} s; events: ${listed(events)}`,
    ...printAccount(account),
    `followed ${followedMs.length} times, after ${median.toFixed(0)} ms in the middle and ${worst.toFixed(0)} ms at worst; ${late} times after more than ${FOLLOWS_WITHIN_MS} ms, while looking at it took as long`,
    ...printFaults(faults),
  ].join("\n");
}
