/**
 * The guard of a placement: a CHECK that accepts exactly the rows whose logical shards the
 * map gives to it, so that a row written to the wrong placement, by anyone, fails in the
 * database itself. SQL text only; installing, verifying and dropping it is the work of others.
 *
 * Built-in functions alone, so that nothing has to be installed first and a dump restores
 * anywhere: the partition hash is written out, since satisfies_hash_partition() needs a
 * partitioned table and tells one remainder at a time. PostgreSQL 14 or later (multiranges,
 * exact EXTRACT). Functions and types are qualified; operators are looked up when the CHECK
 * is made, which must happen with pg_catalog first in search_path, as it is by default.
 */
import { invariant, unreachable } from "../base/invariant.ts";
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import { HASH_COMBINE_CONSTANT, HASH_PARTITION_SEED } from "./shard-function/hash.ts";
import type { ShardFunction } from "./shard-function/shard-function.ts";
import { keyToText, type KeyType, type KeyValue } from "./shard-key.ts";
import type { Colocation, MapTable, Placement, ShardMap } from "./shard-map.ts";

/** The name of the CHECK that refuses rows of another placement. */
export const GUARD_CONSTRAINT = "colonnade_guard";

/** The guard of a canonical table whose rows all live elsewhere: it is always empty. */
export const EMPTY_TABLE_GUARD = "false";

/** Whether all of its rows live elsewhere than where its canonical table is. */
export function isCanonicalTableEmpty(
  { catalog, canonicalSchema }: Pick<ShardMap, "catalog" | "canonicalSchema">,
  table: MapTable,
): boolean {
  switch (table.kind) {
    case "sharded":
      return table.colocation.placements.every(isElsewhere);
    case "group":
      return isElsewhere(table.group);
    case "reference":
      return false;
    default:
      return unreachable(table);
  }
  function isElsewhere({ database, schema }: Pick<Placement, "database" | "schema">): boolean {
    return database !== catalog || schema !== canonicalSchema;
  }
}

const TWO_TO_63 = 1n << 63n;
const TWO_TO_64 = 1n << 64n;

/**
 * The expression inside CHECK ( ) for a table of the colocation in the placement.
 * `keyColumns` are the table's, in the order of the colocation's key types; a NULL in one is
 * refused, since such a row has no shard.
 */
export function placementGuard(
  colocation: Colocation,
  placement: Placement,
  keyColumns: readonly string[],
): string {
  return shardsGuard(colocation, placement.shards, keyColumns);
}

/** As `placementGuard`, for logical shards that need not be all of a placement. */
export function shardsGuard(
  { keyTypes, function: fn }: Pick<Colocation, "keyTypes" | "function">,
  shards: readonly number[],
  keyColumns: readonly string[],
): string {
  invariant(keyColumns.length === keyTypes.length, "a table has a key column for each key type");
  const columns = keyColumns.map((name, index): KeyColumn => ({
    sql: quoteIdentifier(name),
    type: keyTypes[index] ?? "text",
  }));
  if (shards.length === 0) return EMPTY_TABLE_GUARD;
  const notNull = columns.map(({ sql }) => `${sql} IS NOT NULL`).join(" AND ");
  return `${notNull} AND (${shardCondition(fn, shards, columns)})`;
}

interface KeyColumn {
  /** The column's name, quoted. */
  readonly sql: string;
  readonly type: KeyType;
}

function shardCondition(
  fn: ShardFunction,
  shards: readonly number[],
  columns: readonly KeyColumn[],
): string {
  if (fn.kind === "hash") return hashCondition(fn.logicalShards, shards, columns);
  const [column] = columns;
  invariant(column !== undefined && columns.length === 1, "ranges and lists have one key column");
  switch (fn.kind) {
    case "range":
      return rangeCondition(fn, shards, column);
    case "list":
      return listCondition(fn, shards, column);
    default:
      return unreachable(fn);
  }
}

