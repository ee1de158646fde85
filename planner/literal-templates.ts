/**
 * Plans for texts that differ in whole numbers alone: `... SET n = n + 3 WHERE id = 17` and
 * `... SET n = n + 5 WHERE id = 42`. A text that was planned teaches the template of all of them, so
 * that an application that writes values into its statements is not parsed anew for each.
 *
 * What may differ are whole numbers of at most nine digits. One of them the plan knows as the one
 * value of an integer key, and it stands nowhere else in the text. Everything around them must be
 * the same, character for character; so the tokens are the same, and the numbers are of type
 * integer in all. The others no plan looks at, but for what several placements would need, which is left
 * out of the derived plan: one key has one placement, and it is asked the client's own text. A template is
 * only kept where other numbers, planned from their text, give the very plan that is derived from it.
 *
 * It knows no session and no bytes: proxy/session/statement-planner.ts asks it.
 */
import { isDeepStrictEqual } from "node:util";
import {
  LITERAL_TEMPLATE_LENGTH_MAX,
  LITERAL_TEMPLATE_NUMBERS_MAX,
  LITERAL_TEMPLATES_MAX,
} from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import { isIntegerType } from "../shardmap/shard-key.ts";
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import {
  isKeyUnique,
  KeyedText,
  numbersBetween,
  sampleNumber,
  WHOLE_NUMBER,
  woven,
} from "./keyed-text.ts";
import { tokenize } from "./lexer.ts";
import type { LogicalPlan, QueryPlan } from "./logical-plan.ts";
import { parseSql } from "./parse.ts";
import { PlanCache } from "./plan-cache.ts";
import type { PlanContext } from "./plan-context.ts";
import { planStatement } from "./plan.ts";
import { AS_THEY_COME } from "./several.ts";

/** Stands for a number in a template's name. No text has it: a message's string ends at a zero byte. */
const HOLE = "\0";

/** What a text has taught. */
interface Taught {
  readonly pieces: readonly string[];
  readonly numbers: readonly string[];
  readonly keyIndex: number;
}

/** A text as one of a template: its numbers, and the plan that taught the template. */
interface Match {
  readonly plan: QueryPlan;
  readonly taught: Taught;
  readonly numbers: readonly string[];
}

export class LiteralTemplates {
  /** Plans of the texts that taught, by their texts with holes. */
  readonly #plans = new PlanCache(LITERAL_TEMPLATES_MAX);
  readonly #taught = new WeakMap<QueryPlan, Taught>();
  /** Texts with holes of which nothing could be learned, and under which catalog. */
  readonly #refused = new Map<string, Catalog>();
  #hits = 0;
  /** Of the template found last: most texts are of the one before. */
  #last: readonly string[] | undefined;
  readonly #keyed = new WeakMap<QueryPlan, { readonly map: ShardMap; readonly text: KeyedText }>();

  /** Texts that were found by a template. */
  get hits(): number {
    return this.#hits;
  }

  /** A plan that was found is used once more. */
  used(): void {
    this.#hits++;
  }

  /** The plan that the text would have, where it differs from one that was learned in its numbers alone. */
  find(text: string, context: PlanContext): LogicalPlan | undefined {
    const found = this.#match(text, context);
    if (found === undefined) return undefined;
    this.#hits++;
    return derived(found.plan, found.taught, found.numbers);
  }

  /** As `find`, for all texts of the same template; the text is one of them. Counts no hit. */
  keyed(text: string, context: PlanContext): KeyedText | undefined {
    const found = this.#match(text, context);
    if (found === undefined) return undefined;
    const { plan, taught } = found;
    const { map } = context;
    const known = this.#keyed.get(plan);
    if (known?.map === map) return known.text;
    const planOf = (numbers: readonly string[]): QueryPlan | undefined =>
      derived(plan, taught, numbers);
    const keyed = new KeyedText({ ...taught, plan, planOf }, map);
    this.#keyed.set(plan, { map, text: keyed });
    return keyed;
  }

  #match(text: string, context: PlanContext): Match | undefined {
    if (this.#plans.counts.texts === 0) return undefined;
    const before = this.#last === undefined ? undefined : numbersBetween(this.#last, text);
    const pieces = before === undefined ? piecesOf(text) : this.#last;
    const numbers = before ?? (pieces && numbersBetween(pieces, text));
    if (pieces === undefined || numbers === undefined) return undefined;
    const plan = this.#plans.peek(pieces.join(HOLE), context);
    const taught = plan?.kind === "query" ? this.#taught.get(plan) : undefined;
    if (plan?.kind !== "query" || taught === undefined) return undefined;
    if (!isKeyUnique(taught, numbers)) return undefined;
    this.#last = taught.pieces;
    return { plan, taught, numbers };
  }

