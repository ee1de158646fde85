/** One database's part of a client's transaction. */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

export interface Participant {
  readonly database: DatabaseName;
  readonly connection: BackendConnection;
  /** `maybe`: a write ran but touched no row, so only the server knows whether a trigger wrote. */
  wrote: "no" | "maybe" | "yes";
  /**
   * It has used temporary tables (a database gather's, or the client's own), or may have. PostgreSQL
   * refuses to prepare a transaction that has touched one, even where it is gone again, and one
   * that was made after a savepoint that is undone: such a part can only commit in one phase, as
   * the coordinator of the others. So does a backend that is pinned, whatever for: session-level
   * advisory locks may keep it from being prepared as well.
   */
  cannotPrepare: boolean;
  /** It has the transaction's snapshot, if the transaction has one for all of its statements. */
  hasSnapshot: boolean;
}
