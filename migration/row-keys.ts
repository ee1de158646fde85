/** The key values of a row of the stream: for its route, its chunk, and its identity. */
import { SqlError } from "../base/sql-error.ts";
import type { Tuple, TupleValue } from "../proxy/protocol/replication/tuple.ts";
import { orderedColumns, type KeyText } from "./key-order.ts";
import { route, tableName, type KeyField, type MovedTable, type TargetPlacement } from "./move.ts";

export class RowKeys {
  /** By table, so that names are looked up once. */
  readonly #shardColumns = new Map<MovedTable, readonly number[]>();
  readonly #orderedColumns = new Map<MovedTable, readonly number[]>();

  /** Where the row goes. Throws `migration_row_unroutable`. */
  route(table: MovedTable, row: Tuple): readonly TargetPlacement[] {
    if (table.destination.kind !== "sharded") return route(table, []);
    let columns = this.#shardColumns.get(table);
    if (columns === undefined) {
      columns = shardColumns(table);
      this.#shardColumns.set(table, columns);
    }
    const key = columns.map((index): KeyField => {
      const value = row[index];
      return value === null ? null : textOf(table, value);
    });
    return route(table, key);
  }

  /** The values that the table's chunks are cut by. */
  orderedText(table: MovedTable, row: Tuple): KeyText {
    let columns = this.#orderedColumns.get(table);
    if (columns === undefined) {
      columns = orderedColumns(table);
      this.#orderedColumns.set(table, columns);
    }
    return columns.map((index) => textOf(table, row[index]));
  }

  isSameIdentity({ identity }: MovedTable, left: Tuple, right: Tuple): boolean {
    return identity.every((index) => {
      const [before, after] = [left[index], right[index]];
      // A key value of such a size that it is stored out of line, and not touched.
      if (after === "unchanged") return true;
      return Buffer.isBuffer(before) && Buffer.isBuffer(after) && before.equals(after);
    });
  }
}

/** Indexes into the table's columns, in the order of the destination's key. */
export function shardColumns({ destination, columns }: MovedTable): readonly number[] {
  if (destination.kind !== "sharded") return [];
  return destination.key.map((part) => columns.findIndex(({ name }) => name === part.column));
}

function textOf(table: MovedTable, value: TupleValue | undefined): string {
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  throw new SqlError(
    "migration_old_row_missing",
    `the stream has a changed row of table "${tableName(table)}" without its key`,
  );
}
