/**
 * Expressions that have one value all through a statement, and the same wherever it runs:
 * casts of constants and parameters, and the transaction's time.
 */
import type { A_Expr, Node, TypeCast } from "@pgsql/types";
import { nameParts } from "../ast.ts";

/** Types of a cast that every server reads alike: the grammar's own, which it qualifies. */
const CAST_TYPES: ReadonlySet<string> = new Set([
  "bool",
  "bpchar",
  "date",
  "float4",
  "float8",
  "int2",
  "int4",
  "int8",
  "interval",
  "numeric",
  "text",
  "time",
  "timestamp",
  "timestamptz",
  "timetz",
  "uuid",
  "varchar",
]);

/** Of a constant or parameter: evaluated once, and it fails for every row or for none. */
export function isConstantCast({ arg, typeName }: TypeCast): boolean {
  if (arg === undefined || !("A_Const" in arg || "ParamRef" in arg)) return false;
  const names = nameParts(typeName?.names);
  const isOwn = names.length === 1 || (names.length === 2 && names[0] === "pg_catalog");
  return isOwn && CAST_TYPES.has(names.at(-1) ?? "");
}

const MOMENTS: ReadonlySet<string> = new Set([
  "SVFOP_CURRENT_DATE",
  "SVFOP_CURRENT_TIMESTAMP",
  "SVFOP_CURRENT_TIMESTAMP_N",
  "SVFOP_LOCALTIMESTAMP",
  "SVFOP_LOCALTIMESTAMP_N",
]);

/**
 * `now()`, `CURRENT_DATE - 7`, `now() - interval '1 day'`. Each server would have its own, so
 * that all are given one when they are asked (statement-clock.ts).
 */
export function isMoment(expression: Node): boolean {
  if ("SQLValueFunction" in expression) return MOMENTS.has(expression.SQLValueFunction.op ?? "");
  if ("FuncCall" in expression) {
    const { funcname, args = [] } = expression.FuncCall;
    const names = nameParts(funcname);
    return args.length === 0 && names.length === 1 && names[0] === "now";
  }
  return "A_Expr" in expression && isShiftedMoment(expression.A_Expr);
}

function isShiftedMoment({ kind, name, lexpr, rexpr }: A_Expr): boolean {
  const [operator = "", ...qualified] = nameParts(name);
  if (kind !== "AEXPR_OP" || qualified.length > 0 || lexpr === undefined || rexpr === undefined)
    return false;
  const isShift = operator === "+" || operator === "-";
  const isConstant =
    "A_Const" in rexpr ||
    "ParamRef" in rexpr ||
    ("TypeCast" in rexpr && isConstantCast(rexpr.TypeCast));
  return isShift && isConstant && isMoment(lexpr);
}
