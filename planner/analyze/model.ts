/**
 * An analyzed statement as data: its query levels, what each reads, and what is known to
 * be equal where. Made by build.ts; read by the rules that settle and distribute it.
 *
 * A *source* is one entry of a level's FROM (or the target of an UPDATE or DELETE). A
 * *fact* is an equality that every row of a source must satisfy to have any effect on the
 * level's result: removing rows that break one of a source's facts changes nothing. That
 * is why a fact of a source may prune its table, and why facts are kept per source: the ON
 * of an outer join is a fact of its nullable side alone.
 */
import type { DeleteStmt, FuncCall, InsertStmt, Node, SelectStmt, UpdateStmt } from "@pgsql/types";
import type { CatalogColumn } from "../../shardmap/catalog.ts";
import type { FunctionUse } from "../functions.ts";
import type { KeyTerm } from "../logical-plan.ts";
import type { ResolvedTable } from "../names.ts";
import type { RefusalDraft } from "../refusal.ts";

export interface Column {
  readonly name: string;
  readonly source: Source;
  /** Of a table's column. */
  readonly catalog: CatalogColumn | undefined;
  /** Of a sub-select's column that is a plain column inside. */
  readonly inner: Column | undefined;
}

export interface Source {
  /** As errors call it: the table's or alias's name. */
  readonly name: string;
  readonly content: SourceContent;
  readonly columns: Column[];
  /** True where it may have columns that are not known. */
  readonly isOpen: boolean;
  /** The right side of `x IN (SELECT ...)`: it filters rows of the others, and has none of its own in the result. */
  readonly isFilter: boolean;
  readonly location: number | undefined;
}

export type SourceContent =
  | { readonly kind: "table"; readonly table: ResolvedTable }
  /** A sub-select in FROM, a reference to a WITH query, or the right side of `x IN (SELECT ...)`. */
  | { readonly kind: "query"; readonly level: Level }
  /** Functions, VALUES: made of nothing that is stored. */
  | { readonly kind: "computed" }
  /** A recursive WITH query's reference to itself. */
  | { readonly kind: "recursion" }
  /** What stands for a FULL JOIN: no source of the level, only of facts and of merged columns. */
  | { readonly kind: "fullJoin" };

export type Fact =
  | { readonly kind: "columns"; readonly left: Column; readonly right: Column }
  | { readonly kind: "values"; readonly column: Column; readonly values: PinValues }
  /** The columns together have one of the tuples' values; each column's own are a fact beside it. */
  | {
      readonly kind: "tuples";
      readonly columns: readonly Column[];
      readonly tuples: readonly (readonly KeyTerm[])[];
    }
  | { readonly kind: "bounds"; readonly column: Column; readonly bounds: Bounds };

/** `from` may be the column's value; so may `to` where `toInclusive`. */
export interface Bounds {
  readonly from: KeyTerm | undefined;
  readonly to: KeyTerm | undefined;
  readonly toInclusive: boolean;
}

/** Alternatives, any of which the column may equal. */
export type PinValues =
  | { readonly kind: "terms"; readonly terms: readonly KeyTerm[] }
  | { readonly kind: "array"; readonly parameter: number; readonly typeOid: number };

export interface OuterJoin {
  readonly type: "left" | "right" | "full";
  readonly left: readonly Source[];
  readonly right: readonly Source[];
  /** What its ON and USING make equal where rows of both sides meet. */
  readonly on: readonly Fact[];
  /** Of a FULL JOIN: its rows. */
  readonly joined: Source | undefined;
  /** Of a FULL JOIN: what USING merges. */
  readonly merged: readonly MergedColumn[];
}

/** `coalesce(left, right)` of a FULL JOIN, which is not NULL where either side has a row. */
export interface MergedColumn {
  readonly column: Column;
  readonly left: Column;
  readonly right: Column;
}

/** A WHERE or an ON as it stands: a row of one of `sources` for which it is not true takes no part in the level. */
export interface Condition {
  readonly expression: Node;
  /** Those whose rows it sees as they are stored: none that an outer join below it fills with NULLs. */
  readonly sources: readonly Source[];
  /** The column that an expression within means, if it is one. */
  readonly columnOf: (expression: Node) => Column | undefined;
}

/** A source named where a value stands: its row as one value of the table's row type. */
export interface WholeRow {
  readonly source: Source;
  readonly location: number | undefined;
}

export interface Output {
  /** Undefined where PostgreSQL's name for it is not worked out. */
  readonly name: string | undefined;
  /** Undefined for a column that `*` stands for. */
  readonly expression: Node | undefined;
  readonly column: Column | undefined;
}

export interface AggregateUse {
  readonly call: FuncCall;
  readonly location: number | undefined;
}

export type LevelStatement =
  | { readonly kind: "select"; readonly node: SelectStmt }
  | { readonly kind: "update"; readonly node: UpdateStmt }
  | { readonly kind: "delete"; readonly node: DeleteStmt }
  | { readonly kind: "insert"; readonly node: InsertStmt }
  /** MERGE: its own planner decides; here only its tables are known. */
  | { readonly kind: "other" };

export interface Level {
  readonly statement: LevelStatement;
  readonly sources: Source[];
  /** By source: what its rows must satisfy. */
  readonly facts: Map<Source, Fact[]>;
  /** What every row of the level satisfies. */
  readonly always: Fact[];
  readonly outerJoins: OuterJoin[];
  readonly conditions: Condition[];
  /** Columns of levels around this one that its own clauses name. */
  readonly outerColumns: Set<Column>;
  /** Sub-selects in expressions, as they may be correlated. */
  readonly nested: Level[];
  /** Arms of a set operation. */
  readonly arms: Level[];
  /** WITH queries defined here, referenced or not. */
  readonly withQueries: Level[];
  readonly isRecursive: boolean;
  readonly outputs: Output[];
  /** `*` over a source whose columns are not known. */
  outputsAreOpen: boolean;
  readonly aggregates: AggregateUse[];
  readonly windows: FuncCall[];
  /** The column that an expression of the level's own clauses is, if it is one. */
  columnOf: (expression: Node) => Column | undefined;
  readonly location: number | undefined;
}

export interface TableUse {
  readonly table: ResolvedTable;
  readonly location: number | undefined;
  readonly isWritten: boolean;
  /** Of the level the table stands in. */
  readonly level: Level;
}

export interface Analysis {
  readonly root: Level;
  readonly tables: readonly TableUse[];
  readonly functions: readonly FunctionUse[];
  readonly wholeRows: readonly WholeRow[];
  /** FOR UPDATE, FOR SHARE and their kin, at any level. */
  readonly locksRows: boolean;
  /** Reasons, in order of appearance, why the statement cannot run on several placements, whatever its joins. */
  readonly scatterRefusals: readonly RefusalDraft[];
  /** Reasons why it cannot touch sharded tables at all. */
  readonly shardedRefusals: readonly RefusalDraft[];
  /** Types of parameters that only one kind of comparison uses, by number: PostgreSQL resolves them to it. */
  readonly inferredTypes: ReadonlyMap<number, number>;
}
