/**
 * Texts that differ in literals alone, one of which is their shard key: from the text to its
 * placement without a plan for each. What stands between the literals is the same in all that one
 * placement is asked. literal-templates.ts proves which texts these are.
 */
import { isDeepStrictEqual } from "node:util";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { fragmentAt } from "./bind-fragments.ts";
import { assignedValue, comparedValue, placementOf, placementOfInteger } from "./bind-keys.ts";
import { keyTerm, type KeyedPlan } from "./derived-plan.ts";
import { renderInsert } from "./insert/template.ts";
import { LiteralBytes } from "./literal-bytes.ts";
import { literalsBetween, woven, type LiteralKind, type LiteralShape } from "./literal-shape.ts";
import type { RenderedSql } from "./sql-template.ts";

const DIGIT = /[0-9]/;
const DIGIT_ZERO = 0x30;

/** Of as many digits or letters as there may well be, and seldom met; for each place another. */
export function sampleLiteral(kind: LiteralKind, place: number): string {
  const digits = String(918_273_645 + place);
  if (kind === "string") return `'sample ${digits}'`;
  return kind === "whole" ? digits : `${digits}.${digits}`;
}

export interface KeyedTemplate {
  /** Of one of the texts. */
  readonly plan: KeyedPlan;
  readonly shape: LiteralShape;
  /** Which of the literals is the key. */
  readonly keyIndex: number;
  /** The plan of the text with these literals. */
  readonly planOf: (literals: readonly string[]) => KeyedPlan | undefined;
}

/** Where the key stands a second time, the text may mean something else by that. */
export function isKeyUnique(
  { shape: { pieces }, keyIndex }: Pick<KeyedTemplate, "shape" | "keyIndex">,
  literals: readonly string[],
): boolean {
  const key = literals[keyIndex];
  if (key === undefined) return true;
  const stands = literals.filter((literal) => literal === key).length;
  return stands === 1 && !pieces.some((piece) => piece.includes(key));
}

/** Where a text of the template is asked. */
export interface KeyedPlace {
  readonly placement: Placement;
  /** What stands around the literals in what it is asked, in bytes; undefined where that is the text as it is. */
  readonly pieces: readonly Buffer[] | undefined;
}

export class KeyedText {
  readonly #template: KeyedTemplate;
  readonly #map: ShardMap;
  readonly #colocation: Colocation | undefined;
  readonly #bytes: LiteralBytes;
  /** The key is a number, and of a type that has all that may be written. */
  readonly #isNumbered: boolean;
  /** What all texts share has nothing that a key could stand in. */
  readonly #isKeyApart: boolean;
  readonly #places = new Map<Placement, KeyedPlace | undefined>();

  /** Of this map alone. */
  constructor(template: KeyedTemplate, map: ShardMap) {
    this.#template = template;
    this.#map = map;
    const { plan, shape, keyIndex } = template;
    const name = colocationOf(plan)?.name;
    this.#colocation = name === undefined ? undefined : map.colocations.get(name);
    this.#bytes = new LiteralBytes(shape);
    const [type] = this.#colocation?.keyTypes ?? [];
    this.#isNumbered =
      shape.kinds[keyIndex] === "whole" && (type === "integer" || type === "bigint");
    this.#isKeyApart = this.#isNumbered && !shape.pieces.some((piece) => DIGIT.test(piece));
  }

  /** It has its literals alone to tell it from the others. */
  get plan(): KeyedPlan {
    return this.#template.plan;
  }

  /** What all texts of the template share has this in it. */
  shares(part: string): boolean {
    return this.#template.shape.pieces.some((piece) => piece.includes(part));
  }

  /** Where each literal of the text that was placed last begins and ends. */
  get spans(): Int32Array {
    return this.#bytes.spans;
  }

