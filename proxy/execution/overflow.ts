/** When a gather in the proxy gives up its place to one in the catalog database. */
import { SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";

/**
 * Refusals of what is beyond the proxy and not beyond PostgreSQL. Errors that PostgreSQL would
 * give too (a sum out of range), and signs that placements differ, are not among them.
 */
const BEYOND_THE_PROXY: ReadonlySet<ErrorId> = new Set([
  "gather_memory_exceeded",
  "gather_type_unsupported",
  "gather_collation_unsupported",
  "gather_value_unreadable",
  "placement_rows_unordered",
]);

export function isBeyondTheProxy(error: unknown): boolean {
  return error instanceof SqlError && BEYOND_THE_PROXY.has(error.id);
}
