/** Plans of INSERTs whose rows the proxy takes apart, or reads first. */
import type { KeyColumn } from "../../shardmap/key-assignment.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import type { ClockValue } from "../clock-value.ts";
import type { GeneratedColumn } from "../generated-column.ts";
import type { KeyTuple, QueryPlan } from "../logical-plan.ts";
import type { SqlTemplate } from "../sql-template.ts";
import type { TextOrigin } from "../text-origin.ts";

/**
 * INSERT ... VALUES whose rows the proxy takes apart: into a sharded table each row goes to
 * its own placement; into a reference table, with values that the proxy fills, all rows go
 * to every database.
 */
export interface InsertPlan {
  readonly kind: "insert";
  readonly access: "write";
  readonly rule: string;
  readonly table: Extract<MapTable, { kind: "sharded" | "reference" }>;
  /** Types and modifiers of the shard key's columns, for the assignment; empty for a reference table. */
  readonly keyColumns: readonly KeyColumn[];
  readonly rows: readonly InsertRow[];
  /** What the proxy fills; one value a row is drawn before binding. */
  readonly generated: readonly GeneratedColumn[];
  readonly template: InsertTemplate;
  readonly returnsRows: boolean;
  /** DO NOTHING, the WHERE of DO UPDATE or a trigger may leave rows out: which, RETURNING does not say. */
  readonly mayDropRows: boolean;
  /** Of several rows: some part reads the clock. Each reading is a piece, an edit or a generated value. */
  readonly readsClock: boolean;
}

export interface InsertRow {
  /** Empty for a reference table. */
  readonly key: KeyTuple;
  /** The row's own text, parentheses included, as pieces with holes for generated values. */
  readonly pieces: readonly InsertPiece[];
}

export type InsertPiece =
  /** `start`: where the text stands in the client's statement, for error positions. */
  | { readonly kind: "text"; readonly text: string; readonly start: number }
  /** The text reads the clock. */
  | {
      readonly kind: "clock";
      readonly text: string;
      readonly start: number;
      readonly value: ClockValue;
    }
  | { readonly kind: "generated"; readonly index: number };

/** The client's statement; what stands from `rowsStart` to `rowsEnd` is replaced by the rows of one placement. */
export interface InsertTemplate {
  readonly statement: SqlTemplate;
  readonly rowsStart: number;
  readonly rowsEnd: number;
}

/**
 * INSERT ... SELECT whose rows may go to other placements than they come from: they are read
 * first, all of them, and then inserted as a VALUES of constants would be.
 */
export interface InsertQueryPlan {
  readonly kind: "insertQuery";
  readonly access: "write";
  readonly rule: string;
  /** The target's name. */
  readonly table: string;
  /** The client's whole text, which PostgreSQL is asked to check over the canonical tables before anything runs. */
  readonly sql: string;
  /** Gives the rows; has the statement's WITH and its parameters. */
  readonly source: QueryPlan;
  readonly origin: TextOrigin | undefined;
  /** UTF-16 offsets in `sql` of the word INSERT, and of the query. */
  readonly insertStart: number;
  readonly queryStart: number;
  readonly queryEnd: number;
  /** Columns of the rows that are constants without a type, which take that of the column they are inserted into. */
  readonly untyped: ReadonlySet<number>;
  readonly returnsRows: boolean;
}
