/**
 * The facts a condition states of columns: which are equal, which values one may have, and
 * between which it lies. It looks at the condition alone and counts nothing but what types
 * it suggests for parameters; conjuncts.ts says which conditions every row must satisfy.
 */
import type { A_Expr, BoolExpr, Node } from "@pgsql/types";
import { PINNED_KEYS_MAX } from "../../base/limits.ts";
import { nameParts } from "../ast.ts";
import type { KeyTerm } from "../logical-plan.ts";
import type { PlanContext } from "../plan-context.ts";
import { arrayValues } from "./array-values.ts";
import {
  collationsNamed,
  equalityFamily,
  storedColumn,
  typeOfColumn,
  type Family,
} from "./column-types.ts";
import { termOf, termsOf } from "./key-terms.ts";
import type { Column, Fact } from "./model.ts";
import { resolveColumn, type Scope } from "./namespace.ts";
import type { AnalysisRun } from "./run.ts";

/** What holds wherever the condition is true. A condition is read once: each reading suggests types. */
export function factsOf(run: AnalysisRun, condition: Node, scope: Scope): readonly Fact[] {
  if ("BoolExpr" in condition) return connectedFacts(run, condition.BoolExpr, scope);
  const facts: Fact[] = [];
  if ("A_Expr" in condition) readComparison(run, condition.A_Expr, scope, facts);
  return facts;
}

function connectedFacts(
  run: AnalysisRun,
  { boolop, args = [] }: BoolExpr,
  scope: Scope,
): readonly Fact[] {
  const arms = args.map((argument) => factsOf(run, argument, scope));
  if (boolop === "AND_EXPR") return arms.flat();
  return boolop === "OR_EXPR" ? eitherFacts(arms) : [];
}

/** `a = 1 OR a = 2`, `(a = 1 AND b = 2) OR (a = 3 AND b = 4)`: alternatives of the columns that every arm gives values to. */
function eitherFacts(arms: readonly (readonly Fact[])[]): readonly Fact[] {
  const byArm = arms.map((facts) => valuesByColumn(facts));
  const [first = new Map<Column, readonly KeyTerm[]>()] = byArm;
  const columns = [...first.keys()].filter((column) => byArm.every((values) => values.has(column)));
  const tuples: KeyTerm[][] = [];
  for (const values of byArm) {
    const ofArm = combinations(columns.map((column) => values.get(column) ?? []));
    if (ofArm === undefined) return [];
    if (columns.length > 1 && tuples.length + ofArm.length > PINNED_KEYS_MAX) return [];
    for (const tuple of ofArm) tuples.push(tuple);
  }
  return tupleFacts(columns, tuples);
}

function valuesByColumn(facts: readonly Fact[]): ReadonlyMap<Column, readonly KeyTerm[]> {
  const values = new Map<Column, readonly KeyTerm[]>();
  for (const fact of facts) {
    if (fact.kind !== "values" || fact.values.kind !== "terms") continue;
    const known = values.get(fact.column);
    if (known === undefined || fact.values.terms.length < known.length)
      values.set(fact.column, fact.values.terms);
  }
  return values;
}

/** One of each list, in every way; undefined where there are too many. */
export function combinations(
  lists: readonly (readonly KeyTerm[])[],
): readonly KeyTerm[][] | undefined {
  let tuples: KeyTerm[][] = [[]];
  for (const terms of lists) {
    if (lists.length > 1 && tuples.length * terms.length > PINNED_KEYS_MAX) return undefined;
    tuples = tuples.flatMap((tuple) => terms.map((term) => [...tuple, term]));
  }
  return tuples;
}

