/** What a COPY needs. Its data comes and goes after the plan is made, so nothing of it is here. */
import type { DatabaseName } from "../../base/ids.ts";
import type { KeyColumn } from "../../shardmap/key-assignment.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import type { GeneratedColumn } from "../generated-column.ts";
import type { QueryPlan } from "../logical-plan.ts";
import type { SqlTemplate } from "../sql-template.ts";

/** COPY ... FROM STDIN. */
export interface CopyInPlan {
  readonly kind: "copyIn";
  readonly access: "write";
  readonly rule: string;
  readonly target:
    /** The data goes to one database as it comes. */
    | { readonly kind: "home"; readonly database: DatabaseName }
    /** A reference table: every database gets every row. */
    | { readonly kind: "everyDatabase" }
    | {
        readonly kind: "sharded";
        readonly key: readonly CopyKey[];
        readonly table: Extract<MapTable, { kind: "sharded" }>;
      };
  /** For errors, as the client named it. */
  readonly table: string;
  /**
   * The statement put to a server: the client's where the data is relayed; else without a
   * header, with a column list, and with the columns that the proxy fills.
   */
  readonly template: SqlTemplate;
  /** Undefined where the data is relayed as it comes. */
  readonly rows: CopyRows | undefined;
}

/** How rows are taken apart. */
export interface CopyRows {
  readonly format: CopyDataFormat;
  readonly header: "none" | "skipped" | "matched";
  /** The data's columns in order. */
  readonly columns: readonly string[];
  /** What is written behind the fields of each row. */
  readonly generated: readonly CopiedColumn[];
}

/** A column that the proxy fills, and its type: binary data is written by it. */
export type CopiedColumn = GeneratedColumn & { readonly typeOid: number };

/** One column of the shard key, and where its value comes from. */
export interface CopyKey {
  readonly name: string;
  readonly typeOid: number;
  readonly column: KeyColumn;
  readonly source:
    | {
        readonly kind: "field";
        readonly index: number;
        /** FORCE_NULL: a quoted field, too, is NULL where it is the NULL text. */
        readonly isForcedNull: boolean;
        /** FORCE_NOT_NULL: the NULL text is itself. */
        readonly isForcedNotNull: boolean;
      }
    | { readonly kind: "generated"; readonly index: number }
    | { readonly kind: "constant"; readonly text: string };
}

/** COPY ... TO STDOUT. */
export interface CopyOutPlan {
  readonly kind: "copyOut";
  readonly access: "read" | "write";
  readonly rule: string;
  /** `template` is the COPY itself, for one placement; its scatter template gives rows, which the proxy writes as data. */
  readonly query: QueryPlan;
  /** A SELECT of the same rows: its columns are the data's. */
  readonly rowsSql: string;
  readonly format: CopyDataFormat;
  readonly hasHeader: boolean;
  /** Columns written in quotes whatever they hold; `all` for every one. */
  readonly forcedQuotes: readonly string[] | "all";
}

/** Delimiters and quotes are one byte each. */
export type CopyDataFormat =
  | { readonly kind: "text"; readonly delimiter: string; readonly nullText: string }
  | {
      readonly kind: "csv";
      readonly delimiter: string;
      readonly nullText: string;
      readonly quote: string;
      readonly escape: string;
    }
  | { readonly kind: "binary" };
