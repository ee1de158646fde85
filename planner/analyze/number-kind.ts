/**
 * Which kind of number an expression gives, as far as it can be told without the server:
 * enough to ask the placements for partial sums that lose nothing. What is not told is
 * undefined, never guessed.
 */
import type { A_Const, A_Expr, FuncCall, Node, TypeCast } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import { functionUse } from "../functions.ts";
import type { PlanContext } from "../plan-context.ts";
import { storedColumn, typeOfColumn } from "./column-types.ts";
import { definitionOf } from "./expression-types.ts";
import type { Column, Level } from "./model.ts";

/** `integer` is smallint too, `float` is real and double precision; `other` is a type that is known and none of them. */
export type NumberKind = "integer" | "bigint" | "numeric" | "float" | "interval" | "other";

const BY_OID: ReadonlyMap<number, NumberKind> = new Map([
  [20, "bigint"],
  [21, "integer"],
  [23, "integer"],
  [700, "float"],
  [701, "float"],
  [1186, "interval"],
  [1700, "numeric"],
]);

/** As the grammar spells the types in a cast. */
const BY_NAME: ReadonlyMap<string, NumberKind> = new Map([
  ["int8", "bigint"],
  ["int2", "integer"],
  ["int4", "integer"],
  ["float4", "float"],
  ["float8", "float"],
  ["interval", "interval"],
  ["numeric", "numeric"],
  ["money", "other"],
]);

export function numberKindOf(
  expression: Node | undefined,
  level: Level,
  context: PlanContext,
): NumberKind | undefined {
  if (expression === undefined) return undefined;
  const kindOf = (node: Node | undefined): NumberKind | undefined =>
    numberKindOf(node, level, context);
  const common = (nodes: readonly (Node | undefined)[]): NumberKind | undefined =>
    widest(nodes.filter((node) => node !== undefined && !takesAnyType(node)).map(kindOf));
  if ("ColumnRef" in expression) {
    const column = level.columnOf(expression);
    return column === undefined ? undefined : kindOfColumn(column, context);
  }
  if ("TypeCast" in expression) return kindOfCast(expression.TypeCast);
  if ("A_Const" in expression) return kindOfConstant(expression.A_Const);
  if ("A_Expr" in expression) return kindOfOperation(expression.A_Expr, kindOf, common);
  if ("FuncCall" in expression) return kindOfCall(expression.FuncCall, kindOf, context);
  if ("CoalesceExpr" in expression) return common(expression.CoalesceExpr.args ?? []);
  if ("MinMaxExpr" in expression) return common(expression.MinMaxExpr.args ?? []);
  if ("CaseExpr" in expression) {
    const { args, defresult } = expression.CaseExpr;
    const results = (args ?? []).map((arm) =>
      "CaseWhen" in arm ? arm.CaseWhen.result : undefined,
    );
    return common([...results, defresult]);
  }
  return undefined;
}

function kindOfColumn(column: Column, context: PlanContext): NumberKind | undefined {
  const typeOid = typeOfColumn(column, context.catalog);
  if (typeOid !== 0) return BY_OID.get(typeOid) ?? "other";
  const made = definitionOf(storedColumn(column));
  return made === undefined ? undefined : numberKindOf(made.expression, made.level, context);
}

/** NULL and quoted literals take the type of what stands beside them. */
function takesAnyType(node: Node): boolean {
  return "A_Const" in node && (node.A_Const.isnull === true || node.A_Const.sval !== undefined);
}

function kindOfCast({ typeName }: TypeCast): NumberKind | undefined {
  const names = nameParts(typeName?.names);
  const isBuiltIn = names.length === 1 || (names.length === 2 && names[0] === "pg_catalog");
  if (!isBuiltIn || (typeName?.arrayBounds?.length ?? 0) > 0) return undefined;
  return BY_NAME.get(names.at(-1) ?? "");
}

const INT8_MAX = 0x7fff_ffff_ffff_ffffn;

/** make_const of parse_node.c: whole numbers take the smallest type from integer on. */
function kindOfConstant({ ival, fval }: A_Const): NumberKind | undefined {
  if (ival !== undefined) return "integer";
  const text = fval?.fval;
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) && BigInt(text) <= INT8_MAX ? "bigint" : "numeric";
}

/** From the narrowest: a number meets a wider one as the wider. */
const WIDTHS: readonly NumberKind[] = ["integer", "bigint", "numeric", "float"];

function widest(kinds: readonly (NumberKind | undefined)[]): NumberKind | undefined {
  const [first] = kinds;
  if (kinds.every((kind) => kind === first)) return first;
  const widths = kinds.map((kind) => (kind === undefined ? -1 : WIDTHS.indexOf(kind)));
  return widths.includes(-1) ? undefined : WIDTHS[Math.max(...widths)];
}

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%"]);

function kindOfOperation(
  { kind, name, lexpr, rexpr }: A_Expr,
  kindOf: (node: Node | undefined) => NumberKind | undefined,
  common: (nodes: readonly (Node | undefined)[]) => NumberKind | undefined,
): NumberKind | undefined {
  if (kind === "AEXPR_NULLIF") return common([lexpr, rexpr]);
  const [operator = "", ...more] = nameParts(name);
  if (kind !== "AEXPR_OP" || more.length > 0 || !ARITHMETIC.has(operator)) return undefined;
  if (lexpr === undefined) return kindOf(rexpr);
  const left = kindOf(lexpr);
  const right = kindOf(rexpr);
  // Of money, dates and the rest, some operators give numbers: none that is worth a table here.
  if (left === "other" || right === "other") return undefined;
  if (left !== "interval" && right !== "interval") return widest([left, right]);
  if (operator === "*" || operator === "/") return left && right && "interval";
  return left === right ? "interval" : undefined;
}

const GIVES_INTEGER: ReadonlySet<string> = new Set([
  "length",
  "char_length",
  "character_length",
  "octet_length",
  "bit_length",
  "cardinality",
  "array_length",
  "strpos",
  "position",
  "ascii",
]);

/** Of numeric they are numeric; of all else, double precision. */
const NUMERIC_OR_FLOAT: ReadonlySet<string> = new Set([
  "ceil",
  "ceiling",
  "exp",
  "floor",
  "ln",
  "round",
  "sign",
  "sqrt",
  "trunc",
]);

function kindOfCall(
  call: FuncCall,
  kindOf: (node: Node | undefined) => NumberKind | undefined,
  context: PlanContext,
): NumberKind | undefined {
  const names = nameParts(call.funcname);
  const { name, isUserDefined } = functionUse(names, call.location, context);
  if (isUserDefined) return undefined;
  if (GIVES_INTEGER.has(name)) return "integer";
  if (name === "extract") return "numeric";
  if (name === "date_part") return "float";
  const [first, second] = call.args ?? [];
  const argument = kindOf(first);
  if (name === "abs") return argument;
  if (!NUMERIC_OR_FLOAT.has(name) || argument === undefined) return undefined;
  // round(x, 2) and trunc(x, 2) are numeric's alone.
  if (argument === "numeric" || second !== undefined) return "numeric";
  return argument === "interval" || argument === "other" ? undefined : "float";
}
