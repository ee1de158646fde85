/**
 * Plans INSERT. Rows of VALUES into a sharded table are split by their shard keys; into a
 * reference table they go to every database; into a group's or an unlisted table the
 * statement goes as it is to the database that has it. Rows of a query are
 * route-insert-select.ts's, but where one database has all of them and the target too.
 */
import type { FuncCall, InsertStmt, Node, OnConflictClause, RangeVar } from "@pgsql/types";
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { KeyColumn } from "../shardmap/key-assignment.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { checkFunctions } from "./function-rules.ts";
import { functionUse, type FunctionEffect, type FunctionUse } from "./functions.ts";
import { drawnByCall } from "./insert/calls.ts";
import { checkReferenceDefaults } from "./insert/defaults.ts";
import { checkConflictClause, checkUniqueKeys } from "./insert/conflict.ts";
import { checkInsertExpressions } from "./insert/expressions.ts";
import { keyPlaces } from "./insert/keys.ts";
import { splitInsert, type InsertInput } from "./insert/values.ts";
import { verifyInsert } from "./insert/verify.ts";
import type { HomeReason, LogicalPlan, QueryPlan, RejectedPlan } from "./logical-plan.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import { resolveTable, targetOf, searchedSchemas, type ResolvedTable } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import { planGatheredInsert, planInsertSelect, planPinnedInsert } from "./route-insert-select.ts";
import { tableTemplate } from "./rewrite.ts";
import type { SqlTemplate } from "./sql-template.ts";
import { tableReferences } from "./table-references.ts";
import { severally } from "./several.ts";

/** `planQuery`: plans a statement that is a part of this one. */
export function planInsert(
  statement: ParsedStatement,
  insert: InsertStmt,
  context: PlanContext,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  invariant(insert.relation !== undefined, "an INSERT has a target");
  const target = resolveTable(insert.relation, context);
  switch (target.kind) {
    case "unknown":
      return rejected(statement);
    case "system":
    case "unlisted":
    case "group": {
      const isGroup = target.kind === "group";
      const database = isGroup ? target.table.group.database : context.map.catalog;
      const stranger = tableElsewhere(statement, database, context);
      if (stranger !== undefined && isQuery(insert))
        return planGatheredInsert({ statement, insert, context }, target.name, planQuery);
      if (stranger !== undefined) refuseElsewhere(stranger, database, context);
      return planHome(statement, insert, database, isGroup ? "group" : "unlisted table", context);
    }
    case "reference":
      return planReference(statement, insert, target, context, planQuery);
    case "sharded":
      return planSharded(statement, insert, target, context, planQuery);
  }
}

/** A server that is given the text to parse words the error. */
function rejected({ text }: ParsedStatement): RejectedPlan {
  return { kind: "rejected", sql: text };
}

function namesTemplate(statement: ParsedStatement, context: PlanContext): SqlTemplate {
  return tableTemplate(statement, (table) => targetOf(resolveTable(table, context), context), {
    map: context.map,
    searchPath: searchedSchemas(context),
  });
}

/** The caller has found everything that the statement names in the database. */
function planHome(
  statement: ParsedStatement,
  insert: InsertStmt,
  database: DatabaseName,
  because: HomeReason,
  context: PlanContext,
): QueryPlan {
  const functions = callsThatReach(statement.node, context);
  const locks = functions.some(({ effect }) => effect === "sessionLock");
  const home = { kind: "home", database, because: locks ? "advisory lock" : because } as const;
  checkFunctions({ functions }, { ...home, rule: "insertAtHome" }, context);
  return queryPlan("insertAtHome", home, statement, insert, context);
}

const REACHING: ReadonlySet<FunctionEffect> = new Set([
  "readsTables",
  "sessionState",
  "sessionLock",
]);

/** Calls that look beyond the statement's own tables, or leave something in the session. */
function callsThatReach(node: Node, context: PlanContext): readonly FunctionUse[] {
  const uses: FunctionUse[] = [];
  walkNodes(node, ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    const { funcname, location }: FuncCall = body;
    const use = functionUse(nameParts(funcname), location, context);
    if (REACHING.has(use.effect)) uses.push(use);
    return true;
  });
  return uses;
}

/** A table of the statement that is not in the database. */
function tableElsewhere(
  statement: ParsedStatement,
  database: DatabaseName,
  context: PlanContext,
): RangeVar | undefined {
  return tableReferences(statement.node).tables.find(
    (table) => !isAtHome(table, database, context),
  );
}

function isAtHome(table: RangeVar, database: DatabaseName, context: PlanContext): boolean {
  const resolved = resolveTable(table, context);
  switch (resolved.kind) {
    case "reference":
    case "system":
      return true;
    case "group":
      return resolved.table.group.database === database;
    case "sharded":
      return false;
    default:
      return database === context.map.catalog;
  }
}

function refuseElsewhere(table: RangeVar, database: DatabaseName, context: PlanContext): never {
  return refuse(
    "insert_across_databases",
    `table "${resolveTable(table, context).name}" is not in the database of the INSERT's target`,
    {
      location: table.location,
      detail: `The rows go to database "${database}".`,
      hint: "Select the rows first, then insert them.",
    },
  );
}

