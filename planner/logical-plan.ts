/**
 * What a statement needs, before its parameters and its shards' places are known.
 *
 * Plans are frozen data: made once per statement text and catalog epoch, cached, printed
 * by EXPLAIN and by the plan tests, and bound by physical-plan.ts once per execution.
 */
import type { DatabaseName } from "../base/ids.ts";
import type { Colocation } from "../shardmap/shard-map.ts";
import type { ExplainFormat } from "./explain/explain-node.ts";
import type { CopyInPlan, CopyOutPlan } from "./copy/copy-plan.ts";
import type { CursorPlan } from "./cursor-plan.ts";
import type { InsertPlan, InsertQueryPlan } from "./insert/insert-plan.ts";
import type { Refusal } from "./refusal.ts";
import type { SessionPlan, SettingPlan, TransactionPlan } from "./session-plan.ts";
import type { SqlTemplate } from "./sql-template.ts";
import type { TransactionBlock } from "./transaction-block.ts";

export type LogicalPlan =
  | EmptyPlan
  | RejectedPlan
  | QueryPlan
  | InsertPlan
  | InsertQueryPlan
  | ExplainPlan
  | CopyInPlan
  | CopyOutPlan
  | CursorPlan
  | DdlPlan
  | TransactionPlan
  | SettingPlan
  | SessionPlan;

/** Nothing but blanks and comments: answered with EmptyQueryResponse. */
export interface EmptyPlan {
  readonly kind: "empty";
}

/** The grammar rejects the text: it goes to a backend as it came, so that PostgreSQL words the error. */
export interface RejectedPlan {
  readonly kind: "rejected";
  readonly sql: string;
}

/** SELECT, UPDATE, DELETE, VALUES, TABLE, INSERT without sharded tables, SHOW, EXPLAIN: one text, sent where the rows are. */
export interface QueryPlan {
  readonly kind: "query";
  /** `write` also where the statement locks rows or calls a function that may write. */
  readonly access: "read" | "write";
  /** The rule that decided; EXPLAIN and the plan tests call it by its name. */
  readonly rule: string;
  readonly routing: Routing;
  /** The text for one placement. */
  readonly template: SqlTemplate;
  /** What is needed where several placements answer, or it is not proven that one does. */
  readonly several: Several;
  /** The statement answers with rows (a SELECT, or RETURNING). */
  readonly returnsRows: boolean;
  /** What connection it may have with others; none where this is left out. One object for all plans of a template. */
  readonly sharing?: Sharing | undefined;
}

/** How several placements answer one statement. Some are made when a field is first read: see several.ts. */
export interface Several {
  /** Another text where several placements answer and the gather needs other rows than the client (partial aggregates, hidden sort columns). */
  readonly scatterTemplate: SqlTemplate | undefined;
  /** How the answers of several placements become one. Never used where only one answers. */
  readonly gather: Gather;
  /**
   * What gives the answer where `gather` turns out unable to, before its first row: what it
   * would hold is too much, or a column's order is not its own to tell. Always exact.
   */
  readonly overflowGather: DatabaseGather | undefined;
  /**
   * Why the statement may run on one placement only; undefined where it may run on several.
   * Binding throws it if the keys turn out to lie on more than one, or cannot be proven.
   */
  readonly scatterRefusal: Refusal | undefined;
}

/** A statement that only reads, and leaves nothing on its connection: see shared-statements.ts. */
export interface Sharing {
  /** Whoever asks the same at the same time may have the same answer: the map allows it for all of its tables. */
  readonly coalesces: boolean;
}

