/**
 * What a view is made of. Its query is the catalog's text, in which every name outside
 * pg_catalog has its schema, so that it means the same whatever a session's search_path is.
 */
import type { FuncCall, Node, RangeVar } from "@pgsql/types";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { nameParts, walkNodes } from "../ast.ts";
import { functionUse, type FunctionEffect } from "../functions.ts";
import { findRelation, resolveTable, type ResolvedTable } from "../names.ts";
import { parseSql, type ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { PlanRefused, refuse } from "../refusal.ts";
import { tableReferences } from "../table-references.ts";

/** The view or materialized view that a name means; undefined for any other relation. */
export function findView(reference: RangeVar, context: PlanContext): CatalogRelation | undefined {
  const relation = findRelation(reference, context);
  const isView = relation?.kind === "view" || relation?.kind === "materialized view";
  return isView ? relation : undefined;
}

/** `location`: where the client's statement names the view. */
export function parseView(
  { name, kind, view }: CatalogRelation,
  location: number | undefined,
): ParsedStatement {
  const outcome = view === undefined ? undefined : parseSql(view.query);
  const [statement, more] = outcome?.kind === "statements" ? outcome.statements : [];
  if (statement === undefined || more !== undefined || !("SelectStmt" in statement.node)) {
    return refuse("view_not_supported", `query of ${kind} "${name}" cannot be read`, { location });
  }
  return statement;
}

/** Names within a view's query are found without a search_path. */
export function contextWithin(context: PlanContext): PlanContext {
  return { ...context, searchPath: [] };
}

/**
 * The tables that a query reads, by itself and through views, each of those read once. What may not be named at all
 * is refused at `location`, since the place inside a view is none of the client's text.
 */
export function tablesBehind(
  query: Node,
  context: PlanContext,
  location: number | undefined,
  seen: Set<CatalogRelation> = new Set(),
): readonly ResolvedTable[] {
  return tableReferences(query).tables.flatMap((reference) => {
    const view = findView(reference, context);
    if (view === undefined) return [refusedAt(location, () => resolveTable(reference, context))];
    if (seen.has(view)) return [];
    seen.add(view);
    const { node } = parseView(view, location);
    return tablesBehind(node, contextWithin(context), location, seen);
  });
}

/** Runs a part of the planner about a view's inside, whose refusals are then about the view. */
export function refusedAt<T>(location: number | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PlanRefused)) throw error;
    const { id, message, details } = error.draft;
    return refuse(id, message, { ...details, location });
  }
}

/** Rows of these are elsewhere than in the catalog database. */
export function isElsewhere({ kind }: ResolvedTable): boolean {
  return kind === "sharded" || kind === "group";
}

export function isMapped(table: ResolvedTable): boolean {
  return isElsewhere(table) || table.kind === "reference";
}

/** What a view may call and still be read as it stands in the catalog database. */
const HARMLESS: ReadonlySet<FunctionEffect> = new Set([
  "immutable",
  "stable",
  "volatile",
  "serverState",
]);

/** Whether the query calls nothing that the rules for a client's own statement must see. */
export function callsHarmless(query: Node, context: PlanContext): boolean {
  let isHarmless = true;
  walkNodes(query, ({ kind, body }) => {
    if (kind === "FuncCall") {
      const { funcname, location }: FuncCall = body;
      isHarmless &&= HARMLESS.has(functionUse(nameParts(funcname), location, context).effect);
    }
    return isHarmless;
  });
  return isHarmless;
}
