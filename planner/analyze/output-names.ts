/**
 * The names PostgreSQL gives to output columns that have no AS (parse_target.c,
 * FigureColnameInternal). Undefined for what is not worked out here: such a name may be
 * any, so nothing may be concluded from its absence.
 */
import type { Node, TypeCast } from "@pgsql/types";
import { nameParts, unwrap } from "../ast.ts";

const UNNAMED = "?column?";

export function outputName(expression: Node): string | undefined {
  return figure(expression, 0).name;
}

interface Figured {
  readonly name: string | undefined;
  /** A weak name gives way to a cast's type: 0 none, 1 weak, 2 strong. */
  readonly strength: 0 | 1 | 2;
}

const NONE: Figured = { name: UNNAMED, strength: 0 };
const UNKNOWN: Figured = { name: undefined, strength: 2 };

function figure(expression: Node | undefined, depth: number): Figured {
  if (expression === undefined || depth > 100) return UNKNOWN;
  if ("ColumnRef" in expression) return strong(nameParts(expression.ColumnRef.fields).at(-1));
  if ("FuncCall" in expression) return strong(nameParts(expression.FuncCall.funcname).at(-1));
  if ("TypeCast" in expression) return figureCast(expression.TypeCast, depth);
  if ("CollateClause" in expression) return figure(expression.CollateClause.arg, depth + 1);
  if ("A_Expr" in expression)
    return expression.A_Expr.kind === "AEXPR_NULLIF" ? strong("nullif") : NONE;
  if ("A_Indirection" in expression) {
    const field = nameParts(expression.A_Indirection.indirection).at(-1);
    return field === undefined ? figure(expression.A_Indirection.arg, depth + 1) : strong(field);
  }
  if ("CaseExpr" in expression) {
    const otherwise = expression.CaseExpr.defresult;
    const inner = otherwise === undefined ? NONE : figure(otherwise, depth + 1);
    return inner.strength === 2 ? inner : { name: "case", strength: 1 };
  }
  if ("SubLink" in expression)
    return figureSubLink(expression.SubLink.subLinkType, expression.SubLink.subselect, depth);
  return figureByKind(expression);
}

function strong(name: string | undefined): Figured {
  return { name, strength: 2 };
}

function figureCast(cast: TypeCast, depth: number): Figured {
  const inner = figure(cast.arg, depth + 1);
  if (inner.strength === 2 || cast.typeName === undefined) return inner;
  return { name: nameParts(cast.typeName.names).at(-1), strength: 1 };
}

function figureSubLink(
  kind: string | undefined,
  subselect: Node | undefined,
  depth: number,
): Figured {
  if (kind === "EXISTS_SUBLINK") return strong("exists");
  if (kind === "ARRAY_SUBLINK") return strong("array");
  if (kind !== "EXPR_SUBLINK") return NONE;
  if (subselect === undefined || !("SelectStmt" in subselect)) return UNKNOWN;
  const [target] = subselect.SelectStmt.targetList ?? [];
  if (target === undefined || !("ResTarget" in target)) return UNKNOWN;
  const { name, val } = target.ResTarget;
  return name === undefined ? figure(val, depth + 1) : strong(name);
}

const NAMES_BY_KIND: Readonly<Record<string, string>> = {
  A_ArrayExpr: "array",
  RowExpr: "row",
  CoalesceExpr: "coalesce",
  GroupingFunc: "grouping",
};

const NAMELESS: ReadonlySet<string> = new Set([
  "A_Const",
  "ParamRef",
  "BoolExpr",
  "NullTest",
  "BooleanTest",
]);

function figureByKind(expression: Node): Figured {
  const node = unwrap(expression);
  if (node === undefined) return UNKNOWN;
  const name = NAMES_BY_KIND[node.kind];
  if (name !== undefined) return strong(name);
  if (node.kind === "MinMaxExpr")
    return strong(node.body["op"] === "IS_LEAST" ? "least" : "greatest");
  if (node.kind === "SQLValueFunction") {
    return strong(
      String(node.body["op"])
        .replace(/^SVFOP_/, "")
        .replace(/_N$/, "")
        .toLowerCase(),
    );
  }
  return NAMELESS.has(node.kind) ? NONE : UNKNOWN;
}
