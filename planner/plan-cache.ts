/**
 * Plans kept by the exact text they were made of and by everything else they depend on: a
 * hit parses nothing. Only plans of statements about rows are kept, and of those that begin and
 * end transactions; the one that was not used for the longest time goes first.
 *
 * Maps and catalogs are told apart by identity: they are immutable, and a transaction's own
 * catalog may carry the same epoch as everyone's.
 */
import {
  PLAN_CACHE_ENTRIES_MAX,
  PLAN_CACHE_TEXT_LENGTH_MAX,
  PLAN_CACHE_VARIANTS_MAX,
} from "../base/limits.ts";
import { mayListChannels } from "./listening-channels.ts";
import type { LogicalPlan } from "./logical-plan.ts";
import type { PlanContext } from "./plan-context.ts";

export interface PlanCacheCounts {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly texts: number;
}

interface Variant {
  readonly context: PlanContext;
  readonly plan: LogicalPlan;
  hits: number;
}

/** For who keeps a plan by itself: it is kept here as long as it is said to be used. */
export interface KeptPlan {
  readonly plan: LogicalPlan;
  /** A hit, as if it had been looked up. */
  readonly used: () => void;
}

/** A plan that is used without a look-up is brought to the end of the queue once in so many times. */
const USES_A_TOUCH = 256;

/** A plan that is kept, and how often it was found. */
export interface CachedPlan {
  readonly text: string;
  readonly plan: LogicalPlan;
  readonly searchPath: readonly string[];
  readonly hits: number;
}

export class PlanCache {
  readonly #textsMax: number;
  /** By text, the plans of the contexts it was met in, the newest first. */
  readonly #variants = new Map<string, readonly Variant[]>();
  #newest = { version: -1, epoch: -1 };
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(textsMax: number = PLAN_CACHE_ENTRIES_MAX) {
    this.#textsMax = textsMax;
  }

  get counts(): PlanCacheCounts {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      texts: this.#variants.size,
    };
  }

  /** The one used last comes last. */
  *entries(): Iterable<CachedPlan> {
    for (const [text, variants] of this.#variants)
      for (const { plan, context, hits } of variants)
        yield { text, plan, searchPath: context.searchPath, hits };
  }

  get(text: string, context: PlanContext): LogicalPlan | undefined {
    const plan = this.peek(text, context);
    if (plan === undefined) this.#misses++;
    return plan;
  }

  /** As `get`, but what is not found is no miss: it is asked for again. */
  peek(text: string, context: PlanContext): LogicalPlan | undefined {
    const found = this.#find(text, context);
    if (found === undefined) return undefined;
    this.#hits++;
    found.hits++;
    return found.plan;
  }

  /** As `peek`, which counts no hit. */
  keep(text: string, context: PlanContext): KeptPlan | undefined {
    const found = this.#find(text, context);
    if (found === undefined) return undefined;
    const used = (): void => {
      this.#hits++;
      found.hits++;
      if (found.hits % USES_A_TOUCH === 0) this.#find(text, context);
    };
    return { plan: found.plan, used };
  }

  #find(text: string, context: PlanContext): Variant | undefined {
    const variants = this.#variants.get(text);
    const found = variants?.find((variant) => isSameContext(variant.context, context));
    if (variants !== undefined && found !== undefined) this.#touch(text, variants);
    return found;
  }

  /** Keeps the plan unless it is of a kind that is made anew each time, or its text is long. */
  set(text: string, context: PlanContext, plan: LogicalPlan): void {
    if (text.length > PLAN_CACHE_TEXT_LENGTH_MAX || !isKept(plan) || mayListChannels(text)) return;
    this.forgetOlder(context);
    const others = (this.#variants.get(text) ?? []).filter(
      (variant) => !isSameContext(variant.context, context),
    );
    this.#touch(text, [
      { context, plan, hits: 0 },
      ...others.slice(0, PLAN_CACHE_VARIANTS_MAX - 1),
    ]);
    if (this.#variants.size <= this.#textsMax) return;
    const [oldest] = this.#variants.keys();
    if (oldest !== undefined && this.#variants.delete(oldest)) this.#evictions++;
  }

  /** A new map or catalog makes all plans useless, and they would keep the old ones in memory. */
  forgetOlder({ map, catalog }: PlanContext): void {
    if (map.version <= this.#newest.version && catalog.epoch <= this.#newest.epoch) return;
    this.#newest = { version: map.version, epoch: catalog.epoch };
    this.#variants.clear();
  }

  /** A Map gives its keys in the order they were set: the first is the one to go. */
  #touch(text: string, variants: readonly Variant[]): void {
    this.#variants.delete(text);
    this.#variants.set(text, variants);
  }
}

function isKept(plan: LogicalPlan): boolean {
  return (
    plan.kind === "query" ||
    plan.kind === "insert" ||
    plan.kind === "insertQuery" ||
    plan.kind === "empty" ||
    beginsOrEnds(plan)
  );
}

/** What is around nearly every transaction, in few words. Savepoints have names, which are many. */
function beginsOrEnds(plan: LogicalPlan): boolean {
  if (plan.kind !== "transaction") return false;
  const { kind } = plan.action;
  return kind === "begin" || kind === "commit" || kind === "rollback";
}

function isSameContext(left: PlanContext, right: PlanContext): boolean {
  return (
    left === right ||
    (left.map === right.map &&
      left.catalog === right.catalog &&
      left.user === right.user &&
      left.isOtherRole === right.isOtherRole &&
      isSameList(left.searchPath, right.searchPath) &&
      isSameList(left.parameterTypes, right.parameterTypes))
  );
}

function isSameList<T>(left: readonly T[], right: readonly T[]): boolean {
  return (
    left === right ||
    (left.length === right.length && left.every((item, index) => item === right[index]))
  );
}