export type Routing =
  /** One database, whatever the parameters: the catalog's, a group's. */
  | { readonly kind: "home"; readonly database: DatabaseName; readonly because: HomeReason }
  /** Reference tables only, or no table: any database answers alike. */
  | { readonly kind: "anyDatabase" }
  /** A write to reference tables: every database does it. */
  | { readonly kind: "everyDatabase" }
  /** Pinned: `keys` are alternatives (IN list), each a value for every key column. */
  | {
      readonly kind: "shardKeys";
      readonly colocation: Colocation;
      readonly keys: readonly KeyTuple[];
      /** Other tables of the statement, pinned by themselves: all must turn out to lie in one placement. */
      readonly alsoPinned: readonly PinnedKeys[];
    }
  /** `key = ANY($n)`: the parameter's array holds the alternatives of a single-column key. */
  | {
      readonly kind: "keyArray";
      readonly colocation: Colocation;
      readonly parameter: number;
      readonly typeOid: number;
    }
  /** A range function's pruned part: placements whose ranges meet the bounds. */
  | {
      readonly kind: "keyRange";
      readonly colocation: Colocation;
      readonly from: KeyTerm | undefined;
      readonly to: KeyTerm | undefined;
      readonly toInclusive: boolean;
    }
  /** Database gather only: nothing bounds the statement as a whole, each pull is routed by itself. */
  | { readonly kind: "byPulls" }
  /** No row can match (`key = NULL`): run on any one placement, for the columns. */
  | { readonly kind: "noRows"; readonly colocation: Colocation }
  | {
      readonly kind: "allShards";
      readonly colocation: Colocation;
      readonly because: ScatterReason;
    };

export type HomeReason =
  | "catalog query"
  | "unlisted table"
  | "group"
  | "reference table"
  | "no table"
  | "sequence"
  | "session"
  /** Takes or frees session-level advisory locks: the backend stays with the session while it holds one. */
  | "advisory lock"
  /** set_config(), nextval(), currval(), lastval(), pg_backend_pid() alone: what they do to the session is the proxy's to keep. */
  | "session value";
export type ScatterReason =
  | "no shard key in predicate"
  | "shard key compared with a value that cannot be proven"
  | "range on shard key";

export type KeyTuple = readonly KeyTerm[];

export interface PinnedKeys {
  readonly colocation: Colocation;
  /** Alternatives; at least one. */
  readonly keys: readonly KeyTuple[];
}

/** A value for one key column, known now or at Bind. */
export type KeyTerm =
  /** Text of a literal whose type is not yet fixed (`'5'`): read by the key type's input rules. */
  | { readonly kind: "text"; readonly text: string }
  /** A numeric literal as written, with its sign: `5`, `-3`, `5.0`, `1e3`. */
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "null" }
  /**
   * One-based, as `$n`. `typeOid` is its type as far as the plan knows (0: not), used where
   * Bind does not know better. With `isCast` it stands under a cast to the key's type, which
   * leaves only values of such a type as they are.
   */
  | {
      readonly kind: "parameter";
      readonly number: number;
      readonly typeOid: number;
      readonly isCast: boolean;
    }
  /** InsertPlan only: the n-th generated column of the row. */
  | { readonly kind: "generated"; readonly index: number };

/** How several placements' answers become one. */
export type Gather = StreamedGather | DatabaseGather;

/** What the proxy does itself, as the rows come. */
export type StreamedGather =
  /** Rows in any order. */
  | { readonly kind: "concat"; readonly limit: RowLimit | undefined }
  /**
   * Each placement's rows come sorted; the last `hiddenColumns` columns are the proxy's own
   * and are cut off. `sort` names columns by index in the shards' rows.
   */
  | {
      readonly kind: "merge";
      readonly sort: readonly SortKey[];
      readonly hiddenColumns: number;
      readonly limit: RowLimit | undefined;
    }
  /** Rows are partial: grouped again by `groupBy`, combined, sorted, cut. Also plain DISTINCT (no aggregate output). */
  | {
      readonly kind: "aggregate";
      /** Columns of the shards' rows that make a group; empty for one group that always exists. */
      readonly groupBy: readonly GroupKey[];
      /** One for each column of the client's row. */
      readonly outputs: readonly AggregateOutput[];
      /** Of more outputs than the client sees, appended for sorting only. */
      readonly sort: readonly OutputSortKey[];
      readonly hiddenOutputs: number;
      readonly limit: RowLimit | undefined;
      /** Plain DISTINCT's rows are cut in each placement, too; a partial group never is. */
      readonly isCutByPlacements: boolean;
    }
  /** UPDATE and DELETE: the row counts are added, RETURNING rows concatenated. */
  | { readonly kind: "counts" }
  /** Every database did the same write (reference tables): the counts must agree and one answer is given. */
  | { readonly kind: "agree" };

/**
 * Rows of the placements are copied into temporary tables of the catalog database, and what is
 * left of the statement runs there over them, so that PostgreSQL itself gives the answer.
 */
