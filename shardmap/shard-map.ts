/**
 * The shard map in memory: an immutable, numbered snapshot that says where every table
 * lives. Made by schema.ts from YAML; read once per execution; replaced, never changed.
 */
import type { DatabaseName, LogicalShard } from "../base/ids.ts";
import { SEQUENCE_BLOCK_SIZE } from "../base/limits.ts";
import type { ShardFunction } from "./shard-function/shard-function.ts";
import type { KeyType } from "./shard-key.ts";

export interface ShardMap {
  readonly version: number;
  /** The YAML it was read from, comments and passwords included. */
  readonly text: string;
  /** Answers catalog queries, holds unlisted tables, gives types and columns. */
  readonly catalog: DatabaseName;
  /** The schema of the canonical tables, in the catalog database; `public` unless named. */
  readonly canonicalSchema: string;
  readonly databases: ReadonlyMap<DatabaseName, DatabaseEntry>;
  readonly colocations: ReadonlyMap<string, Colocation>;
  readonly groups: ReadonlyMap<string, Group>;
  readonly referenceTables: ReadonlySet<string>;
  /** Tables of the map: those who ask the same of them at the same time may be given one answer. */
  readonly coalescedTables: ReadonlySet<string>;
  readonly sequenceBlocks: SequenceBlocks;
  readonly unlistedTables: "catalog" | "error";
  /** What the map says of a table of the canonical schema, by its unqualified name. */
  readonly tables: ReadonlyMap<string, MapTable>;
}

/** How many ids a proxy draws at once. */
export interface SequenceBlocks {
  readonly size: number;
  /** By the name of a sequence of the canonical schema, where it is another. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** What a map means that says nothing of sequences. */
export const USUAL_SEQUENCE_BLOCKS: SequenceBlocks = {
  size: SEQUENCE_BLOCK_SIZE,
  sizes: new Map(),
};

export function sequenceBlockSize(
  { sequenceBlocks, canonicalSchema }: ShardMap,
  { schema, sequence }: { readonly schema: string; readonly sequence: string },
): number {
  const own = schema === canonicalSchema ? sequenceBlocks.sizes.get(sequence) : undefined;
  return own ?? sequenceBlocks.size;
}

export interface DatabaseEntry {
  readonly name: DatabaseName;
  readonly server:
    | { readonly kind: "url"; readonly primary: string; readonly replicas: readonly string[] }
    | { readonly kind: "embedded" };
}

export type MapTable =
  | {
      readonly kind: "sharded";
      readonly name: string;
      readonly colocation: Colocation;
      readonly keyColumns: readonly string[];
    }
  | { readonly kind: "group"; readonly name: string; readonly group: Group }
  | { readonly kind: "reference"; readonly name: string };

/** Tables that share a shard key, a shard function and placements: equal keys live together. */
export interface Colocation {
  readonly name: string;
  /** One entry a key column; more than one is a composite key. */
  readonly keyTypes: readonly KeyType[];
  readonly function: ShardFunction;
  /** Table name to its key columns, in the order of `keyTypes`. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** In the order of the file; every logical shard has exactly one. */
  readonly placements: readonly Placement[];
  /** Index by logical shard. */
  readonly placementByShard: readonly Placement[];
}

/** Where a set of logical shards lives: the unit that moves. */
export interface Placement {
  /** `database.schema`: unique in its colocation, shown by EXPLAIN and in errors. */
  readonly id: string;
  readonly database: DatabaseName;
  readonly schema: string;
  readonly shards: readonly LogicalShard[];
}

/** Unsharded tables that live together in one database: a vertical partition. */
export interface Group {
  readonly name: string;
  readonly database: DatabaseName;
  /** The canonical schema unless the map names another. */
  readonly schema: string;
  readonly tables: readonly string[];
}
