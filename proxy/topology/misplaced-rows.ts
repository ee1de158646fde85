/** Rows that a table's guard would refuse, and that were there before it: which, and how many. */
import { GUARD_COUNT_TIMEOUT_MS } from "../../base/limits.ts";
import { quoteQualified } from "../../base/sql-quoting.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Guard } from "./guards.ts";

const QUERY_CANCELED = "57014";

/** What a person may paste: the rows themselves. A CHECK takes NULL for yes, as NOT does for no. */
export function misplacedRows(guard: Guard, columns = "*"): string {
  return `SELECT ${columns} FROM ${quoteQualified(guard.schema, guard.table)} WHERE NOT (${guard.condition})`;
}

/** Digits; undefined where they are not counted in time. */
export async function countMisplacedRows(
  connection: BackendConnection,
  guard: Guard,
): Promise<string | undefined> {
  try {
    const { rows } = await connection.query(
      `BEGIN READ ONLY; SET LOCAL statement_timeout = ${GUARD_COUNT_TIMEOUT_MS}; ${misplacedRows(guard, "pg_catalog.count(*)")}; COMMIT`,
    );
    return rows[0]?.[0] ?? undefined;
  } catch (error) {
    if (!(error instanceof BackendError) || error.fields.C !== QUERY_CANCELED) throw error;
    await connection.query("ROLLBACK");
    return undefined;
  }
}