export interface DatabaseGather {
  readonly kind: "database";
  /** What the copied rows are of, for EXPLAIN. */
  readonly rule: "tables" | "rows" | "groups";
  /** At least one, in the order they are filled in. */
  readonly pulls: readonly Pull[];
  /** Reads `pg_temp.<pull.table>`; gives the client's columns, under any names. */
  readonly finish: SqlTemplate;
  /** What the finish does with the session's own temporary tables, which are on its pinned backend. */
  readonly own: OwnTables;
}

export type OwnTables = "none" | "read" | "made";

export interface Pull {
  /** The temporary table, unique in the statement. A pulled table keeps its name, so that only its schema changes in the statement. */
  readonly table: string;
  /** Of the temporary table, in order; as the rows have them. */
  readonly columns: readonly string[];
  /**
   * A SELECT over the canonical tables: run in the catalog database without its rows, its
   * columns give the temporary table its types and collations. May have the statement's parameters.
   */
  readonly shape: SqlTemplate;
  readonly routing: Routing;
  /** What each placement is asked. */
  readonly template: SqlTemplate;
  /** The answers of several placements become the table's rows: as they are, or groups combined. */
  readonly gather: Extract<StreamedGather, { kind: "concat" | "aggregate" }>;
  /** Made a primary key once the rows are in, where the remaining statement groups by it and reads other columns. */
  readonly primaryKey: readonly string[];
}

export interface RowLimit {
  readonly count: LimitTerm | undefined;
  readonly offset: LimitTerm | undefined;
}

export type LimitTerm =
  | { readonly kind: "constant"; readonly value: bigint }
  | { readonly kind: "parameter"; readonly number: number };

/** How a text-like column sorts. Ignored by the gather for types that have no collation. */
export type SortCollation = "byte order" | "unknown";

export interface SortKey {
  /** Zero-based, in the shards' rows. */
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
}

export interface GroupKey {
  readonly column: number;
  /** For EXPLAIN alone: the planner refuses nondeterministic collations here, so equal text has equal bytes. */
  readonly collation: SortCollation;
}

export interface OutputSortKey {
  /** Zero-based, in `outputs`. */
  readonly output: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
}

export type AggregateOutput =
  | { readonly kind: "group"; readonly column: number }
  | {
      readonly kind: "combine";
      readonly combine: Combine;
      readonly columns: readonly number[];
      readonly collation: SortCollation;
    };

/**
 * How partial aggregates become the whole. The columns are the placements' partial values,
 * one each but for these (aggregate-partials.ts writes them, output-plan.ts reads them):
 *
 *     average               (sum, count), of floats (sum, count, var_pop)
 *     varSamp, stddevSamp   (sum, count, sum of squares), of floats (sum, count, var_samp)
 *     varPop, stddevPop     (sum, count, sum of squares), of floats (sum, count, var_pop)
 *
 * Result types follow the client's columns.
 */
export type Combine =
  | "count"
  | "sum"
  | "average"
  | "varSamp"
  | "varPop"
  | "stddevSamp"
  | "stddevPop"
  | "min"
  | "max"
  | "anyValue"
  | "boolAnd"
  | "boolOr"
  | "bitAnd"
  | "bitOr"
  | "bitXor";

/** EXPLAIN: the databases' own plans, and above those of several what the proxy does with their answers. */
export interface ExplainPlan {
  readonly kind: "explain";
  readonly access: "read" | "write";
  /** Of the statement within. */
  readonly plan: QueryPlan | InsertPlan;
  /** The client's text before the statement within, which each text gets. */
  readonly prefix: string;
  /** ANALYZE: the statement runs. */
  readonly executes: boolean;
  readonly format: ExplainFormat;
  readonly isVerbose: boolean;
}

/** DDL and maintenance: fixed texts for fixed databases, worked out when planned. */
export interface DdlPlan {
  readonly kind: "ddl";
  readonly access: "write";
  readonly rule: string;
  readonly block: TransactionBlock;
  /** In the order they run in; the catalog database's first, and its answer is the client's. */
  readonly steps: readonly {
    readonly database: DatabaseName;
    readonly sql: string;
    /** Of another kind than the client's statement: what has to be put right behind it. */
    readonly isFollowUp?: true;
  }[];
  /** Tables, types or functions may differ afterwards: the catalog is loaded again at commit. */
  readonly changesCatalog: boolean;
  /** About the session's temporary relations, which are on its own backend. */
  readonly isTemporary: boolean;
}
