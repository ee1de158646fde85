/**
 * What one migration moves: out of one source database, which tables, and where each row goes.
 *
 * Data and pure functions. A `PlannedMove` is what two shard maps say; a `Move` adds what the
 * source's catalog says of each table (source-tables.ts reads it). Rows are routed by the shard
 * function that the proxy uses, on the same key values, so both agree on every row.
 *
 * It knows neither connections nor progress. A migration that takes rows out of several
 * databases is several moves, each with a slot and a stream of its own.
 */
import type { DatabaseName } from "../base/ids.ts";
import { SqlError } from "../base/sql-error.ts";
import { shardOf } from "../shardmap/shard-function/shard-of.ts";
import type { ShardFunction } from "../shardmap/shard-function/shard-function.ts";
import {
  KEY_TYPE_OIDS,
  keyFromBinary,
  keyFromText,
  type KeyComparison,
  type KeyType,
  type KeyValue,
} from "../shardmap/shard-key.ts";

export interface PlannedMove {
  /** Lower-case letters, digits and underscores, at most MOVE_NAME_LENGTH_MAX: it names slots and publications. */
  readonly name: string;
  readonly source: DatabaseName;
  readonly tables: readonly PlannedTable[];
}

/** A table of the source: rows of several may go to one table, each is listed by itself. */
export interface PlannedTable {
  readonly schema: string;
  readonly name: string;
  readonly destination: Destination;
  /**
   * Where the rows come back to, by the shards that the source's placements had: of a table whose
   * placements take rows of other tables, too. Undefined where all that is there came from this one.
   */
  readonly home?: ShardedDestination | undefined;
  /** Other moves bring rows to the same table: of the way back of a split. */
  readonly isShared?: true;
}

/** The schema where a table of the same name takes the rows. */
export interface TargetPlacement {
  readonly database: DatabaseName;
  readonly schema: string;
}

export type Destination =
  /** A table of a group, or a placement that moves whole: every row goes there. */
  | { readonly kind: "one"; readonly placement: TargetPlacement }
  /** A reference table: every row goes to each of them. */
  | { readonly kind: "everywhere"; readonly placements: readonly TargetPlacement[] }
  | ShardedDestination;

export interface ShardedDestination {
  readonly kind: "sharded";
  /** In the order of the colocation's key types. */
  readonly key: readonly { readonly column: string; readonly type: KeyType }[];
  readonly function: ShardFunction;
  /** Index by logical shard; undefined where the shard is not moved by this move. */
  readonly placementByShard: readonly (TargetPlacement | undefined)[];
}

export interface Move extends PlannedMove {
  readonly tables: readonly MovedTable[];
}

export interface MovedTable extends PlannedTable {
  /** In attribute order, as rows are copied and streamed. Generated columns are left out: each side computes them. */
  readonly columns: readonly MovedColumn[];
  /** Indexes into `columns`: the primary key, or the index that is the table's replica identity. */
  readonly identity: readonly number[];
  /** Whether the stream has the whole row as it was, or only its identity where that changed. */
  readonly oldRows: "identity" | "full";
  readonly isPartitioned: boolean;
}

export interface MovedColumn {
  readonly name: string;
  /** As format_type prints it with an empty search_path: `public.mood[]`, `numeric(10,2)`. */
  readonly type: string;
  /** Of the type on the source; built-in ones are the same everywhere. */
  readonly typeOid: number;
  /** As pg_attribute has it; -1 for none. */
  readonly typmod: number;
  readonly notNull: boolean;
  /** GENERATED ALWAYS AS IDENTITY: may be inserted with OVERRIDING SYSTEM VALUE, never set. */
  readonly isAlwaysIdentity: boolean;
  /** How its values are ordered by PostgreSQL, where that can be told without asking it. */
  readonly order: KeyOrder | undefined;
  /** False where its binary form holds OIDs of types, which each database numbers by itself. */
  readonly isBinaryPortable: boolean;
}

/** `textBytes`: text and varchar in a collation that compares bytes. `hexBytes`: uuid and bytea, whose texts are ordered as they are. */
export type KeyOrder = "integer" | "textBytes" | "hexBytes";

/** A row's key values: text as the stream has them, binary as COPY has them. */
export type KeyField = string | Buffer | null;

