/**
 * The type of an expression, as far as it is certain without asking a server: of columns,
 * through sub-selects too, of casts to built-in types, and of what is made of these with
 * operators and functions whose results have one type. 0 is a type that is not known.
 */
import type { A_Const, A_Expr, FuncCall, Node, TypeName } from "@pgsql/types";
import type { Catalog } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import { BUILT_IN_TYPES } from "../built-in-types.ts";
import { storedColumn, typeOfColumn } from "./column-types.ts";
import type { Column, Level } from "./model.ts";

/** OIDs of pg_type.dat. */
const UNKNOWN = 0;
const BOOL = 16;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const TEXT = 25;
const FLOAT4 = 700;
const FLOAT8 = 701;
const VARCHAR = 1043;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const INTERVAL = 1186;
const NUMERIC = 1700;

/** Sub-selects within sub-selects, and expressions within expressions, that are followed. */
const DEPTH_MAX = 64;

export function typeOfExpression(
  expression: Node,
  level: Level,
  catalog: Catalog,
  depth = 0,
): number {
  if (depth > DEPTH_MAX) return UNKNOWN;
  const typeOf = (node: Node | undefined): number =>
    node === undefined ? UNKNOWN : typeOfExpression(node, level, catalog, depth + 1);
  if ("ColumnRef" in expression) {
    const column = level.columnOf(expression);
    return column === undefined ? UNKNOWN : typeOfAnyColumn(column, catalog, depth + 1);
  }
  if ("TypeCast" in expression) return builtInType(expression.TypeCast.typeName);
  if ("CollateClause" in expression) return typeOf(expression.CollateClause.arg);
  if ("A_Const" in expression) return typeOfConstant(expression.A_Const);
  if ("BoolExpr" in expression || "NullTest" in expression || "BooleanTest" in expression)
    return BOOL;
  if ("CoalesceExpr" in expression) return common(expression.CoalesceExpr.args ?? [], typeOf);
  if ("MinMaxExpr" in expression) return common(expression.MinMaxExpr.args ?? [], typeOf);
  if ("CaseExpr" in expression) {
    const { args = [], defresult } = expression.CaseExpr;
    const results = args.map((arm) => ("CaseWhen" in arm ? arm.CaseWhen.result : undefined));
    return common(
      [...results, defresult].filter((node) => node !== undefined),
      typeOf,
    );
  }
  if ("A_Expr" in expression) return typeOfOperation(expression.A_Expr, typeOf);
  if ("FuncCall" in expression) return typeOfCall(expression.FuncCall, catalog, typeOf);
  return UNKNOWN;
}

/** As `typeOfColumn`, and of a sub-select's column that is computed inside. */
export function typeOfAnyColumn(column: Column, catalog: Catalog, depth = 0): number {
  const stored = storedColumn(column);
  if (stored.catalog !== undefined) return typeOfColumn(stored, catalog);
  const made = definitionOf(stored);
  return made === undefined
    ? UNKNOWN
    : typeOfExpression(made.expression, made.level, catalog, depth + 1);
}

/** The expression that a sub-select computes for a column, and the level it stands in. */
export function definitionOf(
  column: Column,
): { readonly expression: Node; readonly level: Level } | undefined {
  const { content, columns } = column.source;
  if (content.kind !== "query" || content.level.outputsAreOpen) return undefined;
  const expression = content.level.outputs[columns.indexOf(column)]?.expression;
  return expression === undefined ? undefined : { expression, level: content.level };
}

function builtInType(name: TypeName | undefined): number {
  const parts = nameParts(name?.names);
  if (parts.length > 1 && parts[0] !== "pg_catalog") return UNKNOWN;
  const type = BUILT_IN_TYPES.get(parts.at(-1) ?? "");
  const isArray = (name?.arrayBounds?.length ?? 0) > 0;
  return (isArray ? type?.arrayOid : type?.oid) ?? UNKNOWN;
}

/** A string is of no type until its surroundings give it one. */
function typeOfConstant({ ival, fval, boolval }: A_Const): number {
  if (ival !== undefined) return INT4;
  if (boolval !== undefined) return BOOL;
  if (fval === undefined) return UNKNOWN;
  return /^-?[0-9]{1,18}$/.test(fval.fval ?? "") ? INT8 : NUMERIC;
}

