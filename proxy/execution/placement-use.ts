/**
 * What one session uses of the placements: those that its open transaction has touched, or its
 * running statement. Every statement says so before it takes a backend, and once more, to be
 * asked whether it still may, right before it is sent.
 *
 *     bind ──▶ enter ──▶ take backends ──▶ maySend ──▶ bytes
 *                │ held back: bind again            └ the lease has run out meanwhile: refused
 *
 * A placement is named `database.schema`, as in fragments; `database.*` is all of a database.
 */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { Holds } from "./holds.ts";

const NOTHING: { readonly places: readonly string[]; readonly generation: number } = {
  places: [],
  generation: 0,
};

export class PlacementUse {
  readonly #holds: Holds;
  /** Of a statement outside a transaction, or of the first one in an implicit one. */
  #first = NOTHING;
  /** Of statements that were sent behind one that runs, whose end they outlive. */
  #behind = NOTHING;
  /** In an open transaction, each with the lease's generation in which it was first touched. */
  readonly #touched = new Map<string, number>();
  /** Whether the session does anything now. */
  isActive: () => boolean = () => false;

  constructor(holds: Holds) {
    this.#holds = holds;
  }

  /**
   * Whether a statement on these placements may start; then it counts as started. Throws
   * where the proxy must not serve them. Costs a comparison where nothing is leased or held.
   */
  enter(places: readonly string[], isInTransaction: boolean): boolean {
    if (!isInTransaction) this.clear();
    const holds = this.#holds;
    if (!holds.isQuiet) {
      holds.refuseWithoutLease(places, this);
      if (holds.blocking(places, this) !== undefined) return false;
    }
    const { generation } = holds;
    if (!isInTransaction) this.#first = { places, generation };
    else
      for (const place of places)
        if (!this.#touched.has(place)) this.#touched.set(place, generation);
    return true;
  }

  /** Nothing is leased or held. */
  get isQuiet(): boolean {
    return this.#holds.isQuiet;
  }

  /** Statements on these placements are sent behind the one that has entered: each enters when those before it are answered. */
  enterBehind(places: readonly string[]): void {
    this.#behind = { places, generation: this.#holds.generation };
  }

  /** The last of them has entered, or none will. */
  endBehind(): void {
    this.#behind = NOTHING;
  }

  /** Throws where the lease on these placements has run out since the statement, or its transaction, began. */
  maySend(places: readonly string[]): void {
    this.#holds.maySend(places, this);
  }

  /** In which generation of the lease the open transaction first touched it; undefined where it has not. */
  generationOf(place: string): number | undefined {
    for (const { places, generation } of [this.#first, this.#behind])
      if (places.includes(place)) return generation;
    return this.#touched.get(place);
  }

  touches(names: ReadonlySet<string>): boolean {
    for (const place of this.#first.places) if (names.has(place)) return true;
    for (const place of this.#behind.places) if (names.has(place)) return true;
    for (const place of this.#touched.keys()) if (names.has(place)) return true;
    return false;
  }

  /** The transaction is over, or the statement outside of one. */
  clear(): void {
    this.#first = NOTHING;
    if (this.#touched.size > 0) this.#touched.clear();
  }

  /** The session is over. */
  end(): void {
    this.clear();
    this.#holds.forget(this);
  }
}

/**
 * By what names statements may use a placement. One that is about a group is about its whole
 * database's canonical schema, as far as a fragment tells (bind-fragments.ts).
 */
export function namesOfPlacement(map: ShardMap, placement: string): readonly string[] {
  const dot = placement.indexOf(".");
  const [database, schema] = [placement.slice(0, dot), placement.slice(dot + 1)];
  const isGroup = [...map.groups.values()].some(
    (group) => group.database === database && group.schema === schema,
  );
  const names = [placement, wholeDatabase(database)];
  return isGroup ? [...names, `${database}.${map.canonicalSchema}`] : names;
}

export function wholeDatabase(database: string): string {
  return `${database}.*`;
}
