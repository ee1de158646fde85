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

export class PlacementUse {
  readonly #holds: Holds;
  /** With the lease's generation in which each was first touched. */
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
    if (!isInTransaction) this.#touched.clear();
    const holds = this.#holds;
    if (!holds.isQuiet) {
      holds.refuseWithoutLease(places, this);
      if (holds.blocking(places, this) !== undefined) return false;
    }
    for (const place of places)
      if (!this.#touched.has(place)) this.#touched.set(place, holds.generation);
    return true;
  }

  /** Throws where the lease on these placements has run out since the statement, or its transaction, began. */
  maySend(places: readonly string[]): void {
    this.#holds.maySend(places, this);
  }

  /** In which generation of the lease the open transaction first touched it; undefined where it has not. */
  generationOf(place: string): number | undefined {
    return this.#touched.get(place);
  }

  touches(names: ReadonlySet<string>): boolean {
    for (const place of this.#touched.keys()) if (names.has(place)) return true;
    return false;
  }

  /** The transaction is over. */
  clear(): void {
    this.#touched.clear();
  }

  /** The session is over. */
  end(): void {
    this.#touched.clear();
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
