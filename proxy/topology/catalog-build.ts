/** Builds a Catalog from the rows of catalog-queries.ts. Pure; it knows the order of their columns. */
import { invariant } from "../../base/invariant.ts";
import type {
  Catalog,
  CatalogCollation,
  CatalogColumn,
  CatalogFunction,
  CatalogRelation,
  CatalogTrigger,
  CatalogType,
  CatalogView,
  HiddenCalls,
} from "../../shardmap/catalog.ts";
import { routineBody } from "../../shardmap/routine-body.ts";
import { columnFill } from "./column-fill.ts";
import type { SequenceName } from "./column-fill.ts";

export type Row = readonly (string | null)[];

/** One list a query, in its order. */
export interface CatalogRows {
  readonly database: readonly Row[];
  readonly schemas: readonly Row[];
  readonly relations: readonly Row[];
  readonly views: readonly Row[];
  readonly columns: readonly Row[];
  readonly sequences: readonly Row[];
  readonly uniqueKeys: readonly Row[];
  readonly foreignKeys: readonly Row[];
  readonly triggers: readonly Row[];
  readonly types: readonly Row[];
  readonly functions: readonly Row[];
  readonly hiddenCalls: readonly Row[];
  readonly collations: readonly Row[];
  readonly redefinedComparisons: readonly Row[];
}

export function buildCatalog(rows: CatalogRows, epoch: number): Catalog {
  const [database] = rows.database;
  invariant(database !== undefined, "a session's own database is in pg_database");
  const encoding = text(database, 1);
  return {
    epoch,
    serverVersion: integer(database, 0),
    relations: buildRelations(rows),
    types: buildTypes(rows.types),
    functions: buildFunctions(rows.functions),
    hiddenCalls: buildHiddenCalls(rows.hiddenCalls),
    unconfirmed: new Set(),
    collations: buildCollations(rows.collations, encoding),
    redefinedComparison: rows.redefinedComparisons[0]?.[0] ?? undefined,
    defaultCollation: defaultCollation(database, encoding),
  };
}

const RELATION_KIND: Readonly<Record<string, CatalogRelation["kind"]>> = {
  r: "table",
  p: "partitioned table",
  v: "view",
  m: "materialized view",
  f: "foreign table",
  S: "sequence",
};

/** What relations are made of: the rows of a whole catalog, or those of a part of it. */
export type RelationRows = Omit<
  CatalogRows,
  "database" | "types" | "functions" | "hiddenCalls" | "collations" | "redefinedComparisons"
>;

export function buildRelations(rows: RelationRows): Catalog["relations"] {
  const schemas = new Map<string, Map<string, CatalogRelation>>();
  for (const row of rows.schemas) schemas.set(text(row, 0), new Map());
  const columns = buildColumns(rows);
  const uniqueKeys = groupByOid(rows.uniqueKeys);
  const foreignKeys = groupByOid(rows.foreignKeys);
  const triggers = groupByOid(rows.triggers);
  const views = new Map(rows.views.map((row) => [integer(row, 0), buildView(row)]));
  for (const row of rows.relations) {
    const oid = integer(row, 0);
    const schema = text(row, 1);
    const name = text(row, 2);
    const keys = uniqueKeys.get(oid) ?? [];
    const primary = keys.find((key) => boolean(key, 2));
    schemas.get(schema)?.set(name, {
      oid,
      schema,
      name,
      kind: RELATION_KIND[text(row, 3)] ?? "other",
      columns: columns.get(oid) ?? [],
      primaryKey: primary === undefined ? [] : names(primary, 4),
      uniqueKeys: keys.map((key) => ({
        name: text(key, 1),
        columns: boolean(key, 3) ? names(key, 4) : undefined,
      })),
      foreignKeys: (foreignKeys.get(oid) ?? []).map((key) => ({
        name: text(key, 1),
        columns: names(key, 2),
        referencedSchema: text(key, 3),
        referencedTable: text(key, 4),
        referencedColumns: names(key, 5),
      })),
      hasRules: boolean(row, 4),
      hasRowSecurity: boolean(row, 5),
      triggers: (triggers.get(oid) ?? []).map(buildTrigger),
      isInherited: boolean(row, 6),
      view: views.get(oid),
    });
  }
  return schemas;
}

/** pg_get_viewdef ends with the semicolon of a statement. */
function buildView(row: Row): CatalogView {
  return { query: text(row, 1).replace(/;\s*$/, ""), isReadable: boolean(row, 2) };
}

function buildTrigger(row: Row): CatalogTrigger {
  const name = text(row, 3);
  const conditionCalls = new Set(routineBody("sql", row[7] ?? "").calls);
  // The definition names the trigger's own function, which no expression can call.
  conditionCalls.delete(name);
  return {
    name: text(row, 1),
    functionName: `${text(row, 2)}.${name}`,
    isForEachRow: boolean(row, 6),
    body: routineBody(text(row, 4), text(row, 5)),
    conditionCalls,
  };
}

function buildColumns(rows: RelationRows): ReadonlyMap<number, readonly CatalogColumn[]> {
  const sequencesOf = new Map<string, SequenceName[]>();
  for (const row of rows.sequences) {
    const key = `${text(row, 0)}.${text(row, 1)}`;
    const sequence = { schema: text(row, 2), sequence: text(row, 3) };
    sequencesOf.set(key, [...(sequencesOf.get(key) ?? []), sequence]);
  }
  const sequences = new Set<string>();
  for (const row of rows.relations) {
    if (text(row, 3) === "S") sequences.add(JSON.stringify([row[1], row[2]]));
  }
  const columns = new Map<number, CatalogColumn[]>();
  for (const row of rows.columns) {
    const list = listOf(columns, integer(row, 0));
    list.push({
      name: text(row, 1),
      number: integer(row, 2),
      typeOid: integer(row, 3),
      typmod: integer(row, 4),
      collationOid: integer(row, 5),
      notNull: boolean(row, 6),
      fill: columnFill({
        identity: text(row, 7),
        generated: text(row, 8),
        expression: row[9] ?? null,
        typeName: text(row, 10),
        typeDefault: row[11] ?? null,
        callsExtensionUuid: boolean(row, 12),
        sequences: sequencesOf.get(`${text(row, 0)}.${text(row, 2)}`) ?? [],
        sequenceExists: ({ schema, sequence }) => sequences.has(JSON.stringify([schema, sequence])),
      }),
    });
  }
  return columns;
}

