/**
 * Puts the queries of views in the place of their names, so that all later rules see the
 * tables behind them: `FROM v` becomes `FROM (query) AS "v"`, spliced into the client's text.
 *
 * A view that names no mapped table, however deep, stands whole in the catalog database and
 * is left as it is written, unless it calls what a client's own statement might not.
 * Nothing may be written through a view.
 */
import type { ColumnRef, Node, RangeVar } from "@pgsql/types";
import { VIEWS_EXPANDED_MAX } from "../../base/limits.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { nameParts, sameTree, unwrap, walkNodes } from "../ast.ts";
import { parseSql, type ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { nameExtent } from "../rewrite.ts";
import { tableReferences } from "../table-references.ts";
import { composedOrigin, editText, type TextEdit } from "../text-origin.ts";
import { writtenTables } from "../written-tables.ts";
import {
  callsHarmless,
  contextWithin,
  findView,
  isElsewhere,
  isMapped,
  parseView,
  refusedAt,
  tablesBehind,
} from "./definition.ts";

/** Kinds of statements that read rows; all others name a view as an object. */
const READING: ReadonlySet<string> = new Set([
  "SelectStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
  "CopyStmt",
]);

/** The statement itself where it names no view that must be expanded. */
export function expandViews(statement: ParsedStatement, context: PlanContext): ParsedStatement {
  const { node } = statement;
  if (context.map.tables.size === 0 || !READING.has(unwrap(node)?.kind ?? "")) return statement;
  return new ViewExpansion().expand(statement, context, undefined).statement;
}

interface Expansion {
  readonly statement: ParsedStatement;
  /** Of views' queries, in the statement's text. */
  readonly copies: number;
}

interface ExpandedView {
  readonly reference: RangeVar;
  readonly view: CatalogRelation;
  readonly query: ParsedStatement;
  readonly copies: number;
}

class ViewExpansion {
  /** By view, its query with the views in it expanded; undefined for one that stays as written. */
  readonly #queries = new Map<CatalogRelation, Expansion | "being read" | undefined>();

  /** `location`: of the client's name for the view whose query this is; undefined for the client's statement. */
  expand(
    statement: ParsedStatement,
    context: PlanContext,
    location: number | undefined,
  ): Expansion {
    const { references } = statement;
    const expanded = references.tables.flatMap((reference): readonly ExpandedView[] => {
      const view = findView(reference, context);
      if (view === undefined) return [];
      refuseWritten(reference, view, statement.node);
      const query = this.#queryOf(view, context, location ?? reference.location);
      if (query === undefined) return [];
      return [{ reference, view, query: query.statement, copies: query.copies + 1 }];
    });
    if (expanded.length === 0) return { statement, copies: 0 };
    const copies = expanded.reduce((sum, one) => sum + one.copies, 0);
    if (copies > VIEWS_EXPANDED_MAX) refuseTooMany(location ?? expanded[0]?.reference.location);
    refuseHiddenNames(expanded, context);
    refuseWholeRows(statement.node, expanded, context);
    const columns = references.schemaQualifiedColumns.filter((column) =>
      isColumnOf(column, expanded, context),
    );
    return { statement: spliced(statement, expanded, columns), copies };
  }

  #queryOf(
    view: CatalogRelation,
    context: PlanContext,
    location: number | undefined,
  ): Expansion | undefined {
    const known = this.#queries.get(view);
    if (known === "being read") refuseTooMany(location);
    if (this.#queries.has(view)) return known;
    this.#queries.set(view, "being read");
    const query = this.#read(view, context, location);
    this.#queries.set(view, query);
    return query;
  }

  #read(
    view: CatalogRelation,
    context: PlanContext,
    location: number | undefined,
  ): Expansion | undefined {
    const query = parseView(view, location);
    const within = contextWithin(context);
    const tables = tablesBehind(query.node, within, location);
    if (view.kind === "materialized view") {
      const elsewhere = tables.find(isElsewhere);
      if (elsewhere !== undefined) refuseStored(view, elsewhere.name, location);
      return undefined;
    }
    const expanded = refusedAt(location, () => this.expand(query, within, location));
    const isAsWritten =
      expanded.copies === 0 && !tables.some(isMapped) && callsHarmless(query.node, within);
    if (isAsWritten) return undefined;
    if (context.isOtherRole === true) refuseOtherRole(view, context, location);
    if (view.view?.isReadable !== true)
      refuse("view_permission_denied", `permission denied for view ${view.name}`, { location });
    return expanded;
  }
}

function refuseTooMany(location: number | undefined): never {
  return refuse("statement_too_deep", `statement reads more than ${VIEWS_EXPANDED_MAX} views`, {
    location,
  });
}

/** Whether a role may read the view is for the server to say, which never sees it. */
function refuseOtherRole(
  { name, kind }: CatalogRelation,
  { user }: PlanContext,
  location: number | undefined,
): never {
  return refuse("view_read_as_role", `${kind} "${name}" cannot be read as role "${user}"`, {
    location,
    detail:
      "Its query reads mapped tables, and is put in its place: privileges on the view itself would not be checked.",
  });
}

function refuseStored(
  { name }: CatalogRelation,
  table: string,
  location: number | undefined,
): never {
  return refuse(
    "view_not_supported",
    `materialized view "${name}" cannot be read through the proxy`,
    {
      location,
      detail: `It was filled in the catalog database, where the rows of table "${table}" are not.`,
      hint: "Make it a view, or a table that is filled with INSERT ... SELECT.",
    },
  );
}

