/** From text to plans, with the plans met before kept: the session's one door to the planner. */
import { OWN_PLANS_MAX } from "../../base/limits.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { KeyedText } from "../../planner/keyed-text.ts";
import type { LiteralTemplates } from "../../planner/literal-templates.ts";
import { parseSql } from "../../planner/parse.ts";
import type { ParsedStatement, ParseOutcome } from "../../planner/parse.ts";
import { PlanCache } from "../../planner/plan-cache.ts";
import type { KeptPlan } from "../../planner/plan-cache.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { TEMPORARY_SCHEMA } from "../../shardmap/catalog.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import { namesUnknownTable } from "./plan-traits.ts";

/** See KeyedText; `used`: as of KeptPlan. */
export interface KeyedPlan {
  readonly text: KeyedText;
  readonly used: () => void;
}

export class StatementPlanner {
  readonly #cache: PlanCache;
  readonly #templates: LiteralTemplates | undefined;
  /** Of sessions with temporary relations, each by its own catalog, and gone with it. */
  readonly #own = new WeakMap<Catalog, PlanCache>();

  /** Without templates, each text that is met for the first time is parsed. */
  constructor(cache: PlanCache, templates: LiteralTemplates | undefined) {
    this.#cache = cache;
    this.#templates = templates;
  }

  #cacheFor({ catalog }: PlanContext): PlanCache {
    if (!catalog.relations.has(TEMPORARY_SCHEMA)) return this.#cache;
    const known = this.#own.get(catalog) ?? new PlanCache(OWN_PLANS_MAX);
    this.#own.set(catalog, known);
    return known;
  }

  #templatesFor(context: PlanContext): LiteralTemplates | undefined {
    return this.#cacheFor(context) === this.#cache ? this.#templates : undefined;
  }

  /** The plan of a text that is known to be one statement and was planned in the same context before. */
  known(text: string, context: PlanContext): LogicalPlan | undefined {
    const plan = this.peek(text, context);
    return plan ?? this.#cacheFor(context).get(text, context);
  }

  /** As `known`, for who leaves it to others to plan what is not: it counts as no miss. */
  peek(text: string, context: PlanContext): LogicalPlan | undefined {
    const plan = this.#cacheFor(context).peek(text, context);
    return plan ?? this.#templatesFor(context)?.find(text, context);
  }

  /** As `peek`, for who uses the plan again and again, and says so each time. */
  keep(text: string, context: PlanContext): KeptPlan | undefined {
    const kept = this.keepOwn(text, context);
    const templates = this.#templatesFor(context);
    if (kept !== undefined || templates === undefined) return kept;
    const plan = templates.find(text, context);
    return plan && { plan, used: () => templates.used() };
  }

  /** As `keep`, of a text that was planned itself. */
  keepOwn(text: string, context: PlanContext): KeptPlan | undefined {
    return this.#cacheFor(context).keep(text, context);
  }

  /** The template that the text is one of, where it has no plan of its own; `used` counts a hit of it. */
  keyed(text: string, context: PlanContext): KeyedPlan | undefined {
    const templates = this.#templatesFor(context);
    const keyed = templates?.keyed(text, context);
    return templates && keyed && { text: keyed, used: () => templates.used() };
  }

  parse(text: string): ParseOutcome {
    return parseSql(text);
  }

  /** `text`: the query string, where this statement is all of it; then its plan is kept under it. */
  plan(statement: ParsedStatement, context: PlanContext, text: string | undefined): LogicalPlan {
    const plan = planStatement(statement, context);
    // A name that is not there may be there the next time.
    if (text === undefined || namesUnknownTable(plan)) return plan;
    const cache = this.#cacheFor(context);
    cache.set(text, context, plan);
    if (cache === this.#cache) this.#templates?.learn(text, context, plan);
    return plan;
  }
}
