/**
 * A chunk's rows on both sides, as sums of their hashes. Before it is copied: of a migration that is
 * set up anew, most rows are where an earlier copy has put them; where the sums differ, the target's
 * part of the range is emptied, to be copied as if it had never been. And after it was copied: what
 * a target has made of the rows is looked at before it is kept.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { SqlError } from "../base/sql-error.ts";
import { targetName } from "./apply-statements.ts";
import type { KeyRange } from "./chunk-map.ts";
import { rangeCondition } from "./key-sql.ts";
import { isCopied, placementsOf, tableName } from "./move.ts";
import type { MovedTable } from "./move.ts";
import type { TargetTable } from "./target-change.ts";
import { heldRows, movedRows, placedRows, sumOf } from "./verify-sql.ts";

export interface ChunkComparison {
  /** To be copied: nothing of the range is there any more. */
  readonly differing: readonly TargetTable[];
  /** By target: rows that stay as they are. */
  readonly equalRows: ReadonlyMap<DatabaseName, number>;
}

interface Chunk {
  readonly table: MovedTable;
  readonly range: KeyRange;
}

/** Within the chunk's snapshot of the source, and the targets' open transactions, which alone write to the range. */
export async function compareChunk(
  { table, range }: Chunk,
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

interface Sum {
  readonly count: bigint;
  readonly hash: bigint;
}

/**
 * Within the same transactions, once the rows are in: `placed` together have the source's, and each of
 * a reference table's has all of them. Where a row went is not looked at here, but by the verification
 * of the whole table. Throws `migration_copy_mismatch`.
 */
export async function checkCopied(
  { table, range }: Chunk,
  source: BackendConnection,
  targets: ReadonlyMap<DatabaseName, BackendConnection>,
  placed: readonly TargetTable[],
): Promise<void> {
  const condition = rangeCondition(table, range);
  const isAll = placed.length === placementsOf(table.destination).length;
  const rows = isAll
    ? movedRows(table)
    : placed.map((target) => `(${placedRows(table, target)})`).join(" OR ");
  const name = quoteQualified(table.schema, table.name);
  const [due, ...there] = await Promise.all([
    readSum(source, sumOf(table, "fast", name, `${condition} AND (${rows})`)),
    ...[...Map.groupBy(placed, ({ database }) => database)].map(async ([database, own]) => {
      const connection = targets.get(database);
      invariant(connection !== undefined, "a chunk's targets are connected");
      const sums: Sum[] = [];
      for (const target of own) {
        const held = `${condition} AND ${heldRows(table, target)}`;
        sums.push(await readSum(connection, sumOf(table, "fast", targetName(target), held)));
      }
      return sums;
    }),
  ]);
  const sums = there.flat();
  const sides = isCopied(table) ? sums : [sums.reduce(added, { count: 0n, hash: 0n })];
  const differing = sides.find(({ count, hash }) => count !== due.count || hash !== due.hash);
  if (differing === undefined) return;
  throw new SqlError(
    "migration_copy_mismatch",
    `rows of table "${tableName(table)}" are not in the target as they are in the source: ${due.count} were copied, and ${differing.count} are there${differing.count === due.count ? ", of which some are other ones" : ""}`,
    { detail: range.from === undefined ? undefined : `From key (${range.from.join(", ")}) on.` },
  );
}

async function readSum(connection: BackendConnection, sql: string): Promise<Sum> {
  const [row] = (await connection.query(sql)).rows;
  return { count: BigInt(row?.[0] ?? 0), hash: BigInt(row?.[1] ?? 0) };
}

function added(one: Sum, other: Sum): Sum {
  return { count: one.count + other.count, hash: one.hash + other.hash };
}
