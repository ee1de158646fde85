/** A shard map that would suit a workload better, and what it would change. */
import type { RouteClass } from "./route-class.ts";

export interface Suggestion {
  /** The parts of a shard map that differ: `colocations` and `reference_tables`, as YAML. */
  readonly yaml: string;
  readonly colocations: readonly SuggestedColocation[];
  readonly referenceTables: readonly string[];
  /** What the schema would have to change before its tables could be reference tables. */
  readonly referenceTableChanges: readonly SchemaChange[];
  /** Tables of the workload that stay in the catalog database. */
  readonly unsharded: readonly string[];
  /** Calls by class, under the map that was given and under the suggested one. */
  readonly before: Readonly<Record<RouteClass, number>>;
  readonly after: Readonly<Record<RouteClass, number>>;
  /** Transactions that would write to several colocations, the most frequent first. */
  readonly spanning: readonly SpanningTransactions[];
}

export interface SuggestedColocation {
  readonly name: string;
  readonly keyType: string;
  readonly tables: readonly { readonly table: string; readonly column: string }[];
  /** What the schema would have to change before the tables could be sharded so. */
  readonly schemaChanges: readonly SchemaChange[];
}

/** What the proxy would refuse, and why: without the change, the map cannot have the table. */
export interface SchemaChange {
  /** Of the refusal. */
  readonly id:
    | "shard_key_definition"
    | "unique_key_without_shard_key"
    | "foreign_key_not_supported";
  readonly table: string;
  /** Of the column, the index or the constraint. */
  readonly name: string;
  readonly message: string;
}

export interface SpanningTransactions {
  readonly tables: readonly string[];
  readonly transactions: number;
}
