/**
 * Statements over sharded tables: one placement where the keys say so, several where that
 * is exact, a refusal otherwise.
 *
 *     distributed (the answer is the union of the placements')   scatter, or fewer by the root's pin
 *     else settled (every table pinned to the same placement)    single, checked again when bound
 *     else                                                       refused, with what stands in the way
 */
import type { Node } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import type { Analysis, Level } from "./analyze/model.ts";
import { PlacementRules } from "./analyze/placement-rules.ts";
import type { Pin, Unit } from "./analyze/units.ts";
import { mayWrite } from "./function-rules.ts";
import type { KeyClasses } from "./analyze/shape.ts";
import { planGather, type GatherPlan, type Scattered } from "./gather-plan.ts";
import type { DatabaseGather, Gather, PinnedKeys, QueryPlan, Routing } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, placeRefusal, refuse, type RefusalDraft } from "./refusal.ts";
import { returnsRows, templateWith } from "./statement-text.ts";
import { limitEdits } from "./row-limit.ts";
import { checkKeyUnchanged } from "./shard-key-updates.ts";
import type { SqlTemplate } from "./sql-template.ts";
import { synthesize } from "./synthesize.ts";

export function routeSharded(
  statement: ParsedStatement,
  analysis: Analysis,
  context: PlanContext,
): QueryPlan {
  checkWrites(analysis);
  const rules = new PlacementRules(analysis, context);
  const { root } = analysis;
  const scatter = planScatter(statement, analysis, rules, context);
  const template = templateWith(statement, [], context);
  const whole = {
    kind: "query" as const,
    access: mayWrite(analysis) ? ("write" as const) : ("read" as const),
    template,
    returnsRows: returnsRows(statement.node),
  };
  if (scatter.kind === "possible") {
    const { kind: _, ...plan } = scatter;
    return { ...whole, ...plan, scatterRefusal: undefined };
  }
  const settlement = rules.settle(root, [], true);
  const routing = settlement.kind === "settled" ? settledRouting(settlement.pins) : undefined;
  if (routing === undefined) throw new PlanRefused(scatter.refusal);
  return {
    ...whole,
    rule: routing.kind === "noRows" ? "noRowsWhenNull" : "pinByShardKey",
    routing,
    gather: isWrite(statement.node) ? { kind: "counts" } : { kind: "concat", limit: undefined },
    scatterTemplate: undefined,
    overflowGather: undefined,
    scatterRefusal: placeRefusal(scatter.refusal, statement),
  };
}

type Scatter =
  | {
      readonly kind: "possible";
      readonly rule: string;
      readonly routing: Routing;
      readonly gather: Gather;
      readonly scatterTemplate: SqlTemplate | undefined;
      readonly overflowGather: DatabaseGather | undefined;
    }
  | { readonly kind: "refused"; readonly refusal: RefusalDraft };

function planScatter(
  statement: ParsedStatement,
  analysis: Analysis,
  rules: PlacementRules,
  context: PlanContext,
): Scatter {
  const joined = rules.distributeJoins(analysis.root);
  invariant(joined.kind !== "free", "a statement over sharded tables reads one at some level");
  if (joined.kind === "bound") return { kind: "refused", refusal: joined.refusal };
  const [barred] = analysis.scatterRefusals;
  if (barred !== undefined) return { kind: "refused", refusal: barred };
  const { root } = analysis;
  const decided = scatteredRouting(root, joined.roots, rules);
  const { routing } = decided;
  try {
    const classes = rules.keyClasses(root, joined.roots);
    const gather = gathered(root, classes, { statement, routing, context });
    return { kind: "possible", ...decided, ...gather };
  } catch (error) {
    if (error instanceof PlanRefused) return { kind: "refused", refusal: error.draft };
    throw error;
  }
}

type GatheredPlan = Pick<QueryPlan, "gather" | "scatterTemplate" | "overflowGather">;

function gathered(level: Level, classes: KeyClasses, scattered: Scattered): GatheredPlan {
  if (level.statement.kind !== "select")
    return { gather: { kind: "counts" }, scatterTemplate: undefined, overflowGather: undefined };
  const plan = planGather(level.statement.node, level, classes, scattered);
  return {
    gather: plan.gather,
    scatterTemplate: templateOfPlacements(plan, scattered),
    overflowGather: plan.overflow,
  };
}

