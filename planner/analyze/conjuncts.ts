/**
 * Reads facts off a WHERE or ON: only whole conjuncts count. Under OR, NOT, CASE, a
 * function or a test for truth an equality may fail for a row that is kept.
 */
import type { A_Expr, Node, RowExpr, SubLink } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import { castType, termOf, termsOf } from "./key-terms.ts";
import {
  collationsNamed,
  elementType,
  equalityFamily,
  familyOfType,
  typeOfColumn,
} from "./column-types.ts";
import { subLinkOf, walkExpression } from "./expressions.ts";
import type { KeyTerm } from "../logical-plan.ts";
import type { Column, Fact, PinValues, Source } from "./model.ts";
import { resolveColumn, type Scope } from "./namespace.ts";
import { querySource } from "./sources.ts";
import type { AnalysisRun, Place } from "./run.ts";

export interface Conjuncts {
  readonly facts: Fact[];
  /** `x IN (SELECT ...)` as conjuncts: joins in all but name. */
  readonly semiJoined: Source[];
}

/** `isFilter`: a row that fails the condition is gone, as under WHERE and an inner join's ON. */
export function readConjuncts(
  run: AnalysisRun,
  condition: Node | undefined,
  scope: Scope,
  place: Place,
  isFilter: boolean,
): Conjuncts {
  const conjuncts: Conjuncts = { facts: [], semiJoined: [] };
  if (condition !== undefined) readConjunct(run, condition, scope, place, isFilter, conjuncts);
  return conjuncts;
}

function readConjunct(
  run: AnalysisRun,
  condition: Node,
  scope: Scope,
  place: Place,
  isFilter: boolean,
  into: Conjuncts,
): void {
  if ("BoolExpr" in condition && condition.BoolExpr.boolop === "AND_EXPR") {
    const deeper = { ...place, depth: place.depth + 1 };
    for (const argument of condition.BoolExpr.args ?? [])
      readConjunct(run, argument, scope, deeper, isFilter, into);
    return;
  }
  const link = subLinkOf(condition);
  if (isFilter && link !== undefined && readSemiJoin(run, link, scope, place, into)) return;
  walkExpression(run, condition, scope, place);
  if ("A_Expr" in condition) readComparison(run, condition.A_Expr, scope, into.facts);
}

/** `column IN (SELECT ...)` keeps a row only if the sub-select has an equal one, whatever NULLs it has. */
function readSemiJoin(
  run: AnalysisRun,
  link: SubLink,
  scope: Scope,
  place: Place,
  into: Conjuncts,
): boolean {
  const operator = nameParts(link.operName);
  const isEquality = link.operName === undefined || isBuiltInEquals(operator);
  if (
    link.subLinkType !== "ANY_SUBLINK" ||
    !isEquality ||
    link.subselect === undefined ||
    link.testexpr === undefined
  )
    return false;
  walkExpression(run, link.testexpr, scope, place);
  const level = run.query(run, link.subselect, {
    parent: scope,
    withScope: place.withScope,
    depth: place.depth + 1,
  });
  const source = querySource(level, {
    name: "sub-select",
    columnNames: [],
    isOpen: false,
    isFilter: true,
    location: link.location,
  });
  into.semiJoined.push(source);
  const tested = rowOf(link.testexpr);
  if (source.isOpen || tested.length !== source.columns.length) return true;
  for (const [index, expression] of tested.entries()) {
    const left = columnOf(expression, scope);
    const right = source.columns[index];
    if (left !== undefined && right !== undefined) into.facts.push(...columnFact(run, left, right));
  }
  return true;
}

function readComparison(run: AnalysisRun, expression: A_Expr, scope: Scope, into: Fact[]): void {
  const { kind, lexpr: left, rexpr: right } = expression;
  if (left === undefined || right === undefined) return;
  const names = nameParts(expression.name);
  const isEquality = isBuiltInEquals(names);
  switch (kind) {
    case "AEXPR_OP":
      if (isEquality) readEquality(run, left, right, scope, into);
      else readBound(run, names, left, right, scope, into);
      return;
    case "AEXPR_IN":
      if (isEquality && "List" in right)
        readAlternatives(run, left, right.List.items ?? [], scope, into);
      return;
    case "AEXPR_OP_ANY":
      if (isEquality) readAny(run, left, right, scope, into);
      return;
    case "AEXPR_BETWEEN":
      readBetween(run, left, right, scope, into);
      return;
    default:
      return;
  }
}

