/**
 * Plans for texts that differ in literals alone: `... SET n = n + 3, note = 'a' WHERE id = 17` and
 * `... SET n = n + 5, note = 'b' WHERE id = 42`. A text that was planned teaches the template of all of
 * them, so that an application that writes values into its statements is not parsed anew for each.
 *
 * What may differ is said in literal-shape.ts, and of strings in free-literals.ts. One of the literals the plan may know
 * as the one value of its key, and it stands nowhere else in the text; or the key is a parameter. The
 * others no plan looks at, but for what several placements would need, which is made of the text itself when it
 * is needed: what one placement is asked is the client's own text. A template is only kept where other
 * literals, planned from their text, give the very plan that is derived from it.
 *
 * It knows no session and no bytes: proxy/session/statement-planner.ts asks it.
 */
import { isDeepStrictEqual } from "node:util";
import { invariant } from "../base/invariant.ts";
import { LITERAL_TEMPLATES_MAX } from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import {
  derivedPlan,
  keyOf,
  NO_KEY,
  ofOnePlacement,
  textOf,
  type KeyedPlan,
  type Taught,
} from "./derived-plan.ts";
import { freeStrings } from "./free-literals.ts";
import { isKeyUnique, KeyedText, sampleLiteral } from "./keyed-text.ts";
import {
  literalsBetween,
  shapedText,
  shapeName,
  withFixed,
  woven,
  type LiteralKind,
  type LiteralShape,
  type ShapedText,
} from "./literal-shape.ts";
import type { KeyTerm, LogicalPlan, QueryPlan } from "./logical-plan.ts";
import { parseOne } from "./parse.ts";
import { PlanCache } from "./plan-cache.ts";
import type { PlanContext } from "./plan-context.ts";
import { planStatement } from "./plan.ts";
import { SeveralLater } from "./several.ts";

interface ShapeNames {
  /** Nothing could be learned of them. */
  readonly refused: Map<string, true>;
  /** Met once: one that has its key in a parameter may well not come again. */
  readonly met: Map<string, true>;
}

/** A text as one of a template: its literals, and the plan that taught the template. */
interface Match {
  readonly plan: KeyedPlan;
  readonly taught: Taught;
  readonly literals: readonly string[];
}

export class LiteralTemplates {
  /** Plans of the texts that taught, by the names of their shapes. */
  readonly #plans = new PlanCache(LITERAL_TEMPLATES_MAX);
  readonly #taught = new WeakMap<KeyedPlan, Taught>();
  /** By the name of a shape, which of its literals may be others; numbers always may. */
  readonly #free = new Map<string, readonly boolean[]>();
  /** By catalog, and gone with it: names of shapes. */
  readonly #names = new WeakMap<Catalog, ShapeNames>();
  #hits = 0;
  /** Of the template found last: most texts are of the one before. */
  #last: LiteralShape | undefined;
  readonly #keyed = new WeakMap<KeyedPlan, { readonly map: ShardMap; readonly text: KeyedText }>();

  /** Texts that were found by a template. */
  get hits(): number {
    return this.#hits;
  }

  /** A plan that was found is used once more. */
  used(): void {
    this.#hits++;
  }

  /** The plan that the text would have, where it differs from one that was learned in its literals alone. */
  find(text: string, context: PlanContext): LogicalPlan | undefined {
    const found = this.#match(text, context);
    const plan = found && derivedPlan(found.plan, found.taught, found.literals);
    if (plan === undefined) return undefined;
    this.#hits++;
    if (plan.kind === "insert") return plan;
    return { ...plan, several: new SeveralLater(() => planAgain(text, context).several) };
  }

  /** As `find`, for all texts of the same template that have their key in them; the text is one of them. Counts no hit. */
  keyed(text: string, context: PlanContext): KeyedText | undefined {
    const found = this.#match(text, context);
    if (found === undefined || found.taught.keyIndex === NO_KEY) return undefined;
    const { plan, taught } = found;
    const { map } = context;
    const known = this.#keyed.get(plan);
    if (known?.map === map) return known.text;
    const planOf = (literals: readonly string[]): KeyedPlan | undefined =>
      derivedPlan(plan, taught, literals);
    const keyed = new KeyedText({ ...taught, plan, planOf }, map);
    this.#keyed.set(plan, { map, text: keyed });
    return keyed;
  }

  #match(text: string, context: PlanContext): Match | undefined {
    if (this.#plans.counts.texts === 0) return undefined;
    const shaped = this.#likeLast(text) ?? this.#shaped(text);
    if (shaped === undefined) return undefined;
    const plan = this.#plans.peek(shapeName(shaped.shape), context);
    const taught = isKeyed(plan) ? this.#taught.get(plan) : undefined;
    if (!isKeyed(plan) || taught === undefined) return undefined;
    if (!isKeyUnique(taught, shaped.literals)) return undefined;
    this.#last = taught.shape;
    return { plan, taught, literals: shaped.literals };
  }