/** Its rows stay where they are, too: the targets get copies, which whoever writes keeps alike from the switch on. */
export function isCopied({ destination }: PlannedTable): boolean {
  return destination.kind === "everywhere";
}

/** Every database that rows go to, each once, in the order of the tables. */
export function targetDatabases(move: PlannedMove): readonly DatabaseName[] {
  const placements = move.tables.flatMap(({ destination }) => placementsOf(destination));
  return [...new Set(placements.map(({ database }) => database))];
}

/** Every placement that may take rows, each once. */
export function placementsOf(destination: Destination): readonly TargetPlacement[] {
  switch (destination.kind) {
    case "one":
      return [destination.placement];
    case "everywhere":
      return destination.placements;
    case "sharded": {
      const found = new Map<string, TargetPlacement>();
      for (const placement of destination.placementByShard)
        if (placement !== undefined) found.set(placementId(placement), placement);
      return [...found.values()];
    }
  }
}

export function placementId({ database, schema }: TargetPlacement): string {
  return `${database}.${schema}`;
}

/** Some rows stay where they are: shards of the table that the move leaves alone. */
export function isPartial({ destination }: PlannedTable): boolean {
  return (
    destination.kind === "sharded" &&
    destination.placementByShard.some((placement) => placement === undefined)
  );
}

/** What empties the table empties one in a target, and nothing else's rows. */
export function isTruncateCarried({ tables }: PlannedMove, table: PlannedTable): boolean {
  const others = tables.filter((other) => other.name === table.name && other !== table);
  const isAlone = table.isShared !== true && table.home === undefined && others.length === 0;
  return isAlone && !isPartial(table);
}

/** `schema.table`, as people read it. */
export function tableName({
  schema,
  name,
}: {
  readonly schema: string;
  readonly name: string;
}): string {
  return `${schema}.${name}`;
}

/**
 * Where a row goes: none for one that stays. `key` are the values of the destination's key
 * columns, in their order; nothing is read of them unless the table is sharded. Throws
 * `migration_row_unroutable` for a value that no logical shard holds.
 */
export function route(table: PlannedTable, key: readonly KeyField[]): readonly TargetPlacement[] {
  const { destination } = table;
  if (destination.kind === "one") return [destination.placement];
  if (destination.kind === "everywhere") return destination.placements;
  const values = destination.key.map(({ column, type }, index) =>
    keyValue(table, column, type, key[index] ?? null),
  );
  const shard = shardOf(destination.function, values);
  if (shard === undefined) throw unroutable(table, key, "no logical shard holds it");
  const placement = destination.placementByShard[shard];
  return placement === undefined ? [] : [placement];
}

function keyValue(table: PlannedTable, column: string, type: KeyType, field: KeyField): KeyValue {
  const value = readField(type, field);
  if (typeof value !== "string") return value;
  throw unroutable(
    table,
    [field],
    `column "${column}" is ${field === null ? "null" : "not readable as a key"}`,
  );
}

function readField(type: KeyType, field: KeyField): KeyComparison {
  if (field === null) return "invalid";
  if (typeof field === "string") return keyFromText(type, field);
  return keyFromBinary(type, KEY_TYPE_OIDS[type], field);
}

function unroutable(table: PlannedTable, key: readonly KeyField[], why: string): SqlError {
  const printed = key.map((field) => (typeof field === "string" ? field : "...")).join(", ");
  return new SqlError(
    "migration_row_unroutable",
    `row of table "${tableName(table)}" with shard key (${printed}) has no placement: ${why}`,
  );
}

/**
 * All that the copy and the stream rely on of a table, as one line: it is stored when the
 * migration is set up, and a table that prints another later has been altered meanwhile.
 */
export function tableFingerprint(table: MovedTable): string {
  const columns = table.columns.map(
    ({ name, type, notNull, isAlwaysIdentity }) =>
      `${JSON.stringify(name)} ${type}${notNull ? " not null" : ""}${isAlwaysIdentity ? " always" : ""}`,
  );
  const identity = table.identity.map((index) => JSON.stringify(table.columns[index]?.name));
  return `${tableName(table)} (${columns.join(", ")}) identity (${identity.join(", ")}) ${table.oldRows}`;
}
