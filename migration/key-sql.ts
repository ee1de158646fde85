/** Ranges of a table's key as SQL: the conditions of chunks, on the source and on the targets alike. */
import { invariant } from "../base/invariant.ts";
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import type { KeyRange } from "./chunk-map.ts";
import { orderedColumns, type KeyText } from "./key-order.ts";
import type { MovedTable } from "./move.ts";

/** The key's columns, comma-separated; empty for a table that is one chunk. */
export function keyList({ columns }: MovedTable, indexes: readonly number[]): string {
  return indexes.map((index) => quoteIdentifier(columns[index]?.name ?? "")).join(", ");
}

/** `true` for the range that holds all rows. */
export function rangeCondition(table: MovedTable, { from, to }: KeyRange): string {
  const conditions: string[] = [];
  if (from !== undefined) conditions.push(compared(table, ">", from));
  if (to !== undefined) conditions.push(compared(table, "<=", to));
  return conditions.length === 0 ? "true" : conditions.join(" AND ");
}

function compared(table: MovedTable, operator: string, key: KeyText): string {
  const indexes = orderedColumns(table);
  invariant(indexes.length === key.length, "a bound has a value for each ordered column");
  const values = indexes.map(
    (index, position) =>
      `${quoteLiteral(key[position] ?? "")}::${table.columns[index]?.type ?? ""}`,
  );
  return `(${keyList(table, indexes)}) ${operator} (${values.join(", ")})`;
}