  #likeLast(text: string): ShapedText | undefined {
    const literals = this.#last && literalsBetween(this.#last, text);
    return this.#last && literals && { shape: this.#last, literals };
  }

  /** By the literals that may differ. */
  #shaped(text: string): ShapedText | undefined {
    const shaped = shapedText(text);
    if (shaped === undefined || !shaped.shape.kinds.includes("string")) return shaped;
    const isFree = this.#free.get(shapeName(shaped.shape));
    return isFree && withFixed(shaped, isFree);
  }

  /** `text` is one statement, and `plan` what it was planned as. */
  learn(text: string, context: PlanContext, plan: LogicalPlan): void {
    this.#plans.forgetOlder(context);
    if (!isKeyed(plan) || textOf(plan).origin !== undefined) return;
    const key = keyOf(plan);
    if (key === undefined) return;
    const shaped = shapedText(text);
    if (shaped === undefined) return;
    const whole = shapeName(shaped.shape);
    if (key.kind === "parameter" && !this.#isMetAgain(whole, context)) return;
    const isFree = this.#freeOf(whole, shaped, text);
    const taught = isFree && whatIsTaught(text, plan, key, withFixed(shaped, isFree));
    if (taught === undefined) return;
    const name = shapeName(taught.shape);
    const { refused } = this.#namesOf(context);
    if (refused.has(name)) return;
    if (this.#plans.peek(name, context) !== undefined) return;
    if (SAMPLES.every((sample) => isDerived(plan, taught, sample, context))) {
      this.#taught.set(plan, taught);
      this.#plans.set(name, context, plan);
    } else keepNewest(refused, name, true);
  }

  #isMetAgain(name: string, context: PlanContext): boolean {
    const { met } = this.#namesOf(context);
    if (met.has(name)) return true;
    keepNewest(met, name, true);
    return false;
  }

  #namesOf({ catalog }: PlanContext): ShapeNames {
    const known = this.#names.get(catalog) ?? { refused: new Map(), met: new Map() };
    this.#names.set(catalog, known);
    return known;
  }

  /** Undefined where the parser does not tell now. */
  #freeOf(
    name: string,
    { shape, literals }: ShapedText,
    text: string,
  ): readonly boolean[] | undefined {
    if (!shape.kinds.includes("string")) return literals.map(() => true);
    const known = this.#free.get(name);
    if (known !== undefined) return known;
    const statement = unlessError(() => parseOne(text));
    if (statement === undefined) return undefined;
    const strings = freeStrings(statement);
    let at = 0;
    const isFree = shape.kinds.map((kind, index) => {
      const start = at + (shape.pieces[index]?.length ?? 0);
      at = start + (literals[index]?.length ?? 0);
      return kind !== "string" || strings.has(start - statement.start);
    });
    keepNewest(this.#free, name, isFree);
    return isFree;
  }
}

function isKeyed(plan: LogicalPlan | undefined): plan is KeyedPlan {
  return plan?.kind === "query" || plan?.kind === "insert";
}

/** As many as there may be templates. */
function keepNewest<Value>(kept: Map<string, Value>, name: string, value: Value): void {
  kept.delete(name);
  kept.set(name, value);
  if (kept.size <= LITERAL_TEMPLATES_MAX) return;
  const [oldest] = kept.keys();
  if (oldest !== undefined) kept.delete(oldest);
}

/** Other literals than a text's own, by place: some that are like none met, then those that mean most. */
const SAMPLES: readonly ((kind: LiteralKind, place: number, isKey: boolean) => string)[] = [
  sampleLiteral,
  (kind, place, isKey) => (isKey ? sampleLiteral(kind, place) : ZEROS[kind]),
  (kind, place, isKey) => (isKey ? sampleLiteral(kind, place) : ONES[kind]),
];

const ZEROS: Readonly<Record<LiteralKind, string>> = { whole: "0", decimal: "0.0", string: "''" };
const ONES: Readonly<Record<LiteralKind, string>> = { whole: "1", decimal: "1.0", string: "'1'" };

/** The plan of another text of the template is what is derived for it. */
function isDerived(
  plan: KeyedPlan,
  taught: Taught,
  sample: (kind: LiteralKind, place: number, isKey: boolean) => string,
  context: PlanContext,
): boolean {
  const literals = taught.shape.kinds.map((kind, place) =>
    sample(kind, place, place === taught.keyIndex),
  );
  if (!isKeyUnique(taught, literals)) return false;
  const expected = derivedPlan(plan, taught, literals);
  const other = planned(woven(taught.shape.pieces, literals), context);
  if (expected === undefined || !isKeyed(other)) return false;
  return isDeepStrictEqual(ofOnePlacement(other), expected);
}

function whatIsTaught(
  text: string,
  plan: KeyedPlan,
  key: KeyTerm,
  shaped: ShapedText,
): Taught | undefined {
  const { shape, literals } = shaped;
  const { sql } = textOf(plan);
  if (literals.length === 0 || !text.startsWith(sql)) return undefined;
  const keyIndex = "text" in key ? literals.indexOf(writtenKey(key)) : NO_KEY;
  if ("text" in key && keyIndex < 0) return undefined;
  const taught = { ...shaped, keyIndex };
  const end = text.length - (shape.pieces.at(-1)?.length ?? 0);
  return end <= sql.length && isKeyUnique(taught, literals) ? taught : undefined;
}

function writtenKey({ kind, text }: Extract<KeyTerm, { readonly text: string }>): string {
  return kind === "text" ? `'${text}'` : text;
}

/** Undefined where it is refused. */
function planned(text: string, context: PlanContext): LogicalPlan | undefined {
  return unlessError(() => planStatement(parseOne(text), context));
}

function unlessError<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}

/** Of a text of a template: what several placements need hangs on its own literals. */
function planAgain(text: string, context: PlanContext): QueryPlan {
  const plan = planStatement(parseOne(text), context);
  invariant(plan.kind === "query", "texts of one template are of one kind");
  return plan;
}