const MIRRORED: Readonly<Record<string, string>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

/** `key >= value` and its like; a bound that excludes its value is widened to include it, but for `<`. */
function readBound(
  run: AnalysisRun,
  names: readonly string[],
  left: Node,
  right: Node,
  scope: Scope,
  into: Fact[],
): void {
  const [operator] = names;
  if (operator === undefined || names.length !== 1 || MIRRORED[operator] === undefined) return;
  const isColumnLeft = columnOf(left, scope) !== undefined;
  const [column, value] = isColumnLeft ? [left, right] : [right, left];
  const term = boundTerm(run, column, value, scope);
  if (term === undefined) return;
  const direction = isColumnLeft ? operator : MIRRORED[operator];
  const isUpper = direction === "<" || direction === "<=";
  const bounds = isUpper
    ? { from: undefined, to: term.term, toInclusive: direction === "<=" }
    : { from: term.term, to: undefined, toInclusive: false };
  into.push({ kind: "bounds", column: term.column, bounds });
}

function readBetween(run: AnalysisRun, left: Node, right: Node, scope: Scope, into: Fact[]): void {
  const [low, high] = "List" in right ? (right.List.items ?? []) : [];
  const from = low === undefined ? undefined : boundTerm(run, left, low, scope);
  const to = high === undefined ? undefined : boundTerm(run, left, high, scope);
  const column = (from ?? to)?.column;
  if (column === undefined) return;
  into.push({
    kind: "bounds",
    column,
    bounds: { from: from?.term, to: to?.term, toInclusive: true },
  });
}

function boundTerm(
  run: AnalysisRun,
  expression: Node,
  value: Node,
  scope: Scope,
): { readonly column: Column; readonly term: KeyTerm } | undefined {
  const column = columnOf(expression, scope);
  const family = column === undefined ? undefined : equalityFamily(column, run.context.catalog);
  // Text is ordered by its collation, which ranges of bytes do not follow.
  if (column === undefined || family === undefined || family === "text") return undefined;
  const term = termOf(value, family, run.context.parameterTypes);
  if (term === undefined) return undefined;
  if (term.kind === "parameter") {
    run.suggestType(
      term.number,
      term.isCast ? term.typeOid : typeOfColumn(column, run.context.catalog),
    );
  }
  return { column, term };
}

function isBuiltInEquals(names: readonly string[]): boolean {
  return (
    names.at(-1) === "=" &&
    (names.length === 1 || (names.length === 2 && names[0] === "pg_catalog"))
  );
}

function readEquality(run: AnalysisRun, left: Node, right: Node, scope: Scope, into: Fact[]): void {
  const leftRow = rowOf(left);
  const rightRow = rowOf(right);
  if (leftRow.length !== rightRow.length) return;
  for (const [index, leftPart] of leftRow.entries()) {
    const rightPart = rightRow[index];
    if (rightPart !== undefined) readScalarEquality(run, leftPart, rightPart, scope, into);
  }
}

/** `(a, b)` taken apart; any other expression is a row of one. */
function rowOf(expression: Node): readonly Node[] {
  if (!("RowExpr" in expression)) return [expression];
  const row: RowExpr = expression.RowExpr;
  return row.args ?? [];
}

function readScalarEquality(
  run: AnalysisRun,
  left: Node,
  right: Node,
  scope: Scope,
  into: Fact[],
): void {
  const { catalog } = run.context;
  const plainLeft = withoutCollation(left, run);
  const plainRight = withoutCollation(right, run);
  if (plainLeft === undefined || plainRight === undefined) return;
  const leftColumn = columnOf(plainLeft, scope);
  const rightColumn = columnOf(plainRight, scope);
  if (leftColumn !== undefined && rightColumn !== undefined) {
    into.push(...columnFact(run, leftColumn, rightColumn));
    return;
  }
  const column = leftColumn ?? rightColumn;
  const family = column === undefined ? undefined : equalityFamily(column, catalog);
  if (column === undefined || family === undefined) return;
  const term = termOf(
    leftColumn === undefined ? plainLeft : plainRight,
    family,
    run.context.parameterTypes,
  );
  if (term === undefined) return;
  if (term.kind === "parameter")
    run.suggestType(term.number, term.isCast ? term.typeOid : typeOfColumn(column, catalog));
  into.push({ kind: "values", column, values: { kind: "terms", terms: [term] } });
}

