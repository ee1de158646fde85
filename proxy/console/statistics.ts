/** Averages of what pools count: over the last whole period, and over the time so far in the first. */
import type { DatabaseName } from "../../base/ids.ts";
import { STATISTICS_PERIOD_MS } from "../../base/limits.ts";
import { NO_COUNTS } from "../backend/connection-counts.ts";
import type { ConnectionCounts } from "../backend/connection-counts.ts";
import type { PoolStats } from "../backend/pool-stats.ts";

/** What only grows for as long as a pool is there. Times in milliseconds. */
export interface PoolTotals extends ConnectionCounts {
  readonly acquired: number;
  readonly lentMs: number;
  readonly waitedMs: number;
}

/** What was added in a time. */
export interface PoolGrowth extends PoolTotals {
  readonly seconds: number;
}

interface Snapshot {
  readonly atMs: number;
  readonly totals: ReadonlyMap<DatabaseName, PoolTotals>;
}

const NO_TOTALS: PoolTotals = { ...NO_COUNTS, acquired: 0, lentMs: 0, waitedMs: 0 };

export class Statistics {
  readonly #pools: () => ReadonlyMap<DatabaseName, PoolStats>;
  #earlier: Snapshot | undefined;
  #latest: Snapshot;
  #timer: NodeJS.Timeout | undefined;

  constructor(pools: () => ReadonlyMap<DatabaseName, PoolStats>) {
    this.#pools = pools;
    this.#latest = { atMs: performance.now(), totals: new Map() };
  }

  start(): void {
    this.#latest = this.#snapshot();
    this.#timer = setInterval(() => {
      this.#earlier = this.#latest;
      this.#latest = this.#snapshot();
    }, STATISTICS_PERIOD_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  growth(database: DatabaseName): PoolGrowth {
    const from = this.#earlier ?? this.#latest;
    const to = this.#earlier === undefined ? this.#snapshot() : this.#latest;
    const after = to.totals.get(database) ?? NO_TOTALS;
    const before = from.totals.get(database) ?? NO_TOTALS;
    // A pool whose address has changed was made anew, and counts from nothing.
    const base = before.acquired > after.acquired ? NO_TOTALS : before;
    return {
      seconds: (to.atMs - from.atMs) / 1_000,
      requests: after.requests - base.requests,
      transactions: after.transactions - base.transactions,
      busyMs: after.busyMs - base.busyMs,
      receivedBytes: after.receivedBytes - base.receivedBytes,
      sentBytes: after.sentBytes - base.sentBytes,
      acquired: after.acquired - base.acquired,
      lentMs: after.lentMs - base.lentMs,
      waitedMs: after.waitedMs - base.waitedMs,
    };
  }

  #snapshot(): Snapshot {
    const pools = [...this.#pools()];
    return {
      atMs: performance.now(),
      totals: new Map(pools.map(([database, stats]) => [database, totalsOf(stats)])),
    };
  }
}

export function totalsOf({ counts, acquired, lentMs, waitedMs }: PoolStats): PoolTotals {
  return { ...counts, acquired, lentMs, waitedMs };
}
