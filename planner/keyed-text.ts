/**
 * Texts that differ in literals alone, one of which is their shard key: from the text to its
 * placement without a plan for each. What stands between the literals is the same in all that one
 * placement is asked. literal-templates.ts proves which texts these are.
 */
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { fragmentAt } from "./bind-fragments.ts";
import { assignedValue, comparedValue, placementOf } from "./bind-keys.ts";
import { keyTerm, type KeyedPlan } from "./derived-plan.ts";
import { renderInsert } from "./insert/template.ts";
import { literalsBetween, woven, type LiteralKind, type LiteralShape } from "./literal-shape.ts";
import type { Fragment } from "./physical-plan.ts";
import type { RenderedSql } from "./sql-template.ts";

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

export class KeyedText {
  readonly #template: KeyedTemplate;
  readonly #map: ShardMap;
  readonly #colocation: Colocation | undefined;
  /** By placement, what stands around the literals in what it is asked. */
  readonly #pieces = new Map<Placement, readonly string[] | undefined>();

  /** Of this map alone. */
  constructor(template: KeyedTemplate, map: ShardMap) {
    this.#template = template;
    this.#map = map;
    const name = colocationOf(template.plan)?.name;
    this.#colocation = name === undefined ? undefined : map.colocations.get(name);
  }

  /** It has its literals alone to tell it from the others. */
  get plan(): KeyedPlan {
    return this.#template.plan;
  }

  /** The literals of a text that is one of them; undefined where it is another, or may mean another. */
  literalsIn(text: string): readonly string[] | undefined {
    const template = this.#template;
    const literals = literalsBetween(template.shape, text);
    return literals !== undefined && isKeyUnique(template, literals) ? literals : undefined;
  }

  /** What `bindPlan` would make of the text's plan; undefined leaves it to that. Throws as it does for a key that nothing covers. */
  bind(literals: readonly string[]): Fragment | undefined {
    const colocation = this.#colocation;
    const [type] = colocation?.keyTypes ?? [];
    const literal = literals[this.#template.keyIndex];
    if (colocation === undefined || type === undefined || literal === undefined) return undefined;
    const { plan } = this.#template;
    const column = plan.kind === "insert" ? plan.keyColumns[0] : undefined;
    const term = keyTerm(literal);
    const key =
      column === undefined ? comparedValue(term, type, []) : assignedValue(term, column, [], []);
    if (typeof key !== "object") return undefined;
    const placement = placementOf(colocation, [key]);
    const pieces = this.#piecesAt(placement);
    if (pieces === undefined) return undefined;
    const full = (): RenderedSql | undefined => this.#rendered(placement, literals);
    return {
      database: placement.database,
      placementIds: [placement.id],
      rendered: new KeyedSql(woven(pieces, literals), full),
      rowIndexes: undefined,
    };
  }

  #piecesAt(placement: Placement): readonly string[] | undefined {
    if (this.#pieces.has(placement)) return this.#pieces.get(placement);
    const pieces = this.#findPieces(placement);
    this.#pieces.set(placement, pieces);
    return pieces;
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
