/**
 * A logical plan with one Bind's parameters and one shard map applied: what is executed.
 * `bindPlan` is the router: a pure function, not a component.
 */
import type { DatabaseName } from "../base/ids.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import type { Moment } from "./clock-value.ts";
import { bindInsert } from "./bind-insert.ts";
import { bindQuery } from "./bind-query.ts";
import type { QueryPlan, StreamedGather } from "./logical-plan.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import type { RenderedSql } from "./sql-template.ts";

/**
 * What a statement has to do with the snapshot of a transaction that has one for all of its
 * statements. `own`: it may see, or write, rows of its databases. `any`: it takes one, as each
 * SELECT does, and reads no table under it. `none`: it takes none (PlannedStmtRequiresSnapshot()
 * in PostgreSQL's src/backend/tcop/pquery.c).
 */
export type SnapshotNeed = "own" | "any" | "none";

export interface PhysicalPlan {
  /** The executor refuses a plan made from an older map: its shards may have moved. */
  readonly mapVersion: number;
  readonly access: "read" | "write";
  /** At least one. Several of one database run one after the other on one backend. */
  readonly fragments: readonly Fragment[];
  readonly gather: BoundGather;
  readonly returnsRows: boolean;
  /**
   * Filled before the fragments run: temporary tables of the one fragment's database. Empty
   * but for a database gather.
   */
  readonly pulls: readonly BoundPull[];
  /** The fragment means temporary tables of the session's own, which are on its pinned backend. */
  readonly usesOwnTables: boolean;
  readonly snapshot: SnapshotNeed;
  /** What runs instead where `gather` refuses before its first row; see QueryPlan.overflowGather. */
  readonly overflow: PhysicalPlan | undefined;
}

/** One temporary table of a database gather, and where its rows come from. */
export interface BoundPull {
  readonly table: string;
  readonly columns: readonly string[];
  /** See Pull.shape. */
  readonly shape: RenderedSql;
  readonly fragments: readonly Fragment[];
  readonly gather: Exclude<BoundGather, { kind: "insertOrder" }>;
  readonly primaryKey: readonly string[];
}

export interface Fragment {
  readonly database: DatabaseName;
  /** Whose rows it answers with, for EXPLAIN, errors and logs: `users0.public`. Several are asked by one UNION ALL. */
  readonly placementIds: readonly string[];
  readonly rendered: RenderedSql;
  /**
   * Of an INSERT of several rows: the text with one time for all databases; `none` where no part
   * of it reads the clock. Undefined where that has to be looked for in the text.
   */
  readonly clock?: "none" | ((moment: Moment) => RenderedSql) | undefined;
  /** INSERT: which of the statement's rows this fragment inserts, by index; else undefined. */
  readonly rowIndexes: readonly number[] | undefined;
}

export type BoundGather =
  /** One fragment: its frames are relayed as they come. */
  | { readonly kind: "passThrough" }
  /**
   * Rows of an INSERT put back into the order of its VALUES, by `rowIndexes`; where rows are left out
   * (`mayDropRows`), in the order of the placements, each with its own rows in order.
   */
  | { readonly kind: "insertOrder"; readonly mayDropRows: boolean }
  | {
      readonly kind: "gather";
      readonly gather: StreamedGather;
      readonly count: bigint | undefined;
      readonly offset: bigint;
    };

/** One parameter of a Bind, as the client sent it. */
export interface BoundParameter {
  /** The type PostgreSQL resolved for it; 0 where unknown. */
  readonly typeOid: number;
  readonly format: "text" | "binary";
  /** Null for SQL NULL. */
  readonly value: Buffer | null;
}

/**
 * `draws[row][column]`: values for an INSERT's generated columns, as text; empty for other
 * statements. Throws SqlError where the keys need several placements and the statement one.
 */
export function bindPlan(
  plan: QueryPlan | InsertPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
  draws: readonly (readonly string[])[],
): PhysicalPlan {
  return plan.kind === "query"
    ? bindQuery(plan, parameters, map)
    : bindInsert(plan, parameters, map, draws);
}
