/**
 * What a session does now, as an operator is told of it: by SHOW CLIENTS of the admin
 * console and by /clients of the admin address alike. Names are those that both print.
 */
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { PinReason } from "../execution/pinned-backend.ts";
import type { BackendUse, BackendWait } from "../execution/backend-use.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";

export interface SessionStatus {
  readonly application_name: string;
  /** As in pg_stat_activity; and `waiting` for a server connection, or for RESUME. */
  readonly state:
    | "active"
    | "waiting"
    | "idle"
    | "idle in transaction"
    | "idle in transaction (aborted)";
  /** What a statement waits for: `connection to users0`, `resume of users0`, `answer of users0, users1`. */
  readonly waits_for: string | null;
  /** How long it has waited for a connection or for RESUME. */
  readonly wait_ms: number;
  /** Why the session keeps a server connection between its transactions. */
  readonly pinned: readonly PinReason[];
  /** Server connections it uses or keeps, by the ids that SHOW SERVERS gives them. */
  readonly servers: readonly string[];
  /** Those of them that it has asked to cancel what runs, and that have not taken the request yet. */
  readonly cancelling: readonly string[];
  readonly statements: number;
  readonly prepared_statements: number;
}

interface StatusParts {
  readonly isActive: boolean;
  readonly transaction: TransactionStatus;
  readonly use: BackendUse;
  readonly pinned: ReadonlySet<PinReason>;
  readonly applicationName: string;
  readonly statementCount: number;
  readonly preparedCount: number;
}

const RESTING = {
  idle: "idle",
  inTransaction: "idle in transaction",
  failed: "idle in transaction (aborted)",
} as const;

export function sessionStatus(parts: StatusParts): SessionStatus {
  const { use, isActive, transaction } = parts;
  const { wait } = use;
  const kept = new Set(use.lent);
  if (use.pinned !== undefined) kept.add(use.pinned);
  const working = isActive ? "active" : RESTING[transaction];
  return {
    application_name: parts.applicationName,
    state: wait === undefined ? working : "waiting",
    waits_for: waitsFor(use),
    wait_ms: wait === undefined ? 0 : Math.round(performance.now() - wait.sinceMs),
    pinned: [...parts.pinned],
    servers: [...kept].map(serverId),
    cancelling: use.cancelling.map(serverId),
    statements: parts.statementCount,
    prepared_statements: parts.preparedCount,
  };
}

function waitsFor({ wait, lent }: BackendUse): string | null {
  if (wait !== undefined) return waitText(wait);
  const asked = lent.filter(({ pendingReadyForQuery }) => pendingReadyForQuery > 0);
  if (asked.length === 0) return null;
  return `answer of ${asked.map(({ database }) => database).join(", ")}`;
}

/** As `waits_for` tells it. */
export function waitText({ for: what, database }: Pick<BackendWait, "for" | "database">): string {
  return `${what === "connection" ? "connection to" : "resume of"} ${database}`;
}

/** Unique among the connections that are open: the server's own process, in the map's database. */
export function serverId({ database, processId }: BackendConnection): string {
  return `${database}/${processId}`;
}
