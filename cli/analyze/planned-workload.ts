/** A workload against one map: where each of its statements would run, or why it is refused. */
import { SqlError } from "../../base/sql-error.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { refusalError } from "../../planner/refusal.ts";
import { namedTables } from "./named-tables.ts";
import { routeClass, type RouteClass } from "./route-class.ts";
import type { WorkloadStatement } from "./workload.ts";

export interface PlannedStatement {
  readonly statement: WorkloadStatement;
  readonly class: RouteClass;
  /** Why it is not of a better class. */
  readonly reason: Reason;
  /** Names of the tables it reads or writes, system catalogs left out; each once, in order. */
  readonly tables: readonly string[];
  /** Those of them that neither the map nor the schema has. */
  readonly unknownTables: readonly string[];
}

export interface Reason {
  /** The error's id, or the planner's rule. */
  readonly id: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** Undefined for a text of blanks and comments. */
export function planned(
  statement: WorkloadStatement,
  context: PlanContext,
): PlannedStatement | undefined {
  const outcome = outcomeOf(statement, context);
  if (outcome === undefined) return undefined;
  const { tables, unknown: unknownTables } = namedTables(statement.parsed.node, context);
  return { statement, ...outcome, tables, unknownTables };
}

function outcomeOf(
  { parsed, isSquashed }: WorkloadStatement,
  context: PlanContext,
): Pick<PlannedStatement, "class" | "reason"> | undefined {
  try {
    const plan = planStatement(parsed, context);
    if ("refusal" in plan && plan.refusal !== undefined) throw refusalError(plan.refusal);
    const found = routeClass(plan);
    if (found === undefined) return undefined;
    // The list of which one element is left may well have been of shard keys.
    return { class: found === "single" && isSquashed ? "pruned" : found, reason: reasonOf(plan) };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const { id, message, hint } = error;
    return { class: "refused", reason: { id, message, hint } };
  }
}

function reasonOf(plan: LogicalPlan): Reason {
  const rule = "rule" in plan ? plan.rule : plan.kind;
  if (plan.kind !== "query") return { id: rule, message: rule, hint: undefined };
  const { routing } = plan;
  const { scatterRefusal } = plan.several;
  if (scatterRefusal !== undefined && routeClass(plan) === "refused") {
    return {
      id: scatterRefusal.id,
      message: `${scatterRefusal.message}, unless its keys lie together`,
      hint: scatterRefusal.hint,
    };
  }
  switch (routing.kind) {
    case "allShards":
      return { id: rule, message: routing.because, hint: undefined };
    case "byPulls":
      return { id: rule, message: "its tables are read one by one", hint: undefined };
    case "home":
      return { id: rule, message: routing.because, hint: undefined };
    default:
      return { id: rule, message: rule, hint: undefined };
  }
}
