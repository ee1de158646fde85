/**
 * Reads facts off a WHERE or ON: only what every row that is kept must satisfy. Under NOT,
 * CASE, a function or a test for truth an equality may fail for a row that is kept.
 */
import type { Node, SubLink } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import { columnFact, columnOf, factsOf, isBuiltInEquals, rowOf } from "./comparisons.ts";
import { subLinkOf, walkExpression } from "./expressions.ts";
import type { Fact, Source } from "./model.ts";
import type { Scope } from "./namespace.ts";
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
  into.facts.push(...factsOf(run, condition, scope));
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