function hashCondition(
  logicalShards: number,
  shards: readonly number[],
  columns: readonly KeyColumn[],
): string {
  const [first, ...others] = columns.map(extendedHash);
  invariant(first !== undefined, "a key has a column");
  const remainder =
    others.length === 0
      ? remainderOfOne(first, BigInt(logicalShards))
      : remainderOfSeveral(first, others, logicalShards);
  return `${remainder} OPERATOR(pg_catalog.<@) '${multirange(shards)}'::pg_catalog.int8multirange`;
}

/**
 * In bigint alone, which is many times as fast as numeric. The row's hash is hash + constant modulo 2^64,
 * the first value being combined with 0, whose shifts are 0. As an unsigned number that is hash + constant,
 * and 2^64 more where the sum is below 0; of either the remainder is taken before the sum, which could overflow.
 */
function remainderOfOne(hash: string, shards: bigint): string {
  // One more `shards`, since mod() of a negative number is one.
  const added = (constant: bigint): bigint => (constant % shards) + shards;
  const carried = `CASE WHEN ${hash} < '${-HASH_COMBINE_CONSTANT}'::pg_catalog.int8 THEN ${added(TWO_TO_64 + HASH_COMBINE_CONSTANT)} ELSE ${added(HASH_COMBINE_CONSTANT)} END`;
  return `pg_catalog.mod(pg_catalog.mod(${hash}, ${shards}) + ${carried}, ${shards})`;
}

function remainderOfSeveral(
  first: string,
  others: readonly string[],
  logicalShards: number,
): string {
  // The first value is combined with 0, whose shifts are 0.
  let row = wrapped(`${first}::pg_catalog.numeric + ${HASH_COMBINE_CONSTANT}`);
  for (const hash of others) row = combined(row, hash);
  const unsigned = `pg_catalog.mod(${row}::pg_catalog.numeric + ${TWO_TO_64}, ${TWO_TO_64})`;
  return `pg_catalog.mod(${unsigned}, ${logicalShards})::pg_catalog.int8`;
}

/**
 * hash_combine64 over signed bigints: row # (hash + constant + (row << 54) + (row >>> 7)).
 * A CHECK has no place for a variable, so each further key column trebles the text: hence
 * the limit on them (KEY_COLUMNS_MAX).
 */
function combined(row: string, hash: string): string {
  // >> keeps the sign, so the seven bits it shifts in are masked off.
  const shiftedRight = `((${row} >> 7) & ${(1n << 57n) - 1n})`;
  const sum = [hash, `(${row} << 54)`, shiftedRight]
    .map((term) => `${term}::pg_catalog.numeric`)
    .join(" + ");
  return `(${row} # ${wrapped(`${sum} + ${HASH_COMBINE_CONSTANT}`)})`;
}

/** A sum as C's int64 has it after overflow: modulo 2^64, from -2^63. Sums of four terms are above -2^66. */
function wrapped(sum: string): string {
  const positive = `${sum} + ${TWO_TO_63 + 4n * TWO_TO_64}`;
  return `(pg_catalog.mod(${positive}, ${TWO_TO_64}) - ${TWO_TO_63})::pg_catalog.int8`;
}

/** The type's own extended hash under the partition seed. */
function extendedHash({ sql, type }: KeyColumn): string {
  switch (type) {
    case "smallint":
      return hashCall("hashint2extended", sql);
    case "integer":
      return hashCall("hashint4extended", sql);
    case "bigint":
      return hashCall("hashint8extended", sql);
    case "uuid":
      return hashCall("uuid_hash_extended", sql);
    case "text":
    case "varchar":
      return hashCall("hashtextextended", `${sql}::pg_catalog.text`);
    case "date":
      return hashCall("hashint4extended", dateDays(sql));
    case "timestamptz":
      return hashCall("hashint8extended", timestamptzMicroseconds(sql));
    default:
      return unreachable(type);
  }
}

