/**
 * The SQL of verification: rows of a table as numbers that add up, whatever their order and
 * however they are spread.
 *
 * `fast` hashes values as their types compare them, so 1.0 is 1.00; both servers must be of one
 * major version. `exact` hashes their texts, byte by byte. Two hashes with different seeds are
 * summed by group of keys: unlike XOR, a sum does not cancel pairs.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import { VERIFY_BUCKETS } from "../base/limits.ts";
import { shardsGuard } from "../shardmap/guard.ts";
import {
  isPartial,
  placementId,
  type MovedTable,
  type ShardedDestination,
  type TargetPlacement,
} from "./move.ts";

export type VerifyLevel = "fast" | "exact";

/** bool, bytea, name, integers, text, floats, char(n), varchar, date, time, timestamps, interval, numeric, uuid, jsonb, inet, cidr, macaddr: the same hash in every database of a major version. An enum's is of its OID, and json has none. */
const HASHED_ALIKE: ReadonlySet<number> = new Set([
  16, 17, 19, 20, 21, 23, 25, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802,
  869, 650, 829,
]);

const SEEDS = [0, 7523913460157215] as const;

/** By group: its number, rows, and the sums of both hashes. */
export function groupSums(
  table: MovedTable,
  level: VerifyLevel,
  name: string,
  where: string,
): string {
  const hashes = SEEDS.map((seed) => `sum(${rowHash(table, level, seed)})`);
  return `SELECT ${bucket(table)}, count(*), ${hashes.join(", ")} FROM ${name} WHERE ${where} GROUP BY 1`;
}

/** Of some groups each row: its key as text, its group, and both hashes. */
export function rowHashes(
  table: MovedTable,
  level: VerifyLevel,
  name: string,
  where: string,
  buckets: readonly string[],
): string {
  const hashes = SEEDS.map((seed) => rowHash(table, level, seed));
  const some = `${bucket(table)} IN (${buckets.join(", ")})`;
  return `SELECT ROW(${keyTexts(table)})::text, ${bucket(table)}, ${hashes.join(", ")} FROM ${name} WHERE (${where}) AND ${some}`;
}

function rowHash({ columns }: MovedTable, level: VerifyLevel, seed: number): string {
  const isFast = (typeOid: number): boolean => level === "fast" && HASHED_ALIKE.has(typeOid);
  const values = columns.map(({ name, typeOid }) =>
    isFast(typeOid) ? quoteIdentifier(name) : `${quoteIdentifier(name)}::text`,
  );
  return level === "fast"
    ? `hash_record_extended(ROW(${values.join(", ")}), ${seed})`
    : `hashtextextended(ROW(${values.join(", ")})::text COLLATE "C", ${seed})`;
}

function bucket(table: MovedTable): string {
  return `(hashtextextended(ROW(${keyTexts(table)})::text COLLATE "C", 1) & ${VERIFY_BUCKETS - 1})`;
}

function keyTexts({ columns, identity }: MovedTable): string {
  return identity.map((index) => `${quoteIdentifier(columns[index]?.name ?? "")}::text`).join(", ");
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
  return shardsOf(destination, shards);
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
  const id = placementId(placement);
  const shards = alike.flatMap((each) => shardsIn(each, id));
  return `(${shardsOf(destination, [...new Set(shards)])}) IS NOT TRUE`;
}

function shardsIn({ destination }: MovedTable, id: string): readonly number[] {
  if (destination.kind !== "sharded") return [];
  return [...destination.placementByShard.keys()].filter((shard) => {
    const placement = destination.placementByShard[shard];
    return placement !== undefined && placementId(placement) === id;
  });
}

function shardsOf(destination: ShardedDestination, shards: readonly number[]): string {
  const { key, function: fn } = destination;
  const keyTypes = key.map(({ type }) => type);
  return shardsGuard(
    { keyTypes, function: fn },
    shards,
    key.map(({ column }) => column),
  );
}
