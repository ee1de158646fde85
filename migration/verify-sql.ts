/**
 * The SQL of verification: rows of a table as numbers that add up, whatever their order and
 * however they are spread.
 *
 * `fast` hashes values as their types compare them, so 1.0 is 1.00, by the functions of hash
 * partitioning, whose values pg_upgrade relies on to stay over versions. `exact` hashes their
 * texts, byte by byte. Each value is hashed with what came of those before it as its seed, so
 * that it counts in which row and which column it stands.
 * The hashes, of 64 bits, are summed by group of keys: unlike XOR, a sum does not cancel pairs.
 */
import { invariant } from "../base/invariant.ts";
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import { VERIFY_BUCKETS } from "../base/limits.ts";
import {
  isPartial,
  type MovedColumn,
  type MovedTable,
  type ShardedDestination,
  type TargetPlacement,
} from "./move.ts";
import { shardsCondition, shardsIn } from "./shard-conditions.ts";

export type VerifyLevel = "fast" | "exact";

/** bool, bytea, name, floats, char(n), date, time, timestamps, interval, numeric, uuid, jsonb, inet, cidr, macaddr: the same hash in every database. An enum's is of its OID, and json has none. */
const HASHED_ALIKE: ReadonlySet<number> = new Set([
  16, 17, 19, 700, 701, 1042, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 869, 650, 829,
]);

/** Hashed at both levels by their type's own function, which takes a seed: values that it takes for equal have the same text. */
const SEEDED: ReadonlyMap<number, { readonly hash: string; readonly empty: string }> = new Map([
  [20, { hash: "hashint8extended", empty: "0" }],
  [21, { hash: "hashint2extended", empty: "0::int2" }],
  [23, { hash: "hashint4extended", empty: "0" }],
]);

/** Columns whose being NULL fits into one bigint. */
const NULLS_TOGETHER = 60;

/** By group: its number, rows, and the sum of their hashes. */
export function groupSums(
  table: MovedTable,
  level: VerifyLevel,
  name: string,
  where: string,
): string {
  return `SELECT ${group(table)}, count(*), sum(${rowHash(table.columns, level)}) FROM ${name} WHERE ${where} GROUP BY 1`;
}

/** Of some groups each row: its key as text, its group, and its hash. */
export function rowHashes(
  table: MovedTable,
  level: VerifyLevel,
  name: string,
  where: string,
  groups: readonly string[],
): string {
  const some = `${group(table)} IN (${groups.join(", ")})`;
  return `SELECT ROW(${keyTexts(table)})::text, ${group(table)}, ${rowHash(table.columns, level)} FROM ${name} WHERE (${where}) AND ${some}`;
}

/** How many rows there are. */
export function rowCount(name: string, where: string): string {
  return `SELECT count(*) FROM ${name} WHERE ${where}`;
}

/** Some rows, at random, of pages that are: the key and the row's hash as in `rowsByKey`, then the key's values. */
export function someRows(
  table: MovedTable,
  name: string,
  where: string,
  { percent, limit }: { readonly percent: number; readonly limit: number },
): string {
  return `SELECT ROW(${keyTexts(table)})::text, ${rowHash(table.columns, "exact")}, ${keyTexts(table)} FROM (SELECT * FROM ${name} TABLESAMPLE SYSTEM (${percent}) WHERE ${where} ORDER BY random() LIMIT ${limit}) sampled`;
}

/** The rows that have one of these keys: the key as text, and the row's hash. */
export function rowsByKey(
  table: MovedTable,
  name: string,
  keys: readonly (readonly string[])[],
): string {
  const columns = identityColumns(table);
  const values = keys.map((key) => {
    const each = columns.map(({ type }, index) => `${quoteLiteral(key[index] ?? "")}::${type}`);
    return `(${each.join(", ")})`;
  });
  const names = columns.map((column) => quoteIdentifier(column.name)).join(", ");
  return `SELECT ROW(${keyTexts(table)})::text, ${rowHash(table.columns, "exact")} FROM ${name} WHERE (${names}) IN (${values.join(", ")})`;
}

/** The number of the row's group, by its key. */
export function group(table: MovedTable): string {
  const columns = identityColumns(table);
  return `(${chained(columns, nulls(columns))} & ${VERIFY_BUCKETS - 1})`;
}