function refuseWritten(reference: RangeVar, { kind, name }: CatalogRelation, node: Node): void {
  if (!writtenTables(node).some(({ relation }) => relation === reference)) return;
  refuse("view_written", `${kind} "${name}" cannot be written`, { location: reference.location });
}

/** pg_catalog is searched first unless it is listed; then the names in a view's query might mean others. */
function refuseHiddenNames([first]: readonly ExpandedView[], { searchPath }: PlanContext): void {
  if (first === undefined || searchPath.indexOf("pg_catalog") <= 0) return;
  refuse("view_not_supported", `view "${first.view.name}" cannot be read with this search_path`, {
    location: first.reference.location,
    detail: "It has schemas before pg_catalog, whose functions may hide those that the view calls.",
    hint: "Leave pg_catalog out of search_path: it is searched first.",
  });
}

/** `SELECT v FROM v` has the view's row type, which a sub-select has not. */
function refuseWholeRows(
  node: Node,
  expanded: readonly ExpandedView[],
  context: PlanContext,
): void {
  const columns = new Set(
    tableReferences(node).tables.flatMap((reference) =>
      (findView(reference, context)?.columns ?? []).map(({ name }) => name),
    ),
  );
  const rows = new Map(
    expanded.map(({ reference, view }) => [reference.alias?.aliasname ?? view.name, view]),
  );
  walkNodes(node, ({ kind, body }) => {
    const value = kind === "ResTarget" ? (body["val"] as Node | undefined) : undefined;
    const fields = value !== undefined && "ColumnRef" in value ? value.ColumnRef.fields : undefined;
    const [name] = nameParts(fields);
    const view = name === undefined || fields?.length !== 1 ? undefined : rows.get(name);
    if (view !== undefined && name !== undefined && !columns.has(name)) {
      const location =
        value !== undefined && "ColumnRef" in value ? value.ColumnRef.location : undefined;
      refuse("view_not_supported", `row of view "${view.name}" cannot be selected as one value`, {
        location,
        hint: `Select its columns: ${name}.*`,
      });
    }
    return true;
  });
}

function isColumnOf(
  { fields, location }: ColumnRef,
  expanded: readonly ExpandedView[],
  context: PlanContext,
): boolean {
  const names = (fields ?? []).map((field) => ("String" in field ? field.String.sval : undefined));
  const [schemaname, relname] = names.slice(-3);
  if (schemaname === undefined || relname === undefined) return false;
  const view = findView(
    { schemaname, relname, ...(location === undefined ? {} : { location }) },
    context,
  );
  return expanded.some((one) => one.view === view);
}

function spliced(
  statement: ParsedStatement,
  expanded: readonly ExpandedView[],
  columns: readonly ColumnRef[],
): ParsedStatement {
  const edits = [
    ...expanded.map((one) => viewEdit(statement, one)),
    ...columns.map((column) => columnEdit(statement, column)),
  ];
  const { text, origin } = editText(statement.text, edits);
  const outcome = parseSql(text);
  const [made, more] = outcome.kind === "statements" ? outcome.statements : [];
  const isMeant =
    made !== undefined &&
    more === undefined &&
    sameTree(made.node, statement.textNode, meantBy(expanded, columns));
  const [first] = expanded;
  if (!isMeant) {
    return refuse("view_not_supported", `view "${first?.view.name ?? ""}" cannot be read here`, {
      location: first?.reference.location,
      hint: "Write its name after FROM or JOIN, without ONLY or TABLESAMPLE.",
    });
  }
  return made.madeOf(composedOrigin(origin, statement.origin));
}

function viewEdit(statement: ParsedStatement, { reference, view, query }: ExpandedView): TextEdit {
  const parts =
    1 + Number(reference.schemaname !== undefined) + Number(reference.catalogname !== undefined);
  const extent = nameExtent(statement, reference.location, parts);
  const before = statement.tokens[statement.tokenIndexAt(extent.start) - 1];
  const alias = reference.alias === undefined ? ` AS ${quoteIdentifier(view.name)}` : "";
  const text = `(${query.text})${alias}`;
  // `TABLE v` is SELECT * FROM v, and takes nothing but a name.
  const isCommand =
    before !== undefined && /^table$/i.test(statement.text.slice(before.start, before.end));
  return isCommand
    ? { start: before.start, end: extent.end, text: `SELECT * FROM ${text}` }
    : { ...extent, text };
}

/** `public.v.id` loses its schema: a sub-select's name has none. */
function columnEdit(statement: ParsedStatement, column: ColumnRef): TextEdit {
  const parts = column.fields?.length ?? 0;
  const { start } = nameExtent(statement, column.location, parts - 2);
  const whole = nameExtent(statement, column.location, parts - 1);
  const [table] = nameParts(column.fields?.slice(-2));
  return { start, end: whole.end, text: quoteIdentifier(table ?? "") };
}

/** What stands in the made tree for a node of the client's. */
function meantBy(
  expanded: readonly ExpandedView[],
  columns: readonly ColumnRef[],
): (node: unknown) => unknown {
  const views = new Map<unknown, ExpandedView>(expanded.map((one) => [one.reference, one]));
  const qualified = new Set<unknown>(columns);
  return (node) => {
    if (qualified.has(node)) {
      const column = node as ColumnRef;
      return { ...column, fields: column.fields?.slice(-2) };
    }
    const inner = unwrap(node);
    const one = inner?.kind === "RangeVar" ? views.get(inner.body) : undefined;
    if (one === undefined) return node;
    const { reference, view, query } = one;
    const alias = reference.alias ?? { aliasname: view.name };
    return { RangeSubselect: { subquery: query.node, alias } };
  };
}