  /** `text` is one statement, and `plan` what it was planned as. */
  learn(text: string, context: PlanContext, plan: LogicalPlan): void {
    const taught = plan.kind === "query" ? whatIsTaught(text, plan) : undefined;
    if (plan.kind !== "query" || taught === undefined) return;
    const name = taught.pieces.join(HOLE);
    if (this.#refused.get(name) === context.catalog) return;
    if (this.#plans.peek(name, context) !== undefined) return;
    if (SAMPLES.every((sample) => isDerived(plan, taught, sample, context))) {
      this.#taught.set(plan, taught);
      this.#plans.set(name, context, plan);
    } else this.#refuse(name, context);
  }

  /** It is planned each time, and not tried again. */
  #refuse(name: string, { catalog }: PlanContext): void {
    this.#refused.delete(name);
    this.#refused.set(name, catalog);
    if (this.#refused.size <= LITERAL_TEMPLATES_MAX) return;
    const [oldest] = this.#refused.keys();
    if (oldest !== undefined) this.#refused.delete(oldest);
  }
}

/** Other numbers than a text's own, by place: some that are like no number met, then 0 and 1, which mean most. */
const SAMPLES: readonly ((place: number, isKey: boolean) => string)[] = [
  sampleNumber,
  (place, isKey) => (isKey ? sampleNumber(place) : "0"),
  (place, isKey) => (isKey ? sampleNumber(place) : "1"),
];

/** The plan of another text of the template is what is derived for it. */
function isDerived(
  plan: QueryPlan,
  taught: Taught,
  sample: (place: number, isKey: boolean) => string,
  context: PlanContext,
): boolean {
  const numbers = taught.numbers.map((_, place) => sample(place, place === taught.keyIndex));
  if (!isKeyUnique(taught, numbers)) return false;
  const expected = derived(plan, taught, numbers);
  const other = planned(woven(taught.pieces, numbers), context);
  if (expected === undefined || other?.kind !== "query") return false;
  return isDeepStrictEqual(ofOnePlacement(other), expected);
}

function whatIsTaught(text: string, plan: QueryPlan): Taught | undefined {
  const key = keyOf(plan);
  if (key === undefined || !text.startsWith(plan.template.sql)) return undefined;
  const pieces = piecesOf(text);
  const numbers = pieces && numbersBetween(pieces, text);
  if (pieces === undefined || numbers === undefined) return undefined;
  const taught = { pieces, numbers, keyIndex: numbers.indexOf(key) };
  const end = text.length - (pieces.at(-1)?.length ?? 0);
  const isWithin = end <= plan.template.sql.length;
  return taught.keyIndex >= 0 && isWithin && isKeyUnique(taught, numbers) ? taught : undefined;
}

/** What stands around the whole numbers of a text; undefined for one that is not looked for. */
function piecesOf(text: string): readonly string[] | undefined {
  if (text.length > LITERAL_TEMPLATE_LENGTH_MAX) return undefined;
  const numbers = tokenize(text).filter(
    ({ kind, start, end }) => kind === "number" && WHOLE_NUMBER.test(text.slice(start, end)),
  );
  if (numbers.length === 0 || numbers.length > LITERAL_TEMPLATE_NUMBERS_MAX) return undefined;
  const starts = [0, ...numbers.map(({ end }) => end)];
  const ends = [...numbers.map(({ start }) => start), text.length];
  return starts.map((start, index) => text.slice(start, ends[index]));
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

/** The plan of the text that has other numbers. Undefined where an edit of the text meets one. */
function derived(
  plan: QueryPlan,
  { pieces, numbers: own, keyIndex }: Taught,
  numbers: readonly string[],
): QueryPlan | undefined {
  const { routing, template } = plan;
  const key = numbers[keyIndex];
  if (key === undefined || routing.kind !== "shardKeys") return undefined;
  let sql = pieces[0] ?? "";
  /** Where each number ends in the text that taught, and by how much what follows has moved. */
  const moves: { readonly start: number; readonly end: number; readonly by: number }[] = [];
  let [at, by] = [sql.length, 0];
  for (const [index, number] of numbers.entries()) {
    const [length, piece] = [own[index]?.length ?? 0, pieces[index + 1] ?? ""];
    by += number.length - length;
    moves.push({ start: at, end: at + length, by });
    at += length + piece.length;
    sql += number + piece;
  }
  const isMet = template.edits.some((edit) =>
    moves.some(({ start, end }) => edit.start < end && edit.end > start),
  );
  if (isMet) return undefined;
  const movedBy = (position: number): number =>
    moves.findLast(({ end }) => end <= position)?.by ?? 0;
  return ofOnePlacement({
    ...plan,
    routing: { ...routing, keys: [[{ kind: "number", text: key }]] },
    template: {
      ...template,
      // What follows the statement in the text is no part of it.
      sql: sql.slice(0, sql.length - (at - template.sql.length)),
      edits: template.edits.map((edit) => ({
        ...edit,
        start: edit.start + movedBy(edit.start),
        end: edit.end + movedBy(edit.start),
      })),
    },
  });
}

/** Without what is there for several placements alone. */
function ofOnePlacement(plan: QueryPlan): QueryPlan {
  return {
    ...plan,
    template: { ...plan.template, arm: undefined },
    several: AS_THEY_COME,
  };
}

/** Undefined where it is refused. */
function planned(text: string, context: PlanContext): LogicalPlan | undefined {
  const outcome = parseSql(text);
  const statement = outcome.kind === "statements" ? outcome.statements[0] : undefined;
  try {
    return statement && planStatement(statement, context);
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}
