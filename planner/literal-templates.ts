/**
 * Plans for texts that differ in the literal of their shard key alone: `... WHERE id = 17` and
 * `... WHERE id = 42`. A text that was planned teaches the template of all of them, so that an
 * application that writes values into its statements is not parsed anew for each.
 *
 * What may differ is one whole number of at most nine digits, which the plan knows as the one
 * value of an integer key, and which stands nowhere else in the text. Everything around it
 * must be the same, character for character; so the tokens are the same, and the number is
 * of type integer in both. A template is only kept where another number, planned from its text,
 * gives the very plan that is derived from it. What several placements would need is left out
 * of the derived plan: one key has one placement.
 *
 * It knows no session and no bytes: proxy/session/statement-planner.ts asks it.
 */
import { isDeepStrictEqual } from "node:util";
import {
  LITERAL_TEMPLATE_LENGTH_MAX,
  LITERAL_TEMPLATE_NUMBERS_MAX,
  LITERAL_TEMPLATES_MAX,
} from "../base/limits.ts";
import { isIntegerType } from "../shardmap/shard-key.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { KeyedText, OTHER_NUMBER, WHOLE_NUMBER } from "./keyed-text.ts";
import type { KeyedTemplate } from "./keyed-text.ts";
import { tokenize } from "./lexer.ts";
import type { Token } from "./lexer.ts";
import type { LogicalPlan, QueryPlan } from "./logical-plan.ts";
import { parseSql } from "./parse.ts";
import { PlanCache } from "./plan-cache.ts";
import type { PlanContext } from "./plan-context.ts";
import { planStatement } from "./plan.ts";

/** Stands for the literal in a template's name. No text has it: a message's string ends at a zero byte. */
const HOLE = "\0";

/** A text as one of a template: its number, and the plan that taught the template. */
interface Match {
  readonly plan: QueryPlan;
  readonly before: string;
  readonly after: string;
  readonly number: string;
}

export class LiteralTemplates {
  /** Plans of the texts that taught, by their texts with a hole. */
  readonly #plans = new PlanCache(LITERAL_TEMPLATES_MAX);
  #hits = 0;
  /** Of the template found last: most texts are of the one before. */
  #last: Pick<KeyedTemplate, "before" | "after"> | undefined;
  readonly #keyed = new WeakMap<QueryPlan, { readonly map: ShardMap; readonly text: KeyedText }>();

  /** Texts that were found by a template. */
  get hits(): number {
    return this.#hits;
  }

  /** A plan that was found is used once more. */
  used(): void {
    this.#hits++;
  }

  /** The plan that the text would have, where it differs from one that was learned in its key alone. */
  find(text: string, context: PlanContext): LogicalPlan | undefined {
    const found = this.#match(text, context);
    if (found === undefined) return undefined;
    this.#hits++;
    return derived(found.plan, found.before.length, found.number);
  }

  /** As `find`, for all texts of the same template; the text is one of them. Counts no hit. */
  keyed(text: string, context: PlanContext): KeyedText | undefined {
    const found = this.#match(text, context);
    if (found === undefined) return undefined;
    const { plan, before, after } = found;
    const { map } = context;
    const known = this.#keyed.get(plan);
    if (known?.map === map) return known.text;
    const planOf = (number: string): QueryPlan | undefined => derived(plan, before.length, number);
    const keyed = new KeyedText({ plan, before, after, planOf }, map);
    this.#keyed.set(plan, { map, text: keyed });
    return keyed;
  }

  #match(text: string, context: PlanContext): Match | undefined {
    const last = this.#last;
    if (last !== undefined && text.startsWith(last.before) && text.endsWith(last.after)) {
      const number = text.slice(last.before.length, text.length - last.after.length);
      const found = this.#named(last.before, number, last.after, context);
      if (found !== undefined) return found;
    }
    if (this.#plans.counts.texts === 0) return undefined;
    for (const { start, end } of numbersOf(text)) {
      const [before, after] = [text.slice(0, start), text.slice(end)];
      const found = this.#named(before, text.slice(start, end), after, context);
      if (found === undefined) continue;
      this.#last = { before, after };
      return found;
    }
    return undefined;
  }