function queryPlan(
  rule: string,
  routing: QueryPlan["routing"],
  statement: ParsedStatement,
  insert: InsertStmt,
  context: PlanContext,
): QueryPlan {
  return {
    kind: "query",
    access: "write",
    rule,
    routing,
    template: namesTemplate(statement, context),
    several: severally(routing.kind === "everyDatabase" ? { kind: "agree" } : { kind: "counts" }),
    returnsRows: insert.returningClause !== undefined,
  };
}

type ReferenceTable = Extract<ResolvedTable, { kind: "reference" }>;
type ShardedTable = Extract<ResolvedTable, { kind: "sharded" }>;

/** Every database runs the same text, so it may hold nothing that would come out differently. */
function planReference(
  statement: ParsedStatement,
  insert: InsertStmt,
  target: ReferenceTable,
  context: PlanContext,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { name, relation } = target;
  checkStatementExpressions(insert, "reference", name, context);
  if (isQuery(insert)) return planGatheredInsert({ statement, insert, context }, name, planQuery);
  refuseWith(insert, name);
  const input = {
    statement,
    insert,
    relation,
    target: "reference",
    keys: [],
    tables: namesTemplate(statement, context),
    context,
  } as const;
  return planSplit(input, { kind: "reference", name }, "insertIntoReference", false);
}

function planSharded(
  statement: ParsedStatement,
  insert: InsertStmt,
  target: ShardedTable,
  context: PlanContext,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { name, relation, table } = target;
  const written = { statement, insert, context };
  if (insert.withClause !== undefined && !isQuery(insert)) return planPinnedInsert(written, target);
  checkUniqueKeys({ relation, keyColumns: table.keyColumns }, insert.relation?.location);
  const conflict = insert.onConflictClause;
  if (conflict !== undefined)
    checkConflictClause(conflict, { relation, keyColumns: table.keyColumns });
  checkStatementExpressions(insert, "sharded", name, context);
  const keys = keyPlaces(target);
  if (isQuery(insert)) return planInsertSelect(written, target, keys, planQuery);
  const input = {
    statement,
    insert,
    relation,
    target: "sharded",
    keys,
    tables: namesTemplate(statement, context),
    context,
  } as const;
  return planSplit(
    input,
    table,
    "splitRowsByShardKey",
    mayLeaveRowsOut(conflict) || relation.triggers.length > 0,
  );
}

/** DO UPDATE without a WHERE gives every row back, inserted or updated. */
function mayLeaveRowsOut(conflict: OnConflictClause | undefined): boolean {
  if (conflict === undefined) return false;
  return conflict.action !== "ONCONFLICT_UPDATE" || conflict.whereClause !== undefined;
}

function planSplit(
  input: InsertInput,
  table: InsertPlan["table"],
  rule: string,
  mayDropRows: boolean,
): LogicalPlan {
  const split = splitInsert(input);
  if (split === undefined) return rejected(input.statement);
  const { rows, generated, template, defaulted, readsClock } = split;
  if (input.target === "reference") checkReferenceDefaults(table.name, defaulted, input.context);
  const plan: InsertPlan = {
    kind: "insert",
    access: "write",
    rule,
    table,
    keyColumns: input.keys.map((place): KeyColumn => place.key),
    rows,
    generated,
    template,
    returnsRows: input.insert.returningClause !== undefined,
    mayDropRows,
    readsClock,
  };
  verifyInsert(plan, input);
  return plan;
}

/** A WITH query of the statement would run once for each placement. */
function refuseWith({ withClause }: InsertStmt, table: string): void {
  if (withClause === undefined) return;
  refuse(
    "insert_query_not_supported",
    `WITH is not supported in an INSERT into mapped table "${table}"`,
    {
      location: withClause.location ?? 0,
      hint: "Select the rows first, then insert them with VALUES.",
    },
  );
}

/** Rows that are not all written out one by one. */
function isQuery({ selectStmt }: InsertStmt): boolean {
  if (selectStmt === undefined || !("SelectStmt" in selectStmt)) return false;
  const select = selectStmt.SelectStmt;
  const isPlain =
    select.valuesLists !== undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    select.limitOffset === undefined &&
    select.lockingClause === undefined &&
    select.withClause === undefined;
  return !isPlain;
}

function checkStatementExpressions(
  insert: InsertStmt,
  target: "sharded" | "reference",
  table: string,
  context: PlanContext,
): void {
  const rows =
    insert.selectStmt !== undefined && "SelectStmt" in insert.selectStmt
      ? (insert.selectStmt.SelectStmt.valuesLists ?? [])
      : [];
  const computed = rows
    .map((row) => ("List" in row ? (row.List.items ?? []) : []))
    .map((row) => row.filter((value) => !isDrawn(value, context)));
  checkInsertExpressions(computed, target, table, context);
  checkInsertExpressions(insert.onConflictClause, target, table, context);
  checkInsertExpressions(insert.returningClause, target, table, context);
}

function isDrawn(value: Node, context: PlanContext): boolean {
  return drawnByCall(value, context) !== undefined;
}