  /**
   * The one placement that the text `bytes[start, end)` is for, if it is one of the template's. Undefined
   * where it is another, may mean another, or is to be bound by `bindPlan`. Throws as that does for a
   * key that nothing covers.
   */
  place(bytes: Buffer, start: number, end: number): KeyedPlace | undefined {
    if (!this.#bytes.matches(bytes, start, end)) return undefined;
    const { keyIndex } = this.#template;
    const { spans } = this.#bytes;
    const keyStart = spans[2 * keyIndex] ?? 0;
    const keyEnd = spans[2 * keyIndex + 1] ?? 0;
    if (!this.#isKeyUnique(bytes, keyStart, keyEnd)) return undefined;
    const placement = this.#isNumbered
      ? this.#placementOfNumber(bytes, keyStart, keyEnd)
      : this.#placementOf(bytes.toString("utf8", keyStart, keyEnd));
    return placement && this.#placeAt(placement);
  }

  #placementOfNumber(bytes: Buffer, start: number, end: number): Placement | undefined {
    let value = 0;
    for (let at = start; at < end; at++) value = 10 * value + (bytes[at] ?? 0) - DIGIT_ZERO;
    return this.#colocation && placementOfInteger(this.#colocation, value);
  }

  #placementOf(literal: string): Placement | undefined {
    const colocation = this.#colocation;
    const [type] = colocation?.keyTypes ?? [];
    if (colocation === undefined || type === undefined) return undefined;
    const { plan } = this.#template;
    const column = plan.kind === "insert" ? plan.keyColumns[0] : undefined;
    const term = keyTerm(literal);
    const key =
      column === undefined ? comparedValue(term, type, []) : assignedValue(term, column, [], []);
    return typeof key === "object" ? placementOf(colocation, [key]) : undefined;
  }

  /** Where the key stands a second time, the text may mean something else by that. */
  #isKeyUnique(bytes: Buffer, start: number, end: number): boolean {
    const { keyIndex, shape } = this.#template;
    const { spans } = this.#bytes;
    for (let index = 0; index < shape.kinds.length; index++) {
      const from = spans[2 * index] ?? 0;
      const to = spans[2 * index + 1] ?? 0;
      if (index === keyIndex || to - from !== end - start) continue;
      if (bytes.compare(bytes, from, to, start, end) === 0) return false;
    }
    if (this.#isKeyApart) return true;
    const key = bytes.toString("utf8", start, end);
    return !shape.pieces.some((piece) => piece.includes(key));
  }

  /** What the placement is asked for the text, with where its parts are from. */
  rendered(placement: Placement, text: string): RenderedSql | undefined {
    const literals = literalsBetween(this.#template.shape, text);
    return literals && this.#rendered(placement, literals);
  }

  #placeAt(placement: Placement): KeyedPlace | undefined {
    if (this.#places.has(placement)) return this.#places.get(placement);
    const pieces = this.#findPieces(placement);
    const isAsWritten = isDeepStrictEqual(
      pieces && trimmed(pieces),
      trimmed(this.#template.shape.pieces),
    );
    const place = pieces && {
      placement,
      pieces: isAsWritten ? undefined : pieces.map((piece) => Buffer.from(piece)),
    };
    this.#places.set(placement, place);
    return place;
  }

  /** Undefined where two texts differ in more than their literals. */
  #findPieces(placement: Placement): readonly string[] | undefined {
    const { kinds } = this.#template.shape;
    const long = kinds.map(sampleLiteral);
    const short = kinds.map((kind, place) =>
      kind === "whole" ? String(place) : kind === "decimal" ? `0.${place}` : `'${place}'`,
    );
    const pieces = piecesAround(this.#rendered(placement, long)?.sql, long);
    if (pieces === undefined) return undefined;
    return this.#rendered(placement, short)?.sql === woven(pieces, short) ? pieces : undefined;
  }

  #rendered(placement: Placement, literals: readonly string[]): RenderedSql | undefined {
    const plan = this.#template.planOf(literals);
    if (plan?.kind === "insert") {
      const { canonicalSchema } = this.#map;
      return renderInsert(plan, [0], [], { placement, canonicalSchema, limit: undefined });
    }
    const place = { database: placement.database, placement };
    return plan && fragmentAt(place, plan.template, undefined, this.#map).rendered;
  }
}

/** Without what may follow a statement, and says nothing. */
function trimmed(pieces: readonly string[]): readonly string[] {
  return [...pieces.slice(0, -1), pieces.at(-1)?.replace(/[\s;]+$/, "") ?? ""];
}

function colocationOf(plan: KeyedPlan): Colocation | undefined {
  if (plan.kind === "insert")
    return plan.table.kind === "sharded" ? plan.table.colocation : undefined;
  return plan.routing.kind === "shardKeys" ? plan.routing.colocation : undefined;
}

function piecesAround(
  text: string | undefined,
  literals: readonly string[],
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const pieces: string[] = [];
  let at = 0;
  for (const literal of literals) {
    const found = text.indexOf(literal, at);
    if (found < 0) return undefined;
    pieces.push(text.slice(at, found));
    at = found + literal.length;
  }
  return [...pieces, text.slice(at)];
}
