/** What a COPY needs. Its data comes and goes after the plan is made, so nothing of it is here. */
import type { DatabaseName } from "../../base/ids.ts";
import type { KeyColumn } from "../../shardmap/key-assignment.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import type { GeneratedColumn } from "../generated-column.ts";
import type { QueryPlan } from "../logical-plan.ts";
import type { Refusal } from "../refusal.ts";
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
  /** Undefined where the data is relayed as it comes, wherever the rows go. */
  readonly rows: CopyRows | undefined;
  /**
   * What the proxy says of an option that it does not take, once a server has found nothing wrong
   * with the statement: what is wrong, the server says. No row is taken.
   */
  readonly refusal: Refusal | undefined;
}

/** How rows are taken apart. */
export interface CopyRows {
  /** The client's statement, for a server to say what is wrong with it, or with the header. */
  readonly check: SqlTemplate;
  readonly format: CopyDataFormat;
  readonly header: "none" | "skipped" | "matched";
  /** The data's columns in order. */
  readonly columns: readonly string[];
  /** What is written behind the fields of each row. */
  readonly generated: readonly CopiedColumn[];
  /** DEFAULT: a field that is this text takes its column's default; undefined without the option. */
  readonly marker: DefaultMarker | undefined;
  /** A placement that gets every row may get the data as it comes: nothing of a row has to be looked at. */
  readonly isRelayable: boolean;
}

export interface DefaultMarker {
  readonly text: string;
  /** The data's columns that the proxy fills where the marker stands; the server does in any other. */
  readonly filled: readonly MarkedColumn[];
}

export interface MarkedColumn {
  /** Of the field in the data. */
  readonly index: number;
  readonly column: CopiedColumn;
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
        /** Where the field is the marker of DEFAULT. */
        readonly byDefault: DefaultKey;
      }
    | KeyDefault;
}

/** `index`: among the values drawn for the row, those of marked fields behind the others. */
export type KeyDefault =
  | { readonly kind: "generated"; readonly index: number }
  | { readonly kind: "constant"; readonly text: string };

/** `none`: the server says that the column has no default. `computed`: only it knows the value. */
export type DefaultKey = KeyDefault | { readonly kind: "none" } | { readonly kind: "computed" };

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
  /** The options, for a server to say what is wrong with them; undefined where the server that writes the data does. */
  readonly check: CopyOptionsText | undefined;
  /** As in CopyInPlan. */
  readonly refusal: Refusal | undefined;
}

/** Options of a COPY written anew, each with its place in the client's text. */
export interface CopyOptionsText {
  readonly original: string;
  readonly options: readonly { readonly sql: string; readonly originalOffset: number }[];
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
