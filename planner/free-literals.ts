/**
 * Which strings of a statement may be any other without another plan: an operator's value beside a
 * column, and what an UPDATE or INSERT stores in one.
 *
 * Elsewhere a string may be what the planner looks at: the name of a sequence, a table, a setting or
 * a time zone in a call, what a cast makes of it, a column of a result. Those stay as they are. It
 * knows no table: whether a column is a shard key, the plan says.
 */
import type { A_Expr, InsertStmt, Node, UpdateStmt } from "@pgsql/types";
import { walkNodes } from "./ast.ts";
import type { ParsedStatement } from "./parse.ts";

/** Offsets in the statement's text. */
export function freeStrings(statement: ParsedStatement): ReadonlySet<number> {
  const free = new Set<number>();
  const add = (value: Node | undefined): void => {
    if (value === undefined || !("A_Const" in value) || value.A_Const.sval === undefined) return;
    free.add(statement.offsetOf(value.A_Const.location));
  };
  walkNodes(statement.node, ({ kind, body }) => {
    if (kind === "A_Expr") for (const value of valuesBesideColumn(body)) add(value);
    if (kind === "UpdateStmt") for (const value of storedValues(body)) add(value);
    if (kind === "InsertStmt") for (const value of insertedValues(body)) add(value);
    return true;
  });
  return free;
}

function storedValues({ targetList = [] }: Pick<UpdateStmt, "targetList">): readonly Node[] {
  return targetList.flatMap((target) =>
    "ResTarget" in target && target.ResTarget.val !== undefined ? [target.ResTarget.val] : [],
  );
}

function insertedValues({ selectStmt, onConflictClause }: InsertStmt): readonly Node[] {
  const rows =
    selectStmt !== undefined && "SelectStmt" in selectStmt
      ? (selectStmt.SelectStmt.valuesLists ?? [])
      : [];
  const values = rows.flatMap((row) => ("List" in row ? (row.List.items ?? []) : []));
  return [...values, ...storedValues(onConflictClause ?? {})];
}

const OPERATIONS: ReadonlySet<unknown> = new Set([
  "AEXPR_OP",
  "AEXPR_DISTINCT",
  "AEXPR_NOT_DISTINCT",
  "AEXPR_IN",
  "AEXPR_LIKE",
  "AEXPR_ILIKE",
  "AEXPR_BETWEEN",
]);

function valuesBesideColumn({ kind, lexpr, rexpr }: A_Expr): readonly Node[] {
  if (!OPERATIONS.has(kind) || lexpr === undefined || rexpr === undefined) return [];
  if ("ColumnRef" in rexpr) return [lexpr];
  if (!("ColumnRef" in lexpr)) return [];
  return "List" in rexpr ? (rexpr.List.items ?? []) : [rexpr];
}
