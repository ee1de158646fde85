/** What the errors of a shared connection mean for those who use it. */
import { COALESCED_UNREAD_BYTES_MAX } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import { BackendError } from "../../backend/backend-error.ts";

/** The server ended the connection for what ran there, not for a reason of its own. */
export function isOwnEnd(error: unknown): boolean {
  const cause = error instanceof SqlError ? error.cause : undefined;
  return cause instanceof BackendError && !OF_THE_SERVER.has(cause.fields.C ?? "");
}

/** admin_shutdown, crash_shutdown, cannot_connect_now */
const OF_THE_SERVER: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03"]);

export const INVALID_SQL_STATEMENT_NAME = "26000";

/** Of an answer that others get, too, and which cannot wait for one of them. */
export function unread(): SqlError {
  return new SqlError(
    "coalesced_answer_unread",
    "canceling statement because its client does not read the answer it shares with others",
    { detail: `More than ${COALESCED_UNREAD_BYTES_MAX} bytes of it were waiting for the client.` },
  );
}