/** The text for several placements, where it is not the client's own. */
function templateOfPlacements(
  { gather, rewritten }: GatherPlan,
  { statement, context }: Scattered,
): SqlTemplate | undefined {
  const text = rewritten === undefined ? statement : synthesize(rewritten);
  const isPartial = gather.kind === "aggregate" && rewritten !== undefined;
  const limit = "limit" in gather && !isPartial ? gather.limit : undefined;
  if (rewritten === undefined && limit?.offset === undefined) return undefined;
  return templateWith(
    text,
    "SelectStmt" in text.node ? limitEdits(text.node.SelectStmt, limit, text) : [],
    context,
  );
}

function scatteredRouting(
  level: Level,
  roots: readonly Unit[],
  rules: PlacementRules,
): { readonly rule: string; readonly routing: Routing } {
  const pin = rules.rootPin(level, roots);
  const colocation = roots[0]?.colocation;
  if (pin !== undefined) {
    const routing = pinRouting(pin, []);
    return { rule: routing.kind === "noRows" ? "noRowsWhenNull" : "pinByShardKey", routing };
  }
  invariant(colocation !== undefined, "a distributed level has a root");
  // A hash says nothing of order, so only ranges and lists are pruned by bounds.
  const bounds = colocation.function.kind === "hash" ? undefined : rules.rootBounds(level, roots);
  if (bounds !== undefined) {
    return { rule: "pruneByRange", routing: { kind: "keyRange", colocation, ...bounds } };
  }
  return {
    rule: "scatter",
    routing: { kind: "allShards", colocation, because: "no shard key in predicate" },
  };
}

/** All pins must turn out to lie in one placement; an array beside other pins cannot be told, and pins nothing. */
function settledRouting(pins: readonly Pin[]): Routing | undefined {
  const distinct = [...new Map(pins.map((pin) => [pinIdentity(pin), pin])).values()];
  const keyed = distinct.filter((pin) => pin.kind === "keys");
  const [only] = distinct;
  if (only === undefined) return undefined;
  if (distinct.length === 1) return pinRouting(only, []);
  if (keyed.length !== distinct.length) return undefined;
  const possible = keyed.filter((pin) => !isNull(pin));
  const [first, ...rest] = possible;
  return first === undefined ? pinRouting(only, []) : pinRouting(first, rest);
}

function pinIdentity(pin: Pin): string {
  return JSON.stringify([pin.colocation.name, pin.kind === "keys" ? pin.keys : pin.parameter]);
}

function pinRouting(pin: Pin, alsoPinned: readonly PinnedKeys[]): Routing {
  const { colocation } = pin;
  if (pin.kind === "array")
    return { kind: "keyArray", colocation, parameter: pin.parameter, typeOid: pin.typeOid };
  if (isNull(pin)) return { kind: "noRows", colocation };
  return {
    kind: "shardKeys",
    colocation,
    keys: pin.keys.filter((tuple) => !hasNull(tuple)),
    alsoPinned,
  };
}

/** A key equals NULL in no row. */
function isNull(pin: Pin): boolean {
  return pin.kind === "keys" && pin.keys.every(hasNull);
}

function hasNull(tuple: readonly { readonly kind: string }[]): boolean {
  return tuple.some(({ kind }) => kind === "null");
}

/** Writes may reach sharded tables only, and only through UPDATE and DELETE. */
function checkWrites(analysis: Analysis): void {
  for (const { table, isWritten, level, location } of analysis.tables) {
    if (!isWritten) continue;
    if (table.kind !== "sharded") {
      refuse(
        "reference_write_mixed",
        `reference table "${table.name}" cannot be written together with sharded tables`,
        { location },
      );
    }
    const { statement } = level;
    if (statement.kind === "other" && level === analysis.root) {
      refuse("merge_not_supported", `MERGE into sharded table "${table.name}" is not supported`, {
        location,
      });
    }
    if (statement.kind === "other")
      refuse(
        "data_modifying_with_scattered",
        `INSERT or MERGE into sharded table "${table.name}" is not supported in WITH`,
        { location },
      );
    if (statement.kind === "update") checkKeyUnchanged(statement.node, table.table);
  }
}

function isWrite(node: Node): boolean {
  return "UpdateStmt" in node || "DeleteStmt" in node;
}
