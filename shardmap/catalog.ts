/**
 * What the catalog database says of tables, columns, types, functions and collations: a
 * snapshot, loaded by proxy/topology/catalog-source.ts or built from a schema file by
 * planner/catalog-from-sql.ts. The planner reads nothing else of the database.
 */
import type { RoutineBody } from "./routine-body.ts";

/** The schema of a session's temporary relations, in a catalog of that session's own. No other has it. */
export const TEMPORARY_SCHEMA = "pg_temp";

export interface Catalog {
  /** Grows with every refresh; part of the key of every cached plan. */
  readonly epoch: number;
  /** `server_version_num`, e.g. 180004. */
  readonly serverVersion: number;
  /** The user schemas that exist, and what they hold: schema name, then relation name. System schemas are not loaded. */
  readonly relations: ReadonlyMap<string, ReadonlyMap<string, CatalogRelation>>;
  /** User-defined and built-in types by OID. */
  readonly types: ReadonlyMap<number, CatalogType>;
  /** Functions outside pg_catalog by name, every overload, and the non-immutable ones of pg_catalog. */
  readonly functions: ReadonlyMap<string, readonly CatalogFunction[]>;
  readonly hiddenCalls: HiddenCalls;
  /** OIDs of relations that have appeared while nobody could say whether a newer map lists them. */
  readonly unconfirmed: ReadonlySet<number>;
  readonly collations: ReadonlyMap<number, CatalogCollation>;
  /**
   * An operator of a user's that compares built-in types, as errors print it: `=` may then mean
   * something else than it says, and no key can be told from a condition. Undefined where there is none.
   */
  readonly redefinedComparison: string | undefined;
  /** The database's own default collation: what OID 100 means. */
  readonly defaultCollation: CatalogCollation;
}

/** Functions that are called without being named, among other words; of names that several schemas have, those of all. */
export interface HiddenCalls {
  /** By the operators of users, by name. */
  readonly operators: ReadonlyMap<string, ReadonlySet<string>>;
  /** By the casts of users to a type, and by the CHECKs of a domain, by the type's name. */
  readonly types: ReadonlyMap<string, ReadonlySet<string>>;
  /** By CHECKs and indexes, by the table's OID. */
  readonly relations: ReadonlyMap<number, ReadonlySet<string>>;
}

export const NO_HIDDEN_CALLS: HiddenCalls = {
  operators: new Map(),
  types: new Map(),
  relations: new Map(),
};

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind:
    | "table"
    | "partitioned table"
    | "view"
    | "materialized view"
    | "foreign table"
    | "sequence"
    | "other";
  /** In attribute order, dropped ones left out. */
  readonly columns: readonly CatalogColumn[];
  /** Column names of the primary key, in key order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Column names of every unique index and constraint, the primary key included. Expression or partial indexes: `columns` undefined. */
  readonly uniqueKeys: readonly {
    readonly name: string;
    readonly columns: readonly string[] | undefined;
  }[];
  readonly foreignKeys: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly referencedSchema: string;
    readonly referencedTable: string;
    readonly referencedColumns: readonly string[];
  }[];
  readonly hasRules: boolean;
  readonly hasRowSecurity: boolean;
  /** Enabled user triggers (internal ones of foreign keys left out), in the order of their names. */
  readonly triggers: readonly CatalogTrigger[];
  /** A partition's or child's parents exist: rows are also seen through them. */
  readonly isInherited: boolean;
  /** Of a view and a materialized view. */
  readonly view: CatalogView | undefined;
}

export interface CatalogView {
  /** Its query, without a semicolon; every name outside pg_catalog has its schema. */
  readonly query: string;
  /** The role that the catalog was read as may select from it. */
  readonly isReadable: boolean;
}

export interface CatalogTrigger {
  readonly name: string;
  /** Its function's name, with the schema. */
  readonly functionName: string;
  /** FOR EACH ROW. */
  readonly isForEachRow: boolean;
  readonly body: RoutineBody;
  /** Functions that its WHEN condition may call, among other names. */
  readonly conditionCalls: ReadonlySet<string>;
}

export interface CatalogColumn {
  readonly name: string;
  readonly number: number;
  readonly typeOid: number;
  /** -1 for none. */
  readonly typmod: number;
  /** 0 where the type has none. */
  readonly collationOid: number;
  readonly notNull: boolean;
  readonly fill: ColumnFill;
}

/** How the column gets a value when an INSERT leaves it out. */
export type ColumnFill =
  | { readonly kind: "null" }
  /** `nextval()` of a sequence: serial, or written by hand. */
  | { readonly kind: "sequence"; readonly schema: string; readonly sequence: string }
  | {
      readonly kind: "identity";
      readonly always: boolean;
      readonly schema: string;
      readonly sequence: string;
    }
  | { readonly kind: "randomUuid" }
  /** A constant: its text, cast by the server to the column's type. */
  | { readonly kind: "constant"; readonly text: string }
  | { readonly kind: "generated" }
  /** Anything else; the server evaluates it. `sql` as pg_get_expr prints it. */
  | { readonly kind: "expression"; readonly sql: string };

export interface CatalogType {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: "base" | "composite" | "domain" | "enum" | "range" | "multirange" | "pseudo";
  /** One letter, as pg_type.typcategory. */
  readonly category: string;
  /** Element type of an array, else 0. */
  readonly elementOid: number;
  /** Base type of a domain, else 0. */
  readonly baseOid: number;
  /** Labels of an enum in their sort order, else empty. */
  readonly labels: readonly string[];
  /** 0 where the type is not collatable. */
  readonly collationOid: number;
}

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  readonly kind: "function" | "aggregate" | "window" | "procedure";
  readonly volatility: "immutable" | "stable" | "volatile";
  /** `internal`, `c`, `sql`, `plpgsql`, ... */
  readonly language: string;
  /** Of a user's aggregate, and of an immutable function of a user's in SQL or PL/pgSQL, whose promise it may belie; undefined for all others. */
  readonly body: RoutineBody | undefined;
}

export interface CatalogCollation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly isDeterministic: boolean;
  /** Sorts by the bytes of UTF-8: C, POSIX, ucs_basic, and the builtin provider's C.UTF-8 and PG_C_UTF8. */
  readonly isByteOrder: boolean;
}
