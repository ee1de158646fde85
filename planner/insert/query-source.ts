/**
 * INSERT ... SELECT that is taken apart: the query by itself, to be planned and run as any
 * other, and the INSERT around it, which gets the query's rows as VALUES.
 */
import type { InsertStmt, Node, SelectStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import { sameTree } from "../ast.ts";
import type { InsertQueryPlan } from "./insert-plan.ts";
import { parseSql, type ParsedStatement } from "../parse.ts";
import { refuse } from "../refusal.ts";
import { composedOrigin, editText } from "../text-origin.ts";
import { queryLayout } from "./layout.ts";

export interface QuerySource {
  /** The query, with the statement's WITH before it; its positions are those of the client's text. */
  readonly statement: ParsedStatement;
  /** See InsertQueryPlan. */
  readonly insertStart: number;
  readonly queryStart: number;
  readonly queryEnd: number;
  readonly untyped: ReadonlySet<number>;
}

export function querySourceOf(statement: ParsedStatement, insert: InsertStmt): QuerySource {
  const select = queryOf(insert);
  const { text } = statement;
  const { insertStart, query } = queryLayout(statement, insert);
  const made = editText(text, [
    { start: insertStart, end: query.start, text: "" },
    { start: query.end, end: text.length, text: "" },
  ]);
  const outcome = parseSql(made.text);
  const [source] = outcome.kind === "statements" ? outcome.statements : [];
  const meant = { SelectStmt: withClauseOf(insert, select) };
  invariant(
    source !== undefined && sameTree(source.node, meant),
    "the query of an INSERT reads alike by itself",
  );
  return {
    statement: source.madeOf(composedOrigin(made.origin, statement.origin)),
    insertStart,
    queryStart: query.start,
    queryEnd: query.end,
    untyped: untypedOutputs(select),
  };
}

export function queryOf({ selectStmt }: InsertStmt): SelectStmt {
  invariant(
    selectStmt !== undefined && "SelectStmt" in selectStmt,
    "INSERT ... SELECT has a query",
  );
  return selectStmt.SelectStmt;
}

/** The statement's WITH is the query's, which may have another of its own inside parentheses alone. */
function withClauseOf({ withClause }: InsertStmt, select: SelectStmt): SelectStmt {
  if (withClause === undefined) return select;
  if (select.withClause !== undefined) {
    refuse(
      "insert_query_not_supported",
      "WITH both before INSERT and in its query is not supported",
      { location: select.withClause.location, hint: "Write one WITH clause with all queries." },
    );
  }
  return { ...select, withClause };
}

/** Strings and NULLs of the select list, up to a `*`, which may be any number of columns. */
function untypedOutputs({ targetList = [] }: SelectStmt): ReadonlySet<number> {
  const untyped = new Set<number>();
  for (const [index, output] of targetList.entries()) {
    const value = "ResTarget" in output ? output.ResTarget.val : undefined;
    if (value === undefined || mayBeSeveral(value)) break;
    if (isUntyped(value)) untyped.add(index);
  }
  return untyped;
}

function mayBeSeveral(value: Node): boolean {
  if ("ColumnRef" in value)
    return value.ColumnRef.fields?.some((field) => "A_Star" in field) === true;
  return (
    "A_Indirection" in value &&
    value.A_Indirection.indirection?.some((step) => "A_Star" in step) === true
  );
}

function isUntyped(value: Node): boolean {
  return "A_Const" in value && (value.A_Const.sval !== undefined || value.A_Const.isnull === true);
}

/**
 * Writes rows of the query as rows of VALUES. `typeOids`: of its columns, in the catalog
 * database's OIDs; values as PostgreSQL prints them.
 */
export function rowWriter(
  { untyped, table }: InsertQueryPlan,
  typeOids: readonly number[],
  { types }: Catalog,
): (values: readonly (string | null)[]) => string {
  const names = typeOids.map((oid, column) => {
    if (untyped.has(column)) return undefined;
    const type = types.get(oid);
    if (type !== undefined) return quoteQualified(type.schema, type.name);
    throw new SqlError(
      "type_not_translatable",
      `type of column ${column + 1} of the rows for table "${table}" is not known`,
    );
  });
  const isNumeric = typeOids.map((oid) => oid === NUMERIC_OID);
  const constant = (value: string | null, column: number): string => {
    const name = names[column];
    const cast = name === undefined ? "" : `::${name}`;
    if (value === null) return `NULL${cast}`;
    return isNumeric[column] === true && PLAIN_NUMBER.test(value)
      ? numericConstant(value)
      : `${quoteLiteral(value)}${cast}`;
  };
  return (values) => `(${values.map(constant).join(", ")})`;
}

const NUMERIC_OID = 1700;
const PLAIN_NUMBER = /^-?[0-9]+(?:\.[0-9]+)?$/;

/** A number with a point is a numeric to PostgreSQL, and a constant that a shard key can be read from. */
function numericConstant(text: string): string {
  return text.includes(".") ? text : `${text}.`;
}

/** The statement with its rows written out. */
export function insertOfRows(
  { sql, origin, insertStart, queryStart, queryEnd }: InsertQueryPlan,
  rows: readonly string[],
): ParsedStatement {
  const made = editText(sql, [
    { start: 0, end: insertStart, text: "" },
    { start: queryStart, end: queryEnd, text: `VALUES ${rows.join(", ")}` },
  ]);
  const outcome = parseSql(made.text);
  const [statement] = outcome.kind === "statements" ? outcome.statements : [];
  invariant(
    statement !== undefined && "InsertStmt" in statement.node,
    "an INSERT whose rows are written out is an INSERT",
  );
  return statement.madeOf(composedOrigin(made.origin, origin));
}
