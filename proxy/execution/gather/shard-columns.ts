/**
 * What the shards say of their columns must fit what the client was told: placements
 * whose tables have drifted apart would otherwise give rows that mean something else.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { ShardRows } from "../shard-rows.ts";

/** Throws unless the shard's leading columns are the client's, followed by `hiddenColumns` more. */
export function checkClientColumns(
  shard: ShardRows,
  columns: readonly ColumnDescription[],
  output: readonly ColumnDescription[],
  hiddenColumns: number,
): void {
  checkCount(shard, columns, output.length + hiddenColumns);
  for (const [index, expected] of output.entries()) {
    const column = columns[index] as ColumnDescription;
    checkColumn(shard, column, expected);
    if (column.name === expected.name) continue;
    throw new SqlError(
      "placement_columns_differ",
      `column "${column.name}" of placement "${shard.placementId}" stands where "${expected.name}" was expected`,
    );
  }
}

/** Throws unless two shards' columns are alike. */
export function checkSameColumns(
  shard: ShardRows,
  columns: readonly ColumnDescription[],
  expected: readonly ColumnDescription[],
): void {
  checkCount(shard, columns, expected.length);
  for (const [index, column] of columns.entries()) {
    checkColumn(shard, column, expected[index] as ColumnDescription);
  }
}

function checkCount(
  shard: ShardRows,
  columns: readonly ColumnDescription[],
  expected: number,
): void {
  if (columns.length === expected) return;
  throw new SqlError(
    "placement_columns_differ",
    `placement "${shard.placementId}" answers with ${columns.length} columns, ${expected} were expected`,
  );
}

function checkColumn(
  shard: ShardRows,
  column: ColumnDescription,
  expected: ColumnDescription,
): void {
  if (column.typeOid === expected.typeOid && column.format === expected.format) return;
  throw new SqlError(
    "placement_columns_differ",
    `column "${column.name}" of placement "${shard.placementId}" has another type than elsewhere`,
    {
      detail: `Its type has OID ${column.typeOid} in ${column.format} format; expected is OID ${expected.typeOid} in ${expected.format} format.`,
    },
  );
}
