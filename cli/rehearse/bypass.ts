/**
 * A client that goes past the proxies, and writes wherever it is let: first where the rows are at
 * first, then where they go. It writes down when each side took a write, so that two sides that
 * both own a row are seen.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { Fleet } from "./fleet.ts";
import { updateOf } from "./statements.ts";
import { placesOfTable } from "./table-places.ts";
import type { TablePlace } from "./table-places.ts";
import { codeOf, isAnswer, isConnectionOver, Tally } from "./writer.ts";
import type { FamilyRows } from "./writer.ts";

export type Side = "before" | "after";

/** One write that a side has taken. */
interface Taken {
  readonly side: Side;
  readonly startMs: number;
  readonly endMs: number;
}

const PAUSE_MS = 4;
const STATEMENT_TIMEOUT_MS = 5_000;

export class Bypass {
  readonly tally = new Tally();
  readonly rows: readonly FamilyRows[];
  readonly #fleet: Fleet;
  readonly #places: Readonly<Record<Side, ShardMap>>;
  readonly #clients = new Map<string, pg.Client>();
  readonly #taken = new Map<FamilyRows, Taken[]>();
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(fleet: Fleet, rows: readonly FamilyRows[], places: Readonly<Record<Side, ShardMap>>) {
    this.#fleet = fleet;
    this.#places = places;
    this.rows = rows.filter(({ family }) => family.some(({ stamp }) => stamp !== undefined));
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** How many writes each side has taken. */
  count(side: Side): number {
    return [...this.#taken.values()].flat().filter((taken) => taken.side === side).length;
  }

  /**
   * Rows that two sides have owned at a time, as sentences: where a side took a write after the other
   * had begun to, more often than `switches` lets the owner change.
   */
  overlaps(switches: number): readonly string[] {
    return [...this.#taken].flatMap(([row, taken]) => {
      const changes = taken.filter(
        ({ side }, index) => index > 0 && taken[index - 1]?.side !== side,
      );
      return changes.length <= switches
        ? []
        : [`row ${row.number} changed its owner ${changes.length} times in ${switches} switches`];
    });
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      for (const row of this.rows) {
        if (row.isKnown && !this.#isStopped) await this.#write(row);
        await sleep(PAUSE_MS);
      }
      if (this.rows.length === 0) return;
    }
    for (const client of this.#clients.values()) await client.end().catch(() => undefined);
  }

  /** To each side in turn, of which one at most may take it. */
  async #write(row: FamilyRows): Promise<void> {
    for (const side of ["before", "after"] as const) {
      const index = row.family.findIndex(({ stamp }) => stamp !== undefined);
      const recipe = row.family[index];
      if (recipe === undefined) return;
      const own = placesOfTable(this.#places[side], recipe.table);
      const other = placesOfTable(
        this.#places[side === "before" ? "after" : "before"],
        recipe.table,
      );
      for (const place of own) {
        // What both maps have is no place that rows leave or come to.
        if (side === "after" && other.some((each) => isSame(each, place))) continue;
        if (!row.isKnown || this.#isStopped) return;
        await this.#attempt(row, index, side, place);
      }
    }
  }

  async #attempt(row: FamilyRows, index: number, side: Side, at: TablePlace): Promise<void> {
    const [state] = row.possible;
    const recipe = row.family[index];
    if (state === undefined || recipe === undefined) return;
    row.version += 1;
    const update = updateOf(recipe, row.number, row.version, at.place);
    if (update === undefined) return;
    const startMs = performance.now();
    const client = await this.#client(at.database);
    if (client === undefined) return;
    try {
      const { rowCount } = await client.query(update.text, [...update.values]);
      if (rowCount === 0) return;
      const after = [...state];
      after[index] = row.version;
      row.possible = [after];
      row.acknowledgedVersion = row.version;
      this.tally.acknowledged += 1;
      const taken = this.#taken.get(row) ?? [];
      taken.push({ side, startMs, endMs: performance.now() });
      this.#taken.set(row, taken);
    } catch (error) {
      if (isConnectionOver(error)) this.#clients.delete(at.database);
      if (isAnswer(error)) return this.tally.refuse(codeOf(error));
      const after = [...state];
      after[index] = row.version;
      row.possible = [state, after];
      this.tally.unknown += 1;
    }
  }

  /** Undefined where the server is away: nothing was sent then. */
  async #client(database: string): Promise<pg.Client | undefined> {
    const known = this.#clients.get(database);
    if (known !== undefined) return known;
    try {
      const client = await this.#fleet
        .serverOf(database)
        .connect(database, { statement_timeout: STATEMENT_TIMEOUT_MS });
      this.#clients.set(database, client);
      return client;
    } catch {
      return undefined;
    }
  }
}

function isSame(one: TablePlace, other: TablePlace): boolean {
  return one.database === other.database && one.place === other.place;
}
