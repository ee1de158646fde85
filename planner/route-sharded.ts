/**
 * Statements over sharded tables: one placement where the keys say so, several where that
 * is exact, a refusal otherwise.
 *
 *     distributed (the answer is the union of the placements')   scatter, or fewer by the root's pin
 *     else settled (every table pinned to the same placement)    single, checked again when bound
 *     else                                                       refused, with what stands in the way
 */
import { isDeepStrictEqual } from "node:util";
import type { Node } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import { analyze } from "./analyze/analyze.ts";
import type { Analysis, Level } from "./analyze/model.ts";
import { PlacementRules } from "./analyze/placement-rules.ts";
import type { Unit } from "./analyze/units.ts";
import { mayWrite } from "./function-rules.ts";
import type { KeyClasses } from "./analyze/shape.ts";
import { planGather, type GatherPlan, type Scattered } from "./gather-plan.ts";
import { gatherTables } from "./database-gather/tables.ts";
import type { DatabaseGather, Gather, QueryPlan, Routing, Several } from "./logical-plan.ts";
import { parseOne, type ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { pinRouting, settledRouting } from "./pin-routing.ts";
import {
  PlanRefused,
  placeRefusal,
  refusal,
  refuse,
  unlessRefused,
  withRefusals,
  type RefusalDraft,
} from "./refusal.ts";
import { severally, SeveralLater } from "./several.ts";
import { returnsRows, templateWith } from "./statement-text.ts";
import { checkInsertWithin } from "./insert/within.ts";
import { limitEdits } from "./row-limit.ts";
import { checkKeyUnchanged, hintOfUpdate, keptByUpdate } from "./shard-key-updates.ts";
import type { SqlTemplate } from "./sql-template.ts";
import { synthesize } from "./synthesize.ts";

export function routeSharded(
  statement: ParsedStatement,
  analysis: Analysis,
  context: PlanContext,
): QueryPlan {
  checkWrites(analysis, context);
  const pinned = statement.isWhole ? pinnedRouting(analysis, context) : undefined;
  return {
    kind: "query",
    access: accessOf(analysis),
    template: templateWith(statement, [], context),
    returnsRows: returnsRows(statement.node),
    ...(pinned === undefined
      ? planPlaces(statement, analysis, context)
      : {
          rule: settledRule(pinned),
          routing: pinned,
          several: severalLater(statement.text, context),
        }),
  };
}

function accessOf(analysis: Analysis): QueryPlan["access"] {
  return mayWrite(analysis) ? "write" : "read";
}

/**
 * The keys that send the statement to one placement whatever several would do, where that can be
 * told without them: what it is pinned to as a whole is also what would tell its placements apart.
 */
function pinnedRouting(analysis: Analysis, context: PlanContext): Routing | undefined {
  const { root, scatterRefusals } = analysis;
  const rules = new PlacementRules(analysis, context);
  const settlement = unlessRefused(() => rules.settle(root, [], true));
  const settled = settlement?.kind === "settled" ? settledRouting(settlement.pins) : undefined;
  if (settled?.kind !== "shardKeys") return undefined;
  const joined = rules.distributeJoins(root);
  if (joined.kind !== "byShard" || scatterRefusals.length > 0) return settled;
  const { routing } = scatteredRouting(root, joined.roots, rules);
  return isDeepStrictEqual(routing, settled) ? settled : undefined;
}

/** Of the text alone: what is made here is kept, and must not keep the statement's tree. */
function severalLater(text: string, context: PlanContext): Several {
  return new SeveralLater(() => severalOf(text, context));
}

/** Of a text that was planned before, by what its keys pin. */
function severalOf(text: string, context: PlanContext): Several {
  const statement = parseOne(text);
  return withRefusals(
    statement,
    () => planPlaces(statement, analyze(statement.node, context), context).several,
  );
}

function planPlaces(
  statement: ParsedStatement,
  analysis: Analysis,
  context: PlanContext,
): Pick<QueryPlan, "rule" | "routing" | "several"> {
  const rules = new PlacementRules(analysis, context);
  const scatter = planScatter(statement, analysis, rules, context);
  const overTables = (): TablesGather => planTables(statement, analysis, rules, context);
  if (scatter.kind === "possible") {
    const { rule, routing, gather, scatterTemplate } = scatter;
    // What has written once must not run again.
    const overflowGather =
      accessOf(analysis) === "write"
        ? undefined
        : (scatter.overflowGather ?? (mayOverflow(gather) ? overTables().gather : undefined));
    const several = { gather, scatterTemplate, overflowGather, scatterRefusal: undefined };
    return { rule, routing, several };
  }
  const settlement = rules.settle(analysis.root, [], true);
  const routing = settlement.kind === "settled" ? settledRouting(settlement.pins) : undefined;
  const { gather, refusal: barred } = overTables();
  if (gather !== undefined) {
    return {
      rule: routing === undefined ? "gatherTables" : settledRule(routing),
      routing: routing ?? { kind: "byPulls" },
      several: severally(gather),
    };
  }
  if (routing === undefined) throw new PlanRefused(barred ?? scatter.refusal);
  const single: Gather = isWrite(statement.node)
    ? { kind: "counts" }
    : { kind: "concat", limit: undefined };
  return {
    rule: settledRule(routing),
    routing,
    several: severally(single, placeRefusal(scatter.refusal, statement)),
  };
}

function settledRule(routing: Routing): string {
  return routing.kind === "noRows" ? "noRowsWhenNull" : "pinByShardKey";
}

/** What the proxy holds until it answers, or the order it needs, may be too much for it. */
function mayOverflow(gather: Gather): boolean {
  if (gather.kind === "database") return gather.pulls.some((pull) => mayOverflow(pull.gather));
  return gather.kind === "merge" || gather.kind === "aggregate";
}

interface TablesGather {
  readonly gather: DatabaseGather | undefined;
  /** Why there is none, where the statement is of the kind that might have one. */
  readonly refusal: RefusalDraft | undefined;
}

/** A SELECT that leaves everything as it is may run over copies of the rows. */
function planTables(
  statement: ParsedStatement,
  analysis: Analysis,
  rules: PlacementRules,
  context: PlanContext,
): TablesGather {
  if (!("SelectStmt" in statement.node) || mayWrite(analysis))
    return { gather: undefined, refusal: undefined };
  try {
    const gather = gatherTables(statement, analysis, rules, context);
    return { gather, refusal: undefined };
  } catch (error) {
    if (error instanceof PlanRefused) return { gather: undefined, refusal: error.draft };
    throw error;
  }
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
    const classes = rules.groupClasses(root, joined.roots);
    const gather = gathered(root, classes, { statement, routing, context });
    if (analysis.locksRows) return lockedScatter({ ...decided, ...gather });
    if (gather.gather.kind === "database" && mayWrite(analysis)) return writingScatter(analysis);
    return { kind: "possible", ...decided, ...gather };
  } catch (error) {
    if (error instanceof PlanRefused) return { kind: "refused", refusal: error.draft };
    throw error;
  }
}

