/** LIMIT and OFFSET of a statement over several placements: who cuts, and how many rows each placement gives for it. */
import type { A_Const, A_Expr, Node, SelectStmt, TypeCast } from "@pgsql/types";
import { locationOf, nameParts, walkNodes } from "./ast.ts";
import type { LimitTerm, RowLimit } from "./logical-plan.ts";
import { castNode, extremeNode, integerNode, operatorNode } from "./make-nodes.ts";
import type { ParsedStatement } from "./parse.ts";
import { refuse } from "./refusal.ts";
import type { TemplateEdit } from "./sql-template.ts";

export type StatementLimit =
  /** The proxy may count the rows; undefined for all of them. */
  | { readonly kind: "known"; readonly limit: RowLimit | undefined }
  /** WITH TIES, and expressions that a server must work out. */
  | { readonly kind: "computed" };

export function statementLimit(node: SelectStmt): StatementLimit {
  const { limitCount, limitOffset, limitOption } = node;
  if (limitOption === "LIMIT_OPTION_WITH_TIES") return { kind: "computed" };
  const count = limitTerm(limitCount);
  const offset = limitTerm(limitOffset);
  if (count === "computed" || offset === "computed") return { kind: "computed" };
  // FETCH FIRST ROW ONLY has a count that is not written, so that no other can be put there.
  if (offset !== undefined && count !== undefined && locationOf(limitCount) === undefined)
    return { kind: "computed" };
  const isWhole = count === undefined && offset === undefined;
  return { kind: "known", limit: isWhole ? undefined : { count, offset } };
}

function limitTerm(value: Node | undefined): LimitTerm | "computed" | undefined {
  const term = value === undefined ? undefined : withoutIntegerCast(value);
  if (term === undefined) return undefined;
  if ("ParamRef" in term) return { kind: "parameter", number: term.ParamRef.number ?? 0 };
  if (!("A_Const" in term)) return "computed";
  if (term.A_Const.isnull === true) return undefined;
  const constant = integerOf(term.A_Const);
  return constant === undefined ? "computed" : { kind: "constant", value: constant };
}

const INTEGERS: ReadonlySet<string> = new Set(["int2", "int4", "int8"]);

/** `$1::int` is the parameter: its value is read as an integer, and the placements check the cast. */
function withoutIntegerCast(value: Node): Node {
  if (!("TypeCast" in value)) return value;
  const { arg, typeName } = value.TypeCast;
  const isInteger = INTEGERS.has(nameParts(typeName?.names).at(-1) ?? "");
  const isArray = (typeName?.arrayBounds?.length ?? 0) > 0;
  return arg !== undefined && "ParamRef" in arg && isInteger && !isArray ? arg : value;
}

/** Undefined for what is no integer, or a negative one: the error is PostgreSQL's to word. */
function integerOf(constant: A_Const): bigint | undefined {
  const text =
    constant.ival === undefined ? (constant.fval?.fval ?? "") : String(constant.ival.ival ?? 0);
  return /^[0-9]{1,18}$/.test(text) ? BigInt(text) : undefined;
}

/**
 * Each placement gives the first count + offset rows, and the offset is applied once, by
 * the gather. Without an OFFSET the text is right as it is.
 */
export function limitEdits(
  node: SelectStmt,
  limit: RowLimit | undefined,
  statement: ParsedStatement,
): readonly TemplateEdit[] {
  if (limit?.offset === undefined) return [];
  const edits: TemplateEdit[] = [
    { ...valueExtent(node.limitOffset, statement), with: { kind: "text", text: "0" } },
  ];
  if (limit.count !== undefined)
    edits.push({ ...valueExtent(node.limitCount, statement), with: { kind: "limit" } });
  return edits;
}

/** A constant or parameter is one token. */
function valueExtent(
  value: Node | undefined,
  statement: ParsedStatement,
): { readonly start: number; readonly end: number } {
  const term = value === undefined ? undefined : withoutIntegerCast(value);
  const start = statement.offsetOf(locationOf(term) ?? -1);
  const token = statement.tokens[statement.tokenIndexAt(start)];
  if (
    token === undefined ||
    token.start !== start ||
    (token.kind !== "number" && token.kind !== "parameter")
  ) {
    return refuse(
      "limit_expression_scattered",
      "LIMIT and OFFSET over several placements must be written as an integer constant or a parameter",
    );
  }
  return token;
}

const INT8_MAX = 0x7fff_ffff_ffff_ffffn;

/**
 * The LIMIT of each placement where the statement's own is applied to all of their rows:
 * no row beyond the first count + offset of its placement is among the first of them all,
 * nor, WITH TIES, tied with the last. Undefined where the placements must give all rows.
 */
export function placementLimit({ limitCount, limitOffset }: SelectStmt): Node | undefined {
  if (limitCount === undefined || isNull(limitCount) || !isSteady(limitCount)) return undefined;
  if (limitOffset === undefined || isNull(limitOffset)) return limitCount;
  if (!isSteady(limitOffset)) return undefined;
  if ("A_Const" in limitCount && "A_Const" in limitOffset) {
    const count = integerOf(limitCount.A_Const);
    const offset = integerOf(limitOffset.A_Const);
    if (count !== undefined && offset !== undefined) return integerNode(count + offset);
  }
  // LIMIT NULL is no limit and OFFSET NULL none, as LEAST and GREATEST have it; a negative
  // one is an error that the whole statement's LIMIT raises. Only numeric holds every sum.
  const offset = extremeNode("greatest", [asNumeric(limitOffset), integerNode(0n)]);
  const sum = operatorNode("+", asNumeric(limitCount), offset);
  const bounded = extremeNode("least", [sum, integerNode(INT8_MAX)]);
  return castNode(extremeNode("greatest", [bounded, integerNode(0n)]), "int8");
}

/** A LIMIT is rounded as an assignment to bigint is. */
function asNumeric(value: Node): Node {
  return castNode(castNode(value, "int8"), "numeric");
}

function isNull(value: Node): boolean {
  return "A_Const" in value && value.A_Const.isnull === true;
}

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%"]);
const NUMBERS: ReadonlySet<string> = new Set([...INTEGERS, "numeric"]);

/** Arithmetic of constants and parameters, which every server works out alike. */
function isSteady(value: Node): boolean {
  let isKnown = true;
  walkNodes(value, ({ kind, body }) => {
    if (kind === "TypeCast") {
      const { typeName } = body as TypeCast;
      isKnown &&= NUMBERS.has(nameParts(typeName?.names).at(-1) ?? "");
    } else if (kind === "A_Expr") {
      const [operator = "", ...qualified] = nameParts((body as A_Expr).name);
      isKnown &&= qualified.length === 0 && ARITHMETIC.has(operator);
    } else if (kind !== "A_Const" && kind !== "ParamRef" && kind !== "String") {
      isKnown = false;
    }
    return isKnown;
  });
  return isKnown;
}
