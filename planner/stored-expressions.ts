/**
 * Expressions that a table keeps and every write of a row may evaluate: defaults, CHECK
 * constraints and generated columns. They run where the row is, so what reads tables would
 * see one database's rows, as it would in a statement.
 */
import type { Constraint, FuncCall, InsertStmt, UpdateStmt } from "@pgsql/types";
import type { CatalogColumn, CatalogRelation } from "../shardmap/catalog.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { mayReachTables, useOfCall, storedCallEffect, type FunctionEffect } from "./functions.ts";
import { parseSql } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import type { WrittenTable } from "./written-tables.ts";

/** Refuses a call that may read tables in an expression which DDL is about to store; `owner` as an error names it. */
export function checkStoredExpression(
  expression: unknown,
  owner: string,
  context: PlanContext,
): void {
  walkNodes(expression, ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    const { name, effect, location } = useOfCall(body, context);
    const reaches =
      effect === "readsTables" || effect === "sessionLock" || effect === "sessionState";
    if (reaches || mayReachTables(name, context)) refuseCall(name, owner, location);
    return true;
  });
}

/** As above, for each CHECK constraint and generated column within a statement about a table or a domain. */
export function checkStoredConstraints(tree: unknown, owner: string, context: PlanContext): void {
  walkNodes(tree, ({ kind, body }) => {
    if (kind !== "Constraint") return true;
    const { contype, raw_expr: expression }: Constraint = body;
    if (contype === "CONSTR_CHECK")
      checkStoredExpression(expression, `CHECK constraint of ${owner}`, context);
    if (contype === "CONSTR_GENERATED")
      checkStoredExpression(expression, `generated column of ${owner}`, context);
    return false;
  });
}

function refuseCall(name: string, owner: string, location: number | undefined): never {
  return refuse("stored_expression_not_supported", `${owner} cannot call function ${name}`, {
    location,
    detail: "It would see the rows and the state of one database only.",
  });
}

/** Effects of a default that come out in another way in each of several databases. */
const LOCAL: ReadonlySet<FunctionEffect> = new Set(["catalogState", "serverState"]);

/** Refuses a write that leaves a column to a default which may read tables or answers for one database. */
export function checkDefaults(
  relation: CatalogRelation,
  statement: WrittenTable["statement"],
  isSharded: boolean,
  context: PlanContext,
): void {
  if (relation.columns.every(({ fill }) => fill.kind !== "expression")) return;
  for (const { name, fill } of defaultedColumns(relation, statement)) {
    if (fill.kind !== "expression") continue;
    const owner = `default of column "${name}" of table "${relation.name}"`;
    const parsed = parseSql(`SELECT ${fill.sql}`);
    const node = parsed.kind === "statements" ? parsed.statements[0]?.node : undefined;
    walkNodes(node, ({ kind, body }) => {
      if (kind !== "FuncCall") return true;
      const called = nameParts((body as FuncCall).funcname).at(-1) ?? "";
      const isLocal = isSharded && LOCAL.has(storedCallEffect(called, context));
      if (isLocal || mayReachTables(called, context)) refuseCall(called, owner, undefined);
      return true;
    });
  }
}

function defaultedColumns(
  relation: CatalogRelation,
  statement: WrittenTable["statement"],
): readonly CatalogColumn[] {
  switch (statement.kind) {
    case "insert":
      return columnsLeftOut(relation, statement.node);
    case "update":
      return setToDefault(statement.node.targetList, relation);
    case "delete":
      return [];
    case "merge":
      return relation.columns;
    case "copy": {
      const given = new Set(nameParts(statement.node.attlist));
      return given.size === 0 ? [] : relation.columns.filter(({ name }) => !given.has(name));
    }
  }
}

/** Columns that some row of the INSERT may leave to their default; too many where the rows are not written out. */
function columnsLeftOut(
  { columns }: CatalogRelation,
  { cols, selectStmt, onConflictClause }: InsertStmt,
): readonly CatalogColumn[] {
  const isEvaluatedLater = onConflictClause !== undefined && hasDefault(onConflictClause);
  if (isEvaluatedLater) return columns;
  const lists =
    selectStmt !== undefined && "SelectStmt" in selectStmt
      ? (selectStmt.SelectStmt.valuesLists ?? [])
      : [];
  const [first] = lists;
  const width = first !== undefined && "List" in first ? (first.List.items?.length ?? 0) : 0;
  if (lists.some(hasDefault)) return columns;
  if (cols === undefined) return columns.slice(width);
  const given = new Set(
    cols.map((column) => ("ResTarget" in column ? column.ResTarget.name : undefined)),
  );
  return columns.filter(({ name }) => !given.has(name));
}

function hasDefault(node: unknown): boolean {
  let found = false;
  walkNodes(node, ({ kind }) => {
    found ||= kind === "SetToDefault";
    return !found;
  });
  return found;
}

function setToDefault(
  targets: UpdateStmt["targetList"],
  { columns }: CatalogRelation,
): readonly CatalogColumn[] {
  return (targets ?? []).some(hasDefault) ? columns : [];
}
