/** From a parsed statement to its plan: dispatch by what kind of statement it is. */
import type { MergeStmt } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import { checkArguments } from "./execute-arguments.ts";
import { checkHiddenCalls } from "./hidden-calls.ts";
import { listChannels } from "./listening-channels.ts";
import type { LogicalPlan } from "./logical-plan.ts";
import { resolveTable } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { withRefusals } from "./refusal.ts";
import { refuseStatement } from "./refused-statements.ts";
import { refuseReservedSchema } from "./reserved-schema.ts";
import { planCopy } from "./route-copy.ts";
import { planDdl } from "./route-ddl.ts";
import { intoTarget } from "./ddl/temporary.ts";
import { planInsert } from "./route-insert.ts";
import { checkReferenceMerge, routeShardedMerge } from "./route-merge.ts";
import { planTemporaryOfShards } from "./route-beside-temporary.ts";
import { routeQuery } from "./route-query.ts";
import { withinStack } from "./several.ts";
import { planDeclare, planUpdateCurrent, writeToCurrent } from "./utility-cursors.ts";
import { planExplain } from "./utility-explain.ts";
import { planUtility } from "./utility.ts";
import { expandViews } from "./views/expand.ts";
import { withOrigin } from "./views/plan-origin.ts";
import { checkWriteEffects } from "./write-rules.ts";

/** Throws SqlError for what cannot be answered as one PostgreSQL would. */
export function planStatement(statement: ParsedStatement, context: PlanContext): LogicalPlan {
  // Statements within this one (of a COPY, an INSERT, a cursor) are run by texts of their own.
  const { listening, ...within } = context;
  return withinStack(() =>
    withRefusals(statement, () =>
      planExpanded(expandViews(listChannels(statement, listening), within), within),
    ),
  );
}

function planExpanded(statement: ParsedStatement, context: PlanContext): LogicalPlan {
  return withOrigin(
    withRefusals(statement, () => dispatch(statement, context)),
    statement,
  );
}

function dispatch(statement: ParsedStatement, context: PlanContext): LogicalPlan {
  const { node } = statement;
  refuseReservedSchema(statement, context);
  checkWriteEffects(node, context);
  checkHiddenCalls(node, context);
  checkArguments(node, context);
  const current = writeToCurrent(node);
  if (current !== undefined) {
    const write = statement.withNode(current.write);
    return planUpdateCurrent(statement, current.cursor, routeQuery(write, context));
  }
  const ofShards = planTemporaryOfShards(statement, context);
  if (ofShards !== undefined) return ofShards;
  if ("SelectStmt" in node && intoTarget(node.SelectStmt) !== undefined) {
    const temporary = planDdl(statement, context);
    if (temporary !== undefined) return temporary;
  }
  if ("SelectStmt" in node || "UpdateStmt" in node || "DeleteStmt" in node)
    return routeQuery(statement, context);
  if ("InsertStmt" in node)
    return planInsert(statement, node.InsertStmt, context, (query) =>
      planStatement(query, context),
    );
  if ("MergeStmt" in node) return planMerge(statement, node.MergeStmt, context);
  if ("ExplainStmt" in node)
    return planExplain(statement, node.ExplainStmt, (query) => planStatement(query, context));
  if ("CopyStmt" in node)
    return planCopy(statement, node.CopyStmt, (query) => planStatement(query, context), context);
  if ("DeclareCursorStmt" in node)
    return planDeclare(statement, node.DeclareCursorStmt, (query) => planStatement(query, context));
  const utility = planUtility(statement, context);
  if (utility !== undefined) return utility;
  const ddl = planDdl(statement, context);
  if (ddl !== undefined) return ddl;
  return refuseStatement(node);
}

/** MERGE goes as it is to the one database that has its tables, to every database, or to the placements. */
function planMerge(
  statement: ParsedStatement,
  merge: MergeStmt,
  context: PlanContext,
): LogicalPlan {
  invariant(merge.relation !== undefined, "a MERGE has a target");
  const target = resolveTable(merge.relation, context);
  if (target.kind === "sharded") {
    const { tables } = statement.references;
    const isUnknown = tables.some((table) => resolveTable(table, context).kind === "unknown");
    if (isUnknown) return { kind: "rejected", sql: statement.text };
    return routeShardedMerge(statement, merge, target, context);
  }
  const plan = routeQuery(statement, context);
  if (plan.routing.kind === "everyDatabase" && target.kind === "reference")
    checkReferenceMerge(merge, target, context);
  return { ...plan, returnsRows: merge.returningClause !== undefined };
}