  #named(before: string, number: string, after: string, context: PlanContext): Match | undefined {
    if (!WHOLE_NUMBER.test(number)) return undefined;
    const plan = this.#plans.peek(`${before}${HOLE}${after}`, context);
    if (plan?.kind !== "query") return undefined;
    // Where it stands a second time, the text may mean something else by that.
    if (hasNumber(before, number) || hasNumber(after, number)) return undefined;
    return { plan, before, after, number };
  }

  /** `text` is one statement, and `plan` what it was planned as. */
  learn(text: string, context: PlanContext, plan: LogicalPlan): void {
    if (plan.kind !== "query") return;
    const number = keyOf(plan);
    if (number === undefined || !text.startsWith(plan.template.sql)) return;
    const places = numbersOf(text).filter(({ start, end }) => text.slice(start, end) === number);
    const [place] = places;
    if (place === undefined || places.length > 1) return;
    const [before, after] = [text.slice(0, place.start), text.slice(place.end)];
    if (hasNumber(before, OTHER_NUMBER) || hasNumber(after, OTHER_NUMBER)) return;
    const name = `${before}${HOLE}${after}`;
    if (this.#plans.peek(name, context) !== undefined) return;
    const other = planned(`${before}${OTHER_NUMBER}${after}`, context);
    if (other?.kind !== "query") return;
    const expected = derived(plan, place.start, OTHER_NUMBER);
    if (expected === undefined || !isDeepStrictEqual(ofOnePlacement(other), expected)) return;
    this.#plans.set(name, context, plan);
  }
}

/** None of a text that is not looked for. */
function numbersOf(text: string): readonly Token[] {
  if (text.length > LITERAL_TEMPLATE_LENGTH_MAX) return [];
  const numbers = tokenize(text).filter(({ kind }) => kind === "number");
  return numbers.length > LITERAL_TEMPLATE_NUMBERS_MAX ? [] : numbers;
}

/** Whether the digits stand anywhere in the text, as a token or inside of one. */
function hasNumber(text: string, number: string): boolean {
  return text.includes(number);
}

/** The text of the one literal that pins the plan. */
function keyOf({ routing, template }: QueryPlan): string | undefined {
  if (routing.kind !== "shardKeys" || routing.alsoPinned.length > 0) return undefined;
  if (template.origin !== undefined) return undefined;
  const [keyType, ...otherTypes] = routing.colocation.keyTypes;
  const [tuple, ...otherTuples] = routing.keys;
  if (keyType === undefined || !isIntegerType(keyType) || otherTypes.length > 0) return undefined;
  const [term] = tuple ?? [];
  if (otherTuples.length > 0 || term?.kind !== "number") return undefined;
  return WHOLE_NUMBER.test(term.text) ? term.text : undefined;
}

/** The plan of the text that has another number at `at`. Undefined where an edit of the text meets the number. */
function derived(plan: QueryPlan, at: number, number: string): QueryPlan | undefined {
  const key = keyOf(plan);
  const { routing, template } = plan;
  if (key === undefined || routing.kind !== "shardKeys") return undefined;
  const end = at + key.length;
  const moved = number.length - key.length;
  if (template.edits.some((edit) => edit.start < end && edit.end > at)) return undefined;
  return ofOnePlacement({
    ...plan,
    routing: { ...routing, keys: [[{ kind: "number", text: number }]] },
    template: {
      ...template,
      sql: template.sql.slice(0, at) + number + template.sql.slice(end),
      edits: template.edits.map((edit) =>
        edit.start < end ? edit : { ...edit, start: edit.start + moved, end: edit.end + moved },
      ),
    },
  });
}

/** Without what is there for several placements alone. */
function ofOnePlacement(plan: QueryPlan): QueryPlan {
  return {
    ...plan,
    template: { ...plan.template, arm: undefined },
    scatterTemplate: undefined,
    gather: { kind: "concat", limit: undefined },
    overflowGather: undefined,
    scatterRefusal: undefined,
  };
}

function planned(text: string, context: PlanContext): LogicalPlan | undefined {
  const outcome = parseSql(text);
  const statement = outcome.kind === "statements" ? outcome.statements[0] : undefined;
  return statement && planStatement(statement, context);
}