/** Alternatives that are all of one type; strings and NULLs among them take it. */
function common(nodes: readonly Node[], typeOf: (node: Node) => number): number {
  const types = new Set(nodes.filter((node) => !isUntyped(node)).map(typeOf));
  const [only = UNKNOWN] = types;
  return types.size === 1 ? only : UNKNOWN;
}

function isUntyped(node: Node): boolean {
  return "A_Const" in node && (node.A_Const.sval !== undefined || node.A_Const.isnull === true);
}

/** Smallest first: PostgreSQL's arithmetic on two of these gives the larger type. */
const NUMBERS: readonly number[] = [INT2, INT4, INT8, NUMERIC];
const COMPARISONS: ReadonlySet<string> = new Set(["=", "<>", "<", "<=", ">", ">="]);
const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%"]);

function typeOfOperation(
  { kind, name, lexpr, rexpr }: A_Expr,
  typeOf: (node: Node | undefined) => number,
): number {
  const [operator = "", ...qualified] = nameParts(name);
  if (kind !== "AEXPR_OP" || qualified.length > 0) return UNKNOWN;
  const left = NUMBERS.indexOf(typeOf(lexpr));
  const right = NUMBERS.indexOf(typeOf(rexpr));
  if (left < 0 || right < 0) return UNKNOWN;
  if (COMPARISONS.has(operator)) return BOOL;
  return ARITHMETIC.has(operator) ? (NUMBERS[Math.max(left, right)] ?? UNKNOWN) : UNKNOWN;
}

/** Functions of pg_catalog whose every form gives one type. */
const RESULTS: ReadonlyMap<string, number> = new Map([
  ["count", INT8],
  ["extract", NUMERIC],
  ["lower", TEXT],
  ["upper", TEXT],
  ["initcap", TEXT],
  ["concat", TEXT],
  ["concat_ws", TEXT],
  ["to_char", TEXT],
  ["md5", TEXT],
]);

const SUMS: ReadonlyMap<number, number> = new Map([
  [INT2, INT8],
  [INT4, INT8],
  [INT8, NUMERIC],
  [NUMERIC, NUMERIC],
  [FLOAT4, FLOAT4],
  [FLOAT8, FLOAT8],
  [INTERVAL, INTERVAL],
]);

const AVERAGES: ReadonlyMap<number, number> = new Map([
  [INT2, NUMERIC],
  [INT4, NUMERIC],
  [INT8, NUMERIC],
  [NUMERIC, NUMERIC],
  [FLOAT4, FLOAT8],
  [FLOAT8, FLOAT8],
  [INTERVAL, INTERVAL],
]);

/** Of varchar they are text, of every other type that type. */
const EXTREMES: ReadonlySet<string> = new Set(["min", "max"]);

/** lower() and upper() of a range give its bound. */
const OF_TEXT: ReadonlySet<string> = new Set(["lower", "upper"]);

function typeOfCall(
  { funcname, args = [], func_variadic }: FuncCall,
  catalog: Catalog,
  typeOf: (node: Node | undefined) => number,
): number {
  const parts = nameParts(funcname);
  const name = parts.at(-1) ?? "";
  const isOwn = parts.length === 1 || parts[0] === "pg_catalog";
  const overloads = catalog.functions.get(name) ?? [];
  if (!isOwn || func_variadic === true) return UNKNOWN;
  if (overloads.some(({ schema }) => schema !== "pg_catalog")) return UNKNOWN;
  const first = typeOf(args[0]);
  if (OF_TEXT.has(name) && first !== TEXT && first !== VARCHAR) return UNKNOWN;
  if (EXTREMES.has(name)) return first === VARCHAR ? TEXT : first;
  if (name === "sum") return SUMS.get(first) ?? UNKNOWN;
  if (name === "avg") return AVERAGES.get(first) ?? UNKNOWN;
  if (name === "date_trunc") {
    const truncated = typeOf(args[1]);
    if (truncated === DATE) return TIMESTAMPTZ;
    return [TIMESTAMP, TIMESTAMPTZ, INTERVAL].includes(truncated) ? truncated : UNKNOWN;
  }
  return RESULTS.get(name) ?? UNKNOWN;
}