/** Of each column its values, and of several together which go with which. */
function tupleFacts(
  columns: readonly Column[],
  tuples: readonly (readonly KeyTerm[])[],
): readonly Fact[] {
  const facts = columns.map((column, index): Fact => {
    const terms = tuples.flatMap((tuple) => tuple[index] ?? []);
    return { kind: "values", column, values: { kind: "terms", terms } };
  });
  return columns.length < 2 ? facts : [...facts, { kind: "tuples", columns, tuples }];
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
      if (isEquality && "List" in right) readList(run, left, right.List.items ?? [], scope, into);
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

export function isBuiltInEquals(names: readonly string[]): boolean {
  return (
    names.at(-1) === "=" &&
    (names.length === 1 || (names.length === 2 && names[0] === "pg_catalog"))
  );
}

const MIRRORED: Readonly<Record<string, string>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

/**
 * `key >= value` and its like; a bound that excludes its value is widened to include it, but
 * for `<`. Rows are compared by their first columns first, which may be equal.
 */
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
  const [leftFirst, rightFirst] = [rowOf(left)[0], rowOf(right)[0]];
  if (leftFirst === undefined || rightFirst === undefined) return;
  const isColumnLeft = columnOf(leftFirst, scope) !== undefined;
  const [column, value] = isColumnLeft ? [leftFirst, rightFirst] : [rightFirst, leftFirst];
  const term = boundTerm(run, column, value, scope);
  if (term === undefined) return;
  const direction = isColumnLeft ? operator : MIRRORED[operator];
  const isUpper = direction === "<" || direction === "<=";
  const toInclusive = direction === "<=" || "RowExpr" in left;
  const bounds = isUpper
    ? { from: undefined, to: term.term, toInclusive }
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
  const term = termOf(value, family, run.context);
  if (term === undefined) return undefined;
  suggestTypes(run, [term], column);
  return { column, term };
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
export function rowOf(expression: Node): readonly Node[] {
  return "RowExpr" in expression ? (expression.RowExpr.args ?? []) : [expression];
}

function readScalarEquality(
  run: AnalysisRun,
  left: Node,
  right: Node,
  scope: Scope,
  into: Fact[],
): void {
  const plainLeft = withoutCollation(left, run);
  const plainRight = withoutCollation(right, run);
  if (plainLeft === undefined || plainRight === undefined) return;
  const leftColumn = columnOf(plainLeft, scope);
  const rightColumn = columnOf(plainRight, scope);
  if (leftColumn !== undefined && rightColumn !== undefined) {
    into.push(...columnFact(run, leftColumn, rightColumn));
    into.push(...constantFact(run, leftColumn, rightColumn));
    into.push(...constantFact(run, rightColumn, leftColumn));
    return;
  }
  const column = leftColumn ?? rightColumn;
  if (column === undefined) return;
  const value = leftColumn === undefined ? plainLeft : plainRight;
  const terms = comparedTerms(run, column, (family) => {
    const term = termOf(value, family, run.context);
    return term === undefined ? undefined : [term];
  });
  if (terms !== undefined) into.push({ kind: "values", column, values: { kind: "terms", terms } });
}

/** Nothing where equality of the two is not equality of values of one type. */
export function columnFact(run: AnalysisRun, left: Column, right: Column): readonly Fact[] {
  const family = equalityFamily(left, run.context.catalog);
  const isSame = family !== undefined && family === equalityFamily(right, run.context.catalog);
  return isSame ? [{ kind: "columns", left, right }] : [];
}

/** A column that equals one of a sub-select's, of which every row has a constant. */
function constantFact(run: AnalysisRun, column: Column, other: Column): readonly Fact[] {
  const family = equalityFamily(column, run.context.catalog);
  const terms = family === undefined ? undefined : constantsOf(other, family, run.context);
  return terms === undefined ? [] : [{ kind: "values", column, values: { kind: "terms", terms } }];
}

/** `SELECT 5 AS id`, `VALUES (1), (2)`: the values that a column of such a sub-select may have, but for NULL. */
export function constantsOf(
  column: Column,
  family: Family,
  context: PlanContext,
): readonly KeyTerm[] | undefined {
  const { source } = storedColumn(column);
  const index = source.columns.indexOf(storedColumn(column));
  if (source.content.kind !== "query" || source.isOpen) return undefined;
  const { statement, outputs } = source.content.level;
  const rows = statement.kind === "select" ? statement.node.valuesLists : undefined;
  const expressions =
    rows === undefined
      ? [outputs[index]?.expression]
      : rows.map((row) => ("List" in row ? row.List.items?.[index] : undefined));
  const written = expressions.filter((expression) => expression !== undefined);
  return written.length === expressions.length ? termsOf(written, family, context) : undefined;
}

/** `a IN (1, 2)`, and `(a, b) IN ((1, 2), (3, 4))`, whose rows are compared column by column. */
function readList(
  run: AnalysisRun,
  left: Node,
  items: readonly Node[],
  scope: Scope,
  into: Fact[],
): void {
  if (!("RowExpr" in left)) {
    readAlternatives(run, left, items, scope, into);
    return;
  }
  const arms = items.map((item) => {
    const facts: Fact[] = [];
    readEquality(run, left, item, scope, facts);
    return facts;
  });
  into.push(...eitherFacts(arms));
}

function readAlternatives(
  run: AnalysisRun,
  left: Node,
  items: readonly Node[],
  scope: Scope,
  into: Fact[],
): void {
  const column = comparedColumn(run, left, scope);
  if (column === undefined) return;
  const terms = comparedTerms(run, column, (family) => termsOf(items, family, run.context));
  if (terms !== undefined) into.push({ kind: "values", column, values: { kind: "terms", terms } });
}

/** `key = ANY (ARRAY[...])`, `key = ANY ('{...}')`, `key = ANY ($1)`, and each cast to an array of the key's type. */
function readAny(run: AnalysisRun, left: Node, right: Node, scope: Scope, into: Fact[]): void {
  const column = comparedColumn(run, left, scope);
  const family = column === undefined ? undefined : equalityFamily(column, run.context.catalog);
  if (column === undefined || family === undefined) return;
  const values = arrayValues(run, right, typeOfColumn(column, run.context.catalog), family);
  if (values === undefined) return;
  if (values.kind === "terms") suggestTypes(run, values.terms, column);
  into.push({ kind: "values", column, values });
}

function comparedTerms(
  run: AnalysisRun,
  column: Column,
  read: (family: Family) => readonly KeyTerm[] | undefined,
): readonly KeyTerm[] | undefined {
  const family = equalityFamily(column, run.context.catalog);
  const terms = family === undefined ? undefined : read(family);
  if (terms !== undefined) suggestTypes(run, terms, column);
  return terms;
}

/** A parameter compared with a column takes the column's type, or that of its own cast. */
function suggestTypes(run: AnalysisRun, terms: readonly KeyTerm[], column: Column): void {
  for (const term of terms) {
    if (term.kind !== "parameter") continue;
    run.suggestType(
      term.number,
      term.isCast ? term.typeOid : typeOfColumn(column, run.context.catalog),
    );
  }
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

export function columnOf(expression: Node, scope: Scope): Column | undefined {
  return "ColumnRef" in expression ? resolveColumn(expression.ColumnRef, scope)?.column : undefined;
}