const TYPE_KIND: Readonly<Record<string, CatalogType["kind"]>> = {
  b: "base",
  c: "composite",
  d: "domain",
  e: "enum",
  r: "range",
  m: "multirange",
  p: "pseudo",
};

export function buildTypes(rows: readonly Row[]): ReadonlyMap<number, CatalogType> {
  const types = new Map<number, CatalogType>();
  for (const row of rows) {
    const oid = integer(row, 0);
    types.set(oid, {
      oid,
      schema: text(row, 1),
      name: text(row, 2),
      kind: TYPE_KIND[text(row, 3)] ?? "pseudo",
      category: text(row, 4),
      elementOid: integer(row, 5),
      baseOid: integer(row, 6),
      collationOid: integer(row, 7),
      labels: names(row, 8),
    });
  }
  return types;
}

const FUNCTION_KIND: Readonly<Record<string, CatalogFunction["kind"]>> = {
  f: "function",
  a: "aggregate",
  w: "window",
  p: "procedure",
};

const VOLATILITY: Readonly<Record<string, CatalogFunction["volatility"]>> = {
  i: "immutable",
  s: "stable",
  v: "volatile",
};

function buildFunctions(rows: readonly Row[]): Catalog["functions"] {
  const functions = new Map<string, CatalogFunction[]>();
  for (const row of rows) {
    const source = row[5] ?? undefined;
    const kind = FUNCTION_KIND[text(row, 2)] ?? "function";
    const textLanguage = kind === "aggregate" ? "sql" : text(row, 4);
    listOf(functions, text(row, 1)).push({
      schema: text(row, 0),
      name: text(row, 1),
      kind,
      volatility: VOLATILITY[text(row, 3)] ?? "volatile",
      language: text(row, 4),
      body: source === undefined ? undefined : routineBody(textLanguage, source),
    });
  }
  return functions;
}

function buildHiddenCalls(rows: readonly Row[]): HiddenCalls {
  const operators = new Map<string, Set<string>>();
  const types = new Map<string, Set<string>>();
  const relations = new Map<number, Set<string>>();
  for (const row of rows) {
    const name = text(row, 1);
    const { calls } = routineBody("sql", text(row, 2));
    if (text(row, 0) === "relation") addAll(relations, Number(name), calls);
    else addAll(text(row, 0) === "operator" ? operators : types, name, calls);
  }
  return { operators, types, relations };
}

function addAll<K>(sets: Map<K, Set<string>>, key: K, more: ReadonlySet<string>): void {
  sets.set(key, new Set([...(sets.get(key) ?? []), ...more]));
}

function buildCollations(
  rows: readonly Row[],
  encoding: string,
): ReadonlyMap<number, CatalogCollation> {
  const collations = new Map<number, CatalogCollation>();
  for (const row of rows) {
    const oid = integer(row, 0);
    collations.set(oid, {
      oid,
      schema: text(row, 1),
      name: text(row, 2),
      isDeterministic: boolean(row, 3),
      isByteOrder: isByteOrder(text(row, 4), row[5] ?? null, row[6] ?? null, encoding),
    });
  }
  return collations;
}

const DEFAULT_COLLATION_OID = 100;

/** OID 100 stands for the database's own; a database's default is always deterministic. */
function defaultCollation(database: Row, encoding: string): CatalogCollation {
  return {
    oid: DEFAULT_COLLATION_OID,
    schema: "pg_catalog",
    name: "default",
    isDeterministic: true,
    isByteOrder: isByteOrder(text(database, 2), database[3] ?? null, database[4] ?? null, encoding),
  };
}

/** Locales of the builtin provider, which all order by code point: the manual's 23.2.2.3. */
const BUILTIN_LOCALES = new Set(["C", "C.UTF-8", "PG_UNICODE_FAST"]);

/**
 * libc's C.UTF-8 is not counted: C libraries differ in how it orders. Where the server's
 * encoding is not UTF-8, its bytes order unlike the UTF-8 that the proxy sees.
 */
function isByteOrder(
  provider: string,
  collate: string | null,
  locale: string | null,
  encoding: string,
): boolean {
  if (encoding !== "UTF8" && encoding !== "SQL_ASCII") return false;
  if (provider === "c") return collate === "C" || collate === "POSIX";
  return provider === "b" && locale !== null && BUILTIN_LOCALES.has(locale);
}

function groupByOid(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const groups = new Map<number, Row[]>();
  for (const row of rows) listOf(groups, integer(row, 0)).push(row);
  return groups;
}

function listOf<Key, Value>(lists: Map<Key, Value[]>, key: Key): Value[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}

function text(row: Row, column: number): string {
  const value = row[column];
  invariant(value !== null && value !== undefined, "a catalog column that is NOT NULL has a value");
  return value;
}

function integer(row: Row, column: number): number {
  return Number(text(row, column));
}

function boolean(row: Row, column: number): boolean {
  return text(row, column) === "t";
}

/** A JSON array of names; NULL is none. */
function names(row: Row, column: number): readonly string[] {
  return JSON.parse(row[column] ?? "[]") as string[];
}
