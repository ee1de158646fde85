/** From text to plans, with the plans met before kept: the session's one door to the planner. */
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import { parseSql } from "../../planner/parse.ts";
import type { ParsedStatement, ParseOutcome } from "../../planner/parse.ts";
import type { PlanCache } from "../../planner/plan-cache.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";

export class StatementPlanner {
  readonly #cache: PlanCache;

  constructor(cache: PlanCache) {
    this.#cache = cache;
  }

  /** The plan of a text that is known to be one statement and was planned in the same context before. */
  known(text: string, context: PlanContext): LogicalPlan | undefined {
    return this.#cache.get(text, context);
  }

  parse(text: string): ParseOutcome {
    return parseSql(text);
  }

  /** `text`: the query string, where this statement is all of it; then its plan is kept under it. */
  plan(statement: ParsedStatement, context: PlanContext, text: string | undefined): LogicalPlan {
    const plan = planStatement(statement, context);
    if (text !== undefined) this.#cache.set(text, context, plan);
    return plan;
  }
}
