/**
 * Which of a chunk's rows a target has already: of a migration that is set up anew, most are where
 * an earlier copy has put them. Each side's rows are summed up by their hashes; where the sums
 * differ, the target's part of the range is emptied, to be copied as if it had never been.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import type { KeyRange } from "./chunk-map.ts";
import { rangeCondition } from "./key-sql.ts";
import type { MovedTable } from "./move.ts";
import type { TargetTable } from "./target-change.ts";
import { heldRows, placedRows, sumOf } from "./verify-sql.ts";

export interface ChunkComparison {
  /** To be copied: nothing of the range is there any more. */
  readonly differing: readonly TargetTable[];
  /** By target: rows that stay as they are. */
  readonly equalRows: ReadonlyMap<DatabaseName, number>;
}

/** Within the chunk's snapshot of the source, and the targets' open transactions, which alone write to the range. */
export async function compareChunk(
  { table, range }: { readonly table: MovedTable; readonly range: KeyRange },
  source: BackendConnection,
  targets: ReadonlyMap<DatabaseName, BackendConnection>,
  placed: readonly TargetTable[],
): Promise<ChunkComparison> {
  const condition = rangeCondition(table, range);
  const name = quoteQualified(table.schema, table.name);
  const differing: TargetTable[] = [];
  const equalRows = new Map<DatabaseName, number>();
  for (const target of placed) {
    const { database } = target;
    const connection = targets.get(database);
    invariant(connection !== undefined, "a chunk's targets are connected");
    const held = `${condition} AND ${heldRows(table, target)}`;
    const [due, there] = await Promise.all([
      source.query(sumOf(table, "exact", name, `${condition} AND ${placedRows(table, target)}`)),
      connection.query(sumOf(table, "exact", targetName(target), held)),
    ]);
    const [[count = "", sum = ""] = []] = due.rows;
    const [[countThere = "", sumThere = ""] = []] = there.rows;
    if (count === countThere && sum === sumThere)
      equalRows.set(database, (equalRows.get(database) ?? 0) + Number(count));
    else {
      await connection.query(`DELETE FROM ${targetName(target)} WHERE ${held}`);
      differing.push(target);
    }
  }
  return { differing, equalRows };
}