function rowHash(columns: readonly MovedColumn[], level: VerifyLevel): string {
  const isTogether = ({ typeOid }: MovedColumn): boolean =>
    level === "fast" && HASHED_ALIKE.has(typeOid);
  const together = columns.filter(isTogether).map(({ name }) => quoteIdentifier(name));
  const seed = nulls(columns);
  const first =
    together.length === 0
      ? seed
      : // Which adds the values' hashes up: hashed once more, two rows cannot have swapped some.
        `hashint8extended(hash_record_extended(ROW(${together.join(", ")}), 0), ${seed})`;
  return chained(
    columns.filter((column) => !isTogether(column)),
    first,
  );
}

/** A NULL is hashed as if it were empty: see `nulls`. */
function chained(columns: readonly MovedColumn[], first: string): string {
  return columns.reduce((seed, { name, typeOid, notNull }) => {
    const column = quoteIdentifier(name);
    const own = SEEDED.get(typeOid);
    const [value, empty] = own === undefined ? [`${column}::text`, "''"] : [column, own.empty];
    const hashed = notNull ? value : `coalesce(${value}, ${empty})`;
    return own === undefined
      ? `hashtextextended((${hashed}) COLLATE "C", ${seed})`
      : `${own.hash}(${hashed}, ${seed})`;
  }, first);
}

/** Which of the columns are NULL, as a bigint. Of most rows none is, which is seen without a call. */
function nulls(columns: readonly MovedColumn[]): string {
  const optional = columns.filter(({ notNull }) => !notNull);
  if (optional.length === 0) return "0::int8";
  const isAny = optional.map(({ name }) => `${quoteIdentifier(name)} IS NULL`).join(" OR ");
  return `CASE WHEN ${isAny} THEN ${nullBits(optional)} ELSE 0::int8 END`;
}

function nullBits(optional: readonly MovedColumn[]): string {
  let seed = "";
  for (let start = 0; start < optional.length; start += NULLS_TOGETHER) {
    const bits = optional
      .slice(start, start + NULLS_TOGETHER)
      .map(({ name }, bit) => `((${quoteIdentifier(name)} IS NULL)::int4::int8 << ${bit})`);
    seed = start === 0 ? bits.join(" | ") : `hashint8extended(${bits.join(" | ")}, ${seed})`;
  }
  return seed;
}

/** The key's columns as texts, comma-separated. */
export function keyTexts(table: MovedTable): string {
  return identityColumns(table)
    .map(({ name }) => `${quoteIdentifier(name)}::text`)
    .join(", ");
}

function identityColumns({ columns, identity }: MovedTable): readonly MovedColumn[] {
  return identity.map((index) => {
    const column = columns[index];
    invariant(column !== undefined, "an identity is of the table's columns");
    return column;
  });
}

/** How many rows there are, and the sum of their hashes. */
export function sumOf(
  { columns }: MovedTable,
  level: VerifyLevel,
  name: string,
  where: string,
): string {
  return `SELECT count(*), coalesce(sum(${rowHash(columns, level)}), 0) FROM ${name} WHERE ${where}`;
}

/** Rows of the source that go to this placement. */
export function placedRows(table: MovedTable, placement: TargetPlacement): string {
  const { destination } = table;
  return destination.kind === "sharded"
    ? shardsCondition(destination, shardsIn(table.destination, placement))
    : "true";
}

/** Rows of the placement's table that can only be this one's: all of them, unless it takes others', too. */
export function heldRows(table: MovedTable, placement: TargetPlacement): string {
  if (table.home === undefined) return "true";
  return `(${placedRows(table, placement)}) AND (${ownShards(table.home)})`;
}

/** Rows of the source that the move takes. */
export function movedRows(table: MovedTable): string {
  const { destination } = table;
  if (destination.kind !== "sharded" || !isPartial(table)) return "true";
  return ownShards(destination);
}

/** Those rows in a target, which may have others', too. */
export function arrivedRows(table: MovedTable): string {
  const moved = movedRows(table);
  return table.home === undefined ? moved : `(${moved}) AND (${ownShards(table.home)})`;
}

function ownShards(destination: ShardedDestination): string {
  const shards = [...destination.placementByShard.keys()].filter(
    (shard) => destination.placementByShard[shard] !== undefined,
  );
  return shardsCondition(destination, shards);
}

/**
 * Rows in the placement that do not belong there, by another implementation of the shard function
 * than the one that routes. `alike`: every table whose rows come into this one, this one's source among them.
 */
export function misplacedRows(
  table: MovedTable,
  placement: TargetPlacement,
  alike: readonly MovedTable[],
): string | undefined {
  const { destination } = table;
  if (destination.kind !== "sharded") return undefined;
  const shards = alike.flatMap((each) => shardsIn(each.destination, placement));
  return `(${shardsCondition(destination, [...new Set(shards)])}) IS NOT TRUE`;
}
