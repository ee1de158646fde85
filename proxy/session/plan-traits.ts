/** What running a plan depends on, as far as the plan itself tells. */
import type { CommandPlan } from "./commands.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import type { BoundParameter, PhysicalPlan } from "../../planner/physical-plan.ts";
import type { PinReason } from "../execution/pinned-backend.ts";

/** For metrics: what one placement answers alone, what the proxy gathers, and what the catalog database does. */
export function routeOf({ pulls, gather }: PhysicalPlan): "single" | "scatter" | "database gather" {
  if (pulls.length > 0) return "database gather";
  return gather.kind === "passThrough" ? "single" : "scatter";
}

/** A view's query stands in the text that runs: the client is told the columns of its own text. */
export function readsViews(plan: QueryPlan | InsertPlan): boolean {
  return plan.kind === "query" && plan.template.origin !== undefined;
}

export function writesIn({ access, fragments }: PhysicalPlan, database: DatabaseName): boolean {
  return access === "write" && fragments.some((fragment) => fragment.database === database);
}

/** Ids that were drawn ahead are void after it. */
export function setsSequence(plan: QueryPlan | InsertPlan): boolean {
  return (
    plan.kind === "query" && plan.routing.kind === "home" && plan.routing.because === "sequence"
  );
}

/** Why a session that runs it needs a backend of its own. */
export function pinReasonOf(plan: QueryPlan | InsertPlan): PinReason | undefined {
  if (plan.kind !== "query") return undefined;
  const { routing, several } = plan;
  if (routing.kind === "home" && routing.because === "advisory lock") return "advisory lock";
  if (routing.kind !== "byPulls" || several.gather.kind !== "database") return undefined;
  return several.gather.own === "made" ? "temporary object" : undefined;
}

/** The catalog has not a table that the statement names, or a statement within it does. */
export function namesUnknownTable(plan: LogicalPlan): boolean {
  switch (plan.kind) {
    case "query":
    case "copyIn":
      return plan.rule === "undefinedTable";
    case "insertQuery":
      return namesUnknownTable(plan.source);
    case "explain":
      return namesUnknownTable(plan.plan);
    case "copyOut":
      return namesUnknownTable(plan.query);
    case "cursor":
      return plan.action.kind === "declare" && namesUnknownTable(plan.action.query);
    default:
      return false;
  }
}

/** See planner/session-values.ts. */
export function isSessionValue({ routing }: QueryPlan): boolean {
  return routing.kind === "home" && routing.because === "session value";
}

/** One database runs it as it is, and may call nextval() for it: a default, a trigger, the statement itself. */
export function mayDraw(plan: QueryPlan | InsertPlan): boolean {
  return (
    plan.kind === "query" &&
    plan.access === "write" &&
    plan.routing.kind === "home" &&
    plan.routing.because !== "advisory lock" &&
    plan.routing.because !== "session value"
  );
}

/** The name of a command that is of use in a transaction block alone, and warns outside of one. */
export function blockCommand(plan: CommandPlan): string | undefined {
  if (plan.kind === "setting") return plan.scope === "local" ? "SET LOCAL" : undefined;
  if (plan.kind !== "transaction") return undefined;
  if (plan.action.kind === "setModes") return "SET TRANSACTION";
  return plan.action.kind === "setConstraints" ? "SET CONSTRAINTS" : undefined;
}

/** Every placement that it may read or write; what runs in its stead, where it gives up, included. */
export function placesOf({ fragments, pulls, overflow }: PhysicalPlan): readonly string[] {
  const [only, second] = fragments;
  const isOne = second === undefined && pulls.length === 0 && overflow === undefined;
  if (only !== undefined && isOne) return only.placementIds;
  const all = [...fragments, ...pulls.flatMap((pull) => pull.fragments)];
  const places = all.flatMap(({ placementIds }) => placementIds);
  return overflow === undefined ? places : [...places, ...placesOf(overflow)];
}

/** About what it keeps in memory while it waits. */
export function bytesOf(
  { fragments, pulls }: PhysicalPlan,
  parameters: readonly BoundParameter[],
): number {
  const texts = [...fragments, ...pulls.flatMap((pull) => pull.fragments)];
  const values = parameters.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  return texts.reduce((sum, { rendered }) => sum + rendered.sql.length, values);
}
