/** What one connection has carried so far, or all of a pool: numbers that only grow. */

export interface ConnectionCounts {
  /** Queries and Syncs that the server has answered: round trips. */
  readonly requests: number;
  /** Those after which it was outside of a transaction. */
  readonly transactions: number;
  /** Time in which an answer was outstanding. */
  readonly busyMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export const NO_COUNTS: ConnectionCounts = {
  requests: 0,
  transactions: 0,
  busyMs: 0,
  receivedBytes: 0,
  sentBytes: 0,
};

export function addCounts(left: ConnectionCounts, right: ConnectionCounts): ConnectionCounts {
  return {
    requests: left.requests + right.requests,
    transactions: left.transactions + right.transactions,
    busyMs: left.busyMs + right.busyMs,
    receivedBytes: left.receivedBytes + right.receivedBytes,
    sentBytes: left.sentBytes + right.sentBytes,
  };
}
