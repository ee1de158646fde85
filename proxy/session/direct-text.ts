/**
 * Texts of the simple protocol that differ in literals alone, from the bytes of one to the Query that
 * its placement is asked. Nothing is decoded: what a text says is made a string for who asks for it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { KeyedPlace, KeyedText } from "../../planner/keyed-text.ts";
import type { RenderedSql } from "../../planner/sql-template.ts";
import type { OidTranslation } from "../execution/fragment-request.ts";
import { PRIORITY_MARK, type Claiming } from "../execution/claimant.ts";
import { PreparedText } from "../execution/prepared-texts.ts";
import { keptCopy, keptRoom } from "../protocol/bump-arena.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { DirectColumns } from "./direct-columns.ts";
import type { DirectPlan, DirectTarget } from "./direct-route.ts";
import type { Topology } from "./session-services.ts";

const NO_TYPES: readonly number[] = [];

/** What is the same of all texts that one placement is asked. */
interface TextPlace {
  readonly place: KeyedPlace;
  readonly database: DatabaseName;
  readonly places: readonly string[];
  readonly translation: OidTranslation;
  readonly columns: DirectColumns;
  readonly catalogEpoch: number;
}

export class DirectText {
  readonly plan: DirectPlan;
  readonly readsViews = false;
  readonly isUnmarked: boolean;
  readonly #text: KeyedText;
  readonly #topology: Topology;
  readonly #places = new Map<KeyedPlace, TextPlace>();

  /** Of this topology alone. */
  constructor(text: KeyedText, topology: Topology) {
    this.plan = text.plan;
    // A literal is no part of a comment.
    this.isUnmarked = !text.shares(PRIORITY_MARK);
    this.#text = text;
    this.#topology = topology;
  }

  /** What is asked for the Query `bytes[start, end)`; undefined where the long way is to find out. Throws what is to be refused. */
  target(bytes: Buffer, start: number, end: number): TextTarget | undefined {
    if (bytes[end - 1] !== 0) return undefined;
    const place = this.#text.place(bytes, start + FRAME_HEADER_BYTES, end - 1);
    if (place === undefined) return undefined;
    const asked = keptCopy(bytes, start, end);
    const { pieces } = place;
    const query =
      pieces === undefined ? asked : wovenQuery(pieces, this.#text.spans, bytes, bytes[start] ?? 0);
    return new TextTarget(this, this.#placeOf(place), asked, query);
  }

  #placeOf(place: KeyedPlace): TextPlace {
    const known = this.#places.get(place);
    if (known !== undefined) return known;
    const { catalog, translations } = this.#topology;
    const { database, id } = place.placement;
    const translation = translations.of(database);
    const columns = new DirectColumns(translation, undefined, undefined, undefined);
    const { epoch: catalogEpoch } = catalog;
    const made = { place, database, places: [id], translation, columns, catalogEpoch };
    this.#places.set(place, made);
    return made;
  }

  /** For targets alone. */
  rendered({ place }: TextPlace, text: string): RenderedSql {
    return (
      this.#text.rendered(place.placement, text) ?? {
        sql: text,
        original: text,
        shifts: [],
        schemas: [],
      }
    );
  }
}

/** One text, and what its placement is asked for it. */
export class TextTarget implements DirectTarget, Claiming {
  readonly route: DirectText;
  readonly #at: TextPlace;
  /** The client's Query. */
  readonly #asked: Buffer;
  readonly query: Buffer;
  #rendered: RenderedSql | undefined;

  constructor(route: DirectText, at: TextPlace, asked: Buffer, query: Buffer) {
    this.route = route;
    this.#at = at;
    this.#asked = asked;
    this.query = query;
  }

  get database(): DatabaseName {
    return this.#at.database;
  }

  get places(): readonly string[] {
    return this.#at.places;
  }

  get translation(): OidTranslation {
    return this.#at.translation;
  }

  get columns(): DirectColumns {
    return this.#at.columns;
  }

  get returnsRows(): boolean {
    return this.route.plan.returnsRows;
  }

  get isUnmarked(): boolean {
    return this.route.isUnmarked;
  }

  /** The client's text. */
  get sql(): string {
    return this.#asked.toString("utf8", FRAME_HEADER_BYTES, this.#asked.length - 1);
  }

  get rendered(): RenderedSql {
    this.#rendered ??= this.route.rendered(this.#at, this.sql);
    return this.#rendered;
  }

  get prepared(): PreparedText {
    const { catalogEpoch } = this.#at;
    return new PreparedText({ catalogEpoch, parameterTypes: NO_TYPES, rendered: this.rendered });
  }
}

/** A Query of the pieces, and of the literals that `spans` tell of `bytes`. */
function wovenQuery(
  pieces: readonly Buffer[],
  spans: Int32Array,
  bytes: Buffer,
  type: number,
): Buffer {
  let length = FRAME_HEADER_BYTES + 1;
  for (const piece of pieces) length += piece.length;
  for (let index = 0; index < spans.length; index += 2)
    length += (spans[index + 1] ?? 0) - (spans[index] ?? 0);
  const query = keptRoom(length);
  query[0] = type;
  query.writeInt32BE(length - 1, 1);
  let at = FRAME_HEADER_BYTES;
  for (const [index, piece] of pieces.entries()) {
    query.set(piece, at);
    at += piece.length;
    if (2 * index === spans.length) break;
    at += bytes.copy(query, at, spans[2 * index], spans[2 * index + 1]);
  }
  query[length - 1] = 0;
  return query;
}