function columnFact(run: AnalysisRun, left: Column, right: Column): readonly Fact[] {
  const family = equalityFamily(left, run.context.catalog);
  const isSame = family !== undefined && family === equalityFamily(right, run.context.catalog);
  return isSame ? [{ kind: "columns", left, right }] : [];
}

function readAlternatives(
  run: AnalysisRun,
  left: Node,
  items: readonly Node[],
  scope: Scope,
  into: Fact[],
): void {
  const column = comparedColumn(run, left, scope);
  const family = column === undefined ? undefined : equalityFamily(column, run.context.catalog);
  if (column === undefined || family === undefined) return;
  const terms = termsOf(items, family, run.context.parameterTypes);
  if (terms === undefined) return;
  for (const term of terms) {
    if (term.kind === "parameter")
      run.suggestType(
        term.number,
        term.isCast ? term.typeOid : typeOfColumn(column, run.context.catalog),
      );
  }
  into.push({ kind: "values", column, values: { kind: "terms", terms } });
}

/** `key = ANY (ARRAY[...])`, `key = ANY ($1)`, and either cast to an array of the key's type. */
function readAny(run: AnalysisRun, left: Node, right: Node, scope: Scope, into: Fact[]): void {
  if ("A_ArrayExpr" in right) {
    readAlternatives(run, left, right.A_ArrayExpr.elements ?? [], scope, into);
    return;
  }
  const column = comparedColumn(run, left, scope);
  const family = column === undefined ? undefined : equalityFamily(column, run.context.catalog);
  if (column === undefined || family === undefined) return;
  const values = arrayValues(run, right, column);
  if (values !== undefined) into.push({ kind: "values", column, values });
}

const ARRAY_TYPES: ReadonlyMap<number, number> = new Map([
  [20, 1016],
  [21, 1005],
  [23, 1007],
  [25, 1009],
  [1043, 1015],
  [2950, 2951],
  [1082, 1182],
  [1184, 1185],
]);

function arrayValues(run: AnalysisRun, right: Node, column: Column): PinValues | undefined {
  const cast = "TypeCast" in right ? right.TypeCast : undefined;
  const argument = cast?.arg ?? right;
  const castTo =
    cast === undefined
      ? undefined
      : castArrayType(
          cast.typeName === undefined
            ? undefined
            : { ...cast, typeName: { ...cast.typeName, arrayBounds: [] } },
        );
  if (cast !== undefined && (castTo === undefined || cast.typeName?.arrayBounds?.length !== 1))
    return undefined;
  if (!("ParamRef" in argument)) return undefined;
  const number = argument.ParamRef.number ?? 0;
  const declared = run.context.parameterTypes[number - 1] ?? 0;
  const columnType = typeOfColumn(column, run.context.catalog);
  const wanted = castTo ?? ARRAY_TYPES.get(columnType) ?? 0;
  run.suggestType(number, wanted);
  const elements = declared === 0 ? 0 : elementType(declared);
  if (declared !== 0 && familyOfType(elements) !== familyOfType(columnType)) return undefined;
  return { kind: "array", parameter: number, typeOid: declared };
}

function castArrayType(cast: Parameters<typeof castType>[0] | undefined): number | undefined {
  const element = cast === undefined ? undefined : castType(cast);
  return element === undefined ? undefined : ARRAY_TYPES.get(element);
}

function comparedColumn(run: AnalysisRun, expression: Node, scope: Scope): Column | undefined {
  const plain = withoutCollation(expression, run);
  return plain === undefined ? undefined : columnOf(plain, scope);
}

/** The expression below a COLLATE clause; undefined where that collation may call different texts equal. */
function withoutCollation(expression: Node, run: AnalysisRun): Node | undefined {
  if (!("CollateClause" in expression)) return expression;
  const collations = collationsNamed(expression.CollateClause.collname, run.context.catalog);
  const isDeterministic =
    collations.length > 0 && collations.every((collation) => collation.isDeterministic);
  return isDeterministic ? expression.CollateClause.arg : undefined;
}

function columnOf(expression: Node, scope: Scope): Column | undefined {
  return "ColumnRef" in expression ? resolveColumn(expression.ColumnRef, scope)?.column : undefined;
}
