/**
 * What one PostgreSQL does once for a statement, and several placements would do once each: a
 * sub-select of no table that calls random(), and the order that a sub-select hands on to a level
 * which asks for none of its own.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { locationOf, nameParts, walkNodes } from "../ast.ts";
import { functionUse, type FunctionEffect } from "../functions.ts";
import type { PlanContext } from "../plan-context.ts";
import { refusal, type RefusalDraft } from "../refusal.ts";
import type { Level } from "./model.ts";
import { isGrouped } from "./shape.ts";

const DIFFERS_BY_CALL: ReadonlySet<FunctionEffect> = new Set(["volatile", "writes"]);

/** Why several placements cannot evaluate the level each by itself, as far as that goes. */
export function oncePerStatement(
  level: Level,
  readsSharded: (level: Level) => boolean,
  context: PlanContext,
): RefusalDraft | undefined {
  return volatileOnce(level, readsSharded, context) ?? handedOnOrder(level, readsSharded);
}

/** PostgreSQL evaluates a sub-select that depends on no row once, and its value is every row's. */
function volatileOnce(
  level: Level,
  readsSharded: (level: Level) => boolean,
  context: PlanContext,
): RefusalDraft | undefined {
  const below = [
    ...level.sources.flatMap(({ content }) => (content.kind === "query" ? [content.level] : [])),
    ...level.nested,
    ...level.withQueries,
  ];
  const free = below.filter((inner) => !readsSharded(inner));
  for (const part of [...free.map(nodeOf), ...functionsInFrom(level)]) {
    const call = volatileCall(part, context);
    if (call === undefined) continue;
    const name = nameParts(call.funcname).at(-1) ?? "";
    return refusal(
      "volatile_subquery_scattered",
      `function ${name} in a sub-select over no sharded table is not supported over several placements`,
      {
        location: call.location,
        detail:
          "Each placement would evaluate it for itself, and rows of one statement would differ.",
      },
    );
  }
  return undefined;
}

function nodeOf({ statement }: Level): unknown {
  return "node" in statement ? statement.node : undefined;
}

function functionsInFrom({ statement }: Level): readonly Node[] {
  if (statement.kind !== "select") return [];
  const functions: Node[] = [];
  walkNodes(statement.node.fromClause, ({ kind, body }) => {
    if (kind === "RangeFunction") functions.push({ RangeFunction: body });
    return kind === "JoinExpr";
  });
  return functions;
}

function volatileCall(part: unknown, context: PlanContext): FuncCall | undefined {
  let found: FuncCall | undefined;
  walkNodes(part, ({ kind, body }) => {
    if (kind !== "FuncCall" || found !== undefined) return found === undefined;
    const call = body as FuncCall;
    const { effect } = functionUse(nameParts(call.funcname), call.location, context);
    if (DIFFERS_BY_CALL.has(effect)) found = call;
    return true;
  });
  return found;
}

/** Nothing in SQL says that it is kept, but PostgreSQL keeps it, and pages of rows are cut by it. */
function handedOnOrder(
  level: Level,
  readsSharded: (level: Level) => boolean,
): RefusalDraft | undefined {
  const { statement } = level;
  if (statement.kind !== "select" || statement.node.sortClause !== undefined) return undefined;
  if (isGrouped(level, statement.node)) return undefined;
  const [only, ...others] = level.sources.filter(({ isFilter }) => !isFilter);
  // A join gives its rows in whatever order suits it.
  if (only?.content.kind !== "query" || others.length > 0) return undefined;
  const inner = only.content.level;
  if (inner.statement.kind !== "select" || !readsSharded(inner)) return undefined;
  const { sortClause } = inner.statement.node;
  if (sortClause === undefined) return undefined;
  return refusal(
    "subquery_order_scattered",
    "the order of a sub-select over several placements is not handed on",
    { location: locationOf(sortClause) },
  );
}
