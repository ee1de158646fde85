/**
 * Texts that differ in the literal of their shard key alone, from the text to its placement without
 * a plan for each: where the number stands is known, and what surrounds it is the same in all that
 * one placement is asked. literal-templates.ts proves which texts these are.
 */
import { keyFromNumber } from "../shardmap/shard-key.ts";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { fragmentAt } from "./bind-fragments.ts";
import { placementOf } from "./bind-keys.ts";
import type { QueryPlan } from "./logical-plan.ts";
import type { Fragment } from "./physical-plan.ts";
import type { RenderedSql } from "./sql-template.ts";

/** As every session writes an integer: no sign, no leading zero, and inside of int4 whatever the digits. */
export const WHOLE_NUMBER = /^(?:0|[1-9][0-9]{0,8})$/;

/** Of as many digits as there may be, and seldom met. */
export const OTHER_NUMBER = "918273645";

const SHORT_NUMBER = "7";

export interface KeyedTemplate {
  /** Of one of the texts. */
  readonly plan: QueryPlan;
  /** What stands before and behind the number, in all of them. */
  readonly before: string;
  readonly after: string;
  /** The plan of the text with this number. */
  readonly planOf: (number: string) => QueryPlan | undefined;
}

/** What a placement is asked, around the number. */
interface Surroundings {
  readonly before: string;
  readonly after: string;
}

export class KeyedText {
  readonly #template: KeyedTemplate;
  readonly #map: ShardMap;
  readonly #colocation: Colocation | undefined;
  readonly #hasDigits: boolean;
  readonly #surroundings = new Map<Placement, Surroundings | undefined>();

  /** Of this map alone. */
  constructor(template: KeyedTemplate, map: ShardMap) {
    this.#template = template;
    this.#map = map;
    const { routing } = template.plan;
    this.#colocation =
      routing.kind === "shardKeys" ? map.colocations.get(routing.colocation.name) : undefined;
    this.#hasDigits = /[0-9]/.test(template.before + template.after);
  }

  /** It has the key alone to tell it from the others. */
  get plan(): QueryPlan {
    return this.#template.plan;
  }

  /** The number in a text that is one of them; undefined where it is another, or may mean another. */
  numberIn(text: string): string | undefined {
    const { before, after } = this.#template;
    if (!text.startsWith(before) || !text.endsWith(after)) return undefined;
    const number = text.slice(before.length, text.length - after.length);
    if (!WHOLE_NUMBER.test(number)) return undefined;
    return this.isUnique(number) ? number : undefined;
  }

  /** Where the number stands a second time, the text may mean something else by that. */
  isUnique(number: string): boolean {
    if (!this.#hasDigits) return true;
    const { before, after } = this.#template;
    return !before.includes(number) && !after.includes(number);
  }

  /** What `bindPlan` would make of the text's plan; undefined leaves it to that. Throws as it does for a key that nothing covers. */
  bind(number: string): Fragment | undefined {
    const colocation = this.#colocation;
    const [type] = colocation?.keyTypes ?? [];
    if (colocation === undefined || type === undefined) return undefined;
    const key = keyFromNumber(type, number);
    if (typeof key !== "object") return undefined;
    const placement = placementOf(colocation, [key]);
    const around = this.#around(placement);
    if (around === undefined) return undefined;
    const sql = around.before + number + around.after;
    const full = (): RenderedSql | undefined => this.#rendered(placement, number);
    return {
      database: placement.database,
      placementIds: [placement.id],
      rendered: new KeyedSql(sql, full),
      rowIndexes: undefined,
    };
  }

  #around(placement: Placement): Surroundings | undefined {
    if (this.#surroundings.has(placement)) return this.#surroundings.get(placement);
    const around = this.#surroundingsAt(placement);
    this.#surroundings.set(placement, around);
    return around;
  }

  /** Undefined where two texts differ in more than their numbers. */
  #surroundingsAt(placement: Placement): Surroundings | undefined {
    const long = this.#rendered(placement, OTHER_NUMBER)?.sql;
    const short = this.#rendered(placement, SHORT_NUMBER)?.sql;
    const at = long?.indexOf(OTHER_NUMBER) ?? -1;
    if (long === undefined || at < 0) return undefined;
    const around = { before: long.slice(0, at), after: long.slice(at + OTHER_NUMBER.length) };
    return short === around.before + SHORT_NUMBER + around.after ? around : undefined;
  }

  #rendered(placement: Placement, number: string): RenderedSql | undefined {
    const plan = this.#template.planOf(number);
    const place = { database: placement.database, placement };
    return plan && fragmentAt(place, plan.template, undefined, this.#map).rendered;
  }
}

/** A text that is sent at once; where its parts came from is asked for by errors alone. */
class KeyedSql implements RenderedSql {
  readonly sql: string;
  readonly #full: () => RenderedSql | undefined;

  constructor(sql: string, full: () => RenderedSql | undefined) {
    this.sql = sql;
    this.#full = full;
  }

  get original(): string {
    return this.#full()?.original ?? this.sql;
  }

  get shifts(): RenderedSql["shifts"] {
    return this.#full()?.shifts ?? [];
  }

  get schemas(): RenderedSql["schemas"] {
    return this.#full()?.schemas ?? [];
  }
}
