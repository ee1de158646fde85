/** What a session uses of the databases, and waits for, as an operator is told of it. */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

/** What a session waits for before it can go on. */
export interface BackendWait {
  readonly for: "connection" | "resume";
  readonly database: DatabaseName;
  /** Of performance.now(). */
  readonly sinceMs: number;
}

export interface BackendUse {
  readonly lent: readonly BackendConnection[];
  /** Those that a cancel request is on its way to. */
  readonly cancelling: readonly BackendConnection[];
  readonly pinned: BackendConnection | undefined;
  readonly wait: BackendWait | undefined;
}
