/** How a pool stands, as metrics, the admin console and its own errors tell it. */
import type { BackendConnection } from "./backend-connection.ts";
import type { ConnectionCounts } from "./connection-counts.ts";
import type { Member } from "./pool-member.ts";

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
  /** Connections that may be in use when a new transaction gets one. */
  readonly limit: number;
  /** New transactions are refused: see circuit_open. */
  readonly isOpen: boolean;
  /** Refused since they would have waited for too long, since the circuit is open, and since the queue was full. */
  readonly shedEarly: number;
  readonly shedOpen: number;
  readonly shedFull: number;
  readonly opened: number;
  readonly openFailures: number;
  /** Connections that ended without this pool closing them. */
  readonly lost: number;
  /** How long connections were lent, those that are lent now not counted. */
  readonly lentMs: number;
  /** Of all connections there were. */
  readonly counts: ConnectionCounts;
}

/** One connection of a pool. */
export interface ServerReport {
  readonly connection: BackendConnection;
  /** In PgBouncer's words: `used` is idle for so long that it is asked before it is lent, `tested` is being asked. */
  readonly state: "active" | "idle" | "used" | "tested" | "being_canceled";
  readonly isPinned: boolean;
  /** It is closed as soon as nobody uses it. */
  readonly isOver: boolean;
  /** Milliseconds since 1970. */
  readonly openedAtMs: number;
  /** How long ago it was last lent; undefined where it never was. */
  readonly lentForMs: number | undefined;
}

export function serverReport(
  member: Member,
  isOver: boolean,
  checkAfterIdleMs: number,
): ServerReport {
  const { connection, isPinned, openedAtMs, lentSince } = member;
  return {
    connection,
    state: serverState(member, checkAfterIdleMs),
    isPinned,
    isOver,
    openedAtMs,
    lentForMs: lentSince === 0 ? undefined : performance.now() - lentSince,
  };
}

function serverState({ use, idleSince }: Member, checkAfterIdleMs: number): ServerReport["state"] {
  switch (use) {
    case "lent":
      return "active";
    case "checking":
      return "tested";
    case "abandoned":
      return "being_canceled";
    case "idle":
      return performance.now() - idleSince > checkAfterIdleMs ? "used" : "idle";
  }
}