function hashCall(name: string, argument: string): string {
  return `pg_catalog.${name}(${argument}, ${HASH_PARTITION_SEED})`;
}

/** A date's stored form: days since 2000-01-01, and the extremes for the infinities, which have no difference. */
function dateDays(sql: string): string {
  return (
    `CASE ${sql} WHEN 'infinity'::pg_catalog.date THEN 2147483647` +
    ` WHEN '-infinity'::pg_catalog.date THEN '-2147483648'::pg_catalog.int4` +
    ` ELSE ${sql} - '2000-01-01'::pg_catalog.date END`
  );
}

/**
 * A timestamptz's stored form: microseconds since 2000-01-01 UTC. Its own hash function has
 * other names in other versions; the epoch of an interval is an exact numeric and asks for no time zone.
 */
function timestamptzMicroseconds(sql: string): string {
  const interval = `${sql} - '2000-01-01 00:00:00+00'::pg_catalog.timestamptz`;
  return (
    `CASE ${sql} WHEN 'infinity'::pg_catalog.timestamptz THEN 9223372036854775807` +
    ` WHEN '-infinity'::pg_catalog.timestamptz THEN '-9223372036854775808'::pg_catalog.int8` +
    ` ELSE (pg_catalog.extract('epoch', ${interval}) * 1000000)::pg_catalog.int8 END`
  );
}

function rangeCondition(
  fn: Extract<ShardFunction, { kind: "range" }>,
  shards: readonly number[],
  column: KeyColumn,
): string {
  const conditions = shards.map((shard) => {
    const { from, to } = fn.ranges[shard] ?? {};
    const bounds = [
      from && `${comparable(column)} >= ${literal(from, column.type)}`,
      to && `${comparable(column)} < ${literal(to, column.type)}`,
    ];
    return bounds.filter((bound) => bound !== undefined).join(" AND ") || "true";
  });
  return conditions.map((condition) => `(${condition})`).join(" OR ");
}

function listCondition(
  fn: Extract<ShardFunction, { kind: "list" }>,
  shards: readonly number[],
  column: KeyColumn,
): string {
  const literals = (keys: readonly KeyValue[]): string =>
    keys.map((key) => literal(key, column.type)).join(", ");
  const named = shards.flatMap((shard) => fn.entries[shard] ?? []);
  const isNamed = named.length === 0 ? [] : [`${comparable(column)} IN (${literals(named)})`];
  if (fn.defaultEntry === undefined || !shards.some((shard) => shard === fn.defaultEntry)) {
    return isNamed.join("") || "false";
  }
  // The default takes what no entry names, its own values named as well as those of others.
  const others = fn.entries.flatMap((keys, entry) =>
    shards.some((shard) => shard === entry) ? [] : keys,
  );
  return others.length === 0 ? "true" : `${comparable(column)} NOT IN (${literals(others)})`;
}

/** Text is compared by its bytes, whatever the column's collation. */
function comparable({ sql, type }: KeyColumn): string {
  return type === "text" || type === "varchar" ? `${sql} COLLATE pg_catalog."C"` : sql;
}

const SQL_TYPES: Readonly<Record<KeyType, string>> = {
  smallint: "int2",
  integer: "int4",
  bigint: "int8",
  uuid: "uuid",
  text: "text",
  varchar: "text",
  date: "date",
  timestamptz: "timestamptz",
};

function literal(key: KeyValue, type: KeyType): string {
  return `${quoteLiteral(keyToText(key))}::pg_catalog.${SQL_TYPES[type]}`;
}

/** `{[0,240),[300,301)}`: ascending shards, runs joined. */
function multirange(shards: readonly number[]): string {
  const runs: { from: number; to: number }[] = [];
  for (const shard of shards.toSorted((left, right) => left - right)) {
    const run = runs.at(-1);
    if (run?.to === shard) run.to++;
    else runs.push({ from: shard, to: shard + 1 });
  }
  return `{${runs.map(({ from, to }) => `[${from},${to})`).join(",")}}`;
}
