/**
 * Texts that differ in whole numbers alone, one of which is their shard key: from the text to its
 * placement without a plan for each. What stands between the numbers is the same in all that one
 * placement is asked. literal-templates.ts proves which texts these are.
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

/** Of as many digits as there may be, and seldom met; for each place another. */
export function sampleNumber(place: number): string {
  return String(918_273_645 + place);
}

export interface KeyedTemplate {
  /** Of one of the texts. */
  readonly plan: QueryPlan;
  /** What stands before the first number, between them, and behind the last one, in all of them. */
  readonly pieces: readonly string[];
  /** Which of the numbers is the key. */
  readonly keyIndex: number;
  /** The plan of the text with these numbers. */
  readonly planOf: (numbers: readonly string[]) => QueryPlan | undefined;
}

/** The numbers of a text that consists of the pieces and them; undefined where it does not. */
export function numbersBetween(
  pieces: readonly string[],
  text: string,
): readonly string[] | undefined {
  const [first = "", ...others] = pieces;
  if (!text.startsWith(first)) return undefined;
  const numbers: string[] = [];
  let at = first.length;
  for (const piece of others) {
    const start = at;
    while (isDigit(text.charCodeAt(at))) at += 1;
    const number = text.slice(start, at);
    if (!WHOLE_NUMBER.test(number) || !text.startsWith(piece, at)) return undefined;
    numbers.push(number);
    at += piece.length;
  }
  return at === text.length ? numbers : undefined;
}

/** NaN, behind the text's end, is none. */
function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Where the key stands a second time, the text may mean something else by that. */
export function isKeyUnique(
  { pieces, keyIndex }: Pick<KeyedTemplate, "pieces" | "keyIndex">,
  numbers: readonly string[],
): boolean {
  const key = numbers[keyIndex] ?? "";
  const stands = numbers.filter((number) => number === key).length;
  return stands === 1 && !pieces.some((piece) => piece.includes(key));
}

export class KeyedText {
  readonly #template: KeyedTemplate;
  readonly #map: ShardMap;
  readonly #colocation: Colocation | undefined;
  /** By placement, what stands around the numbers in what it is asked. */
  readonly #pieces = new Map<Placement, readonly string[] | undefined>();

  /** Of this map alone. */
  constructor(template: KeyedTemplate, map: ShardMap) {
    this.#template = template;
    this.#map = map;
    const { routing } = template.plan;
    this.#colocation =
      routing.kind === "shardKeys" ? map.colocations.get(routing.colocation.name) : undefined;
  }

  /** It has its numbers alone to tell it from the others. */
  get plan(): QueryPlan {
    return this.#template.plan;
  }

  /** The numbers of a text that is one of them; undefined where it is another, or may mean another. */
  numbersIn(text: string): readonly string[] | undefined {
    const template = this.#template;
    const numbers = numbersBetween(template.pieces, text);
    return numbers !== undefined && isKeyUnique(template, numbers) ? numbers : undefined;
  }

  /** What `bindPlan` would make of the text's plan; undefined leaves it to that. Throws as it does for a key that nothing covers. */
  bind(numbers: readonly string[]): Fragment | undefined {
    const colocation = this.#colocation;
    const [type] = colocation?.keyTypes ?? [];
    const number = numbers[this.#template.keyIndex];
    if (colocation === undefined || type === undefined || number === undefined) return undefined;
    const key = keyFromNumber(type, number);
    if (typeof key !== "object") return undefined;
    const placement = placementOf(colocation, [key]);
    const pieces = this.#piecesAt(placement);
    if (pieces === undefined) return undefined;
    const full = (): RenderedSql | undefined => this.#rendered(placement, numbers);
    return {
      database: placement.database,
      placementIds: [placement.id],
      rendered: new KeyedSql(woven(pieces, numbers), full),
      rowIndexes: undefined,
    };
  }

  #piecesAt(placement: Placement): readonly string[] | undefined {
    if (this.#pieces.has(placement)) return this.#pieces.get(placement);
    const pieces = this.#findPieces(placement);
    this.#pieces.set(placement, pieces);
    return pieces;
  }

  /** Undefined where two texts differ in more than their numbers. */
  #findPieces(placement: Placement): readonly string[] | undefined {
    const places = [...this.#template.pieces.keys()].slice(1);
    const [long, short] = [places.map(sampleNumber), places.map(String)];
    const pieces = piecesAround(this.#rendered(placement, long)?.sql, long);
    if (pieces === undefined) return undefined;
    return this.#rendered(placement, short)?.sql === woven(pieces, short) ? pieces : undefined;
  }

  #rendered(placement: Placement, numbers: readonly string[]): RenderedSql | undefined {
    const plan = this.#template.planOf(numbers);
    const place = { database: placement.database, placement };
    return plan && fragmentAt(place, plan.template, undefined, this.#map).rendered;
  }
}

/** A text of its pieces, one more than the numbers. */
export function woven(pieces: readonly string[], numbers: readonly string[]): string {
  let text = pieces[0] ?? "";
  for (const [index, number] of numbers.entries()) text += number + (pieces[index + 1] ?? "");
  return text;
}

function piecesAround(
  text: string | undefined,
  numbers: readonly string[],
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const pieces: string[] = [];
  let at = 0;
  for (const number of numbers) {
    const found = text.indexOf(number, at);
    if (found < 0) return undefined;
    pieces.push(text.slice(at, found));
    at = found + number.length;
  }
  return [...pieces, text.slice(at)];
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