/** Rows that are locked are given as they come: copies of them could not be prepared for commit beside their locks. */
function lockedScatter(plan: Omit<Extract<Scatter, { kind: "possible" }>, "kind">): Scatter {
  if (plan.gather.kind === "concat" || plan.gather.kind === "merge")
    return { kind: "possible", ...plan, overflowGather: undefined };
  const locked = refusal(
    "row_locks_scattered",
    "row locks are not supported where rows of several placements are computed with",
  );
  return { kind: "refused", refusal: locked };
}

/** Over copies in the catalog database, a function might write there what belongs to the placements. */
function writingScatter({ functions }: Analysis): Scatter {
  const first = functions.find(({ effect }) => effect === "writes");
  const name = first === undefined ? "" : ` ${first.name}`;
  return {
    kind: "refused",
    refusal: refusal(
      "function_writes_scattered",
      `function${name} may write, and is not supported where rows of several placements are gathered in a database`,
      { location: first?.location },
    ),
  };
}

type GatheredPlan = Pick<Several, "gather" | "scatterTemplate" | "overflowGather">;

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

/** Every placement, or fewer by what the roots' keys are pinned to or lie between. */
export function scatteredRouting(
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

/** Writes may reach sharded tables only, and those not by MERGE. */
export function checkWrites(analysis: Analysis, context: PlanContext): void {
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
    if (statement.kind === "other")
      refuse(
        "data_modifying_with_scattered",
        `MERGE into sharded table "${table.name}" is not supported in WITH`,
        { location },
      );
    if (statement.kind === "insert") checkInsertWithin(statement.node, table);
    if (statement.kind === "update") {
      const isKept = keptByUpdate(level, context);
      checkKeyUnchanged(statement.node.targetList ?? [], table.table, isKept, hintOfUpdate);
    }
  }
}

function isWrite(node: Node): boolean {
  return "UpdateStmt" in node || "DeleteStmt" in node;
}
