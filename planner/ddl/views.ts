/**
 * Views, and tables made of queries: they stand in the catalog database alone, over its
 * canonical tables. A view is a text, which views/expand.ts puts where it is read; what is
 * stored of a query are the rows of the catalog database, so it may read no others.
 */
import type { Node, RangeVar, RefreshMatViewStmt, ViewStmt } from "@pgsql/types";
import { checkStoredFunctions } from "../function-rules.ts";
import type { DdlPlan } from "../logical-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { tableReferences } from "../table-references.ts";
import {
  contextWithin,
  findView,
  isElsewhere,
  parseView,
  tablesBehind,
} from "../views/definition.ts";
import { planInCatalog } from "./objects.ts";
import { existingTable, newTable } from "./table-homes.ts";

export function planCreateView(
  statement: ParsedStatement,
  { view, query }: ViewStmt,
  context: PlanContext,
): DdlPlan {
  checkTarget(view, context);
  // A table of a placement's own schema is refused here, and not by everyone who reads the view.
  for (const table of query === undefined ? [] : tableReferences(query).tables)
    existingTable(table, context);
  return planInCatalog("createView", statement, context);
}

/** CREATE TABLE AS and CREATE MATERIALIZED VIEW. */
export function planStoredQuery(
  statement: ParsedStatement,
  made: "table" | "materialized view",
  target: RangeVar | undefined,
  query: Node | undefined,
  context: PlanContext,
): DdlPlan {
  checkTarget(target, context);
  refuseElsewhere(query, `${made} "${target?.relname ?? ""}" cannot be made`, context);
  if (query !== undefined) checkStoredFunctions(query, context);
  return planInCatalog("createTableAs", statement, context);
}

export function planRefreshView(
  statement: ParsedStatement,
  { relation }: RefreshMatViewStmt,
  context: PlanContext,
): DdlPlan {
  const view = relation === undefined ? undefined : findView(relation, context);
  if (view !== undefined) {
    const { node } = parseView(view, relation?.location);
    const action = `materialized view "${view.name}" cannot be filled`;
    refuseElsewhere(node, action, contextWithin(context), relation?.location);
  }
  return planInCatalog("refreshMaterializedView", statement, context, false);
}

function checkTarget(target: RangeVar | undefined, context: PlanContext): void {
  if (target === undefined || newTable(target, context).kind !== "mapped") return;
  refuse(
    "ddl_not_supported",
    `mapped table "${target.relname ?? ""}" cannot be made from a query`,
    {
      location: target.location,
      hint: "Create the table with its columns, then insert the rows.",
    },
  );
}

/** `location`: where the client names the query, if it is not the client's own. */
export function refuseElsewhere(
  query: Node | undefined,
  action: string,
  context: PlanContext,
  location?: number,
): void {
  for (const reference of query === undefined ? [] : tableReferences(query).tables) {
    const at = location ?? reference.location;
    const table = tablesBehind({ RangeVar: reference }, context, at).find(isElsewhere);
    if (table === undefined) continue;
    refuse("ddl_not_supported", `${action} from table "${table.name}"`, {
      location: at,
      detail: "It would stand in the catalog database, where the rows of that table are not.",
      hint: "Use a view; or create a table, and fill it by INSERT ... SELECT.",
    });
  }
}
