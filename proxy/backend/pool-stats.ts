/** How a pool stands, as metrics and its own errors tell it. */

/** Gauges of now, and counters since the pool was made; times in milliseconds. */
export interface PoolStats {
  readonly sizeMax: number;
  readonly idle: number;
  readonly used: number;
  readonly opening: number;
  /** Of the used ones, those that a session keeps between its transactions. */
  readonly pinned: number;
  readonly waiting: number;
  /** How long the first of the waiting has waited. */
  readonly longestWaitMs: number;
  readonly acquired: number;
  readonly waitedMs: number;
  readonly waitTimeouts: number;
  readonly opened: number;
  readonly openFailures: number;
  /** Connections that ended without this pool closing them. */
  readonly lost: number;
}
