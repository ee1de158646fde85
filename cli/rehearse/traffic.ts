/**
 * Everybody who uses the tables while they are moved: writers and readers through every proxy,
 * clients whose keys a sequence gives, and one that goes past the proxies. In the end it tells
 * what of all that was acknowledged is not there.
 */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { Bypass } from "./bypass.ts";
import { Drawer } from "./drawer.ts";
import type { Fleet } from "./fleet.ts";
import { Random } from "./random.ts";
import { Reader } from "./reader.ts";
import type { Family, Recipes, TableRecipe } from "./recipes.ts";
import { selectAllOf, stampColumn } from "./statements.ts";
import { placesOfTable } from "./table-places.ts";
import { FamilyRows, Writer } from "./writer.ts";
import type { Tally } from "./writer.ts";

export interface TrafficOptions {
  readonly recipes: Recipes;
  readonly seed: number;
  /** Families of rows that are there from the beginning and that nobody writes, of each kind. */
  readonly rows: number;
  readonly writersPerProxy: number;
  readonly rowsPerWriter: number;
  readonly pauseMs: number;
}

/** Above what sequences give in a rehearsal, below what their columns hold. */
const FIRST_NUMBER = 1_000_000;
/** Enough for one in a placement that moves, whichever that is. */
const BYPASS_ROWS = 10;
/** Half of a writer's rows are there when it begins. */
const THERE = 2;

/** Which numbers a family has when traffic begins: those that stay, the writers', and last of all the highest of them. */
export function numbersOf(
  options: Omit<TrafficOptions, "recipes">,
  proxyCount: number,
): NumberPlan {
  const writers = Array.from({ length: options.writersPerProxy * proxyCount }, (_, writer) =>
    Array.from(
      { length: options.rowsPerWriter },
      (__, index) => FIRST_NUMBER + options.rows + writer * options.rowsPerWriter + index,
    ),
  );
  const last = FIRST_NUMBER + options.rows + writers.length * options.rowsPerWriter;
  const resting = Array.from({ length: options.rows }, (_, index) => FIRST_NUMBER + index);
  // Where a column's numbers come from a sequence, no later move sets that below a number in use.
  return {
    resting: [...resting, last],
    writers,
    bypass: Array.from({ length: BYPASS_ROWS }, (_, index) => last + 1 + index),
  };
}

export interface NumberPlan {
  readonly resting: readonly number[];
  readonly writers: readonly (readonly number[])[];
  readonly bypass: readonly number[];
}

export function initialNumbers({ resting, writers, bypass }: NumberPlan): readonly number[] {
  return [...resting, ...writers.flatMap((own) => own.filter(isThere)), ...bypass];
}

function isThere(number: number): boolean {
  return number % THERE === 0;
}

export interface TrafficReport {
  readonly acknowledged: number;
  readonly unknown: number;
  readonly reads: number;
  /** By SQLSTATE; of clients of proxies. */
  readonly refused: Readonly<Record<string, number>>;
  readonly worstMs: number;
  readonly wrongReads: readonly string[];
}

export class Traffic {
  readonly #fleet: Fleet;
  readonly #recipes: Recipes;
  readonly #resting: readonly FamilyRows[];
  readonly #writers: readonly Writer[];
  readonly #readers: readonly Reader[];
  readonly #drawers: readonly Drawer[];
  readonly bypass: Bypass;

  constructor(
    fleet: Fleet,
    map: ShardMap,
    options: TrafficOptions,
    sides: { readonly before: ShardMap; readonly after: ShardMap },
  ) {
    const { recipes, seed, pauseMs } = options;
    this.#fleet = fleet;
    this.#recipes = recipes;
    const numbers = numbersOf(options, fleet.proxies.length);
    const every = (own: readonly number[], there: (number: number) => boolean): FamilyRows[] =>
      own.flatMap((number) =>
        recipes.families.map((family) => new FamilyRows(family, number, there(number))),
      );
    this.#resting = every(numbers.resting, () => true);
    const connect = (index: number) => async () =>
      await (fleet.proxies[index % fleet.proxies.length] as (typeof fleet.proxies)[number]).connect(
        map.catalog,
      );
    this.#writers = numbers.writers.map(
      (own, index) =>
        new Writer({
          connect: connect(index),
          rows: every(own, isThere),
          random: new Random(seed * 1_000 + index),
          pauseMs,
        }),
    );
    const written = this.#writers.flatMap(({ rows }) => rows);
    this.#readers = fleet.proxies.map(
      (_, index) =>
        new Reader({
          connect: connect(index),
          rows: written,
          random: new Random(seed * 1_000 + 500 + index),
          pauseMs: Math.max(5, pauseMs),
        }),
    );
    this.#drawers = recipes.drawn.map(
      (recipe, index) =>
        new Drawer({
          connect: connect(index),
          recipe,
          first: index * 100_000,
          pauseMs: Math.max(5, pauseMs),
        }),
    );
    this.bypass = new Bypass(
      fleet,
      every(numbers.bypass, () => true),
      sides,
    );
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#writers, ...this.#readers, ...this.#drawers, this.bypass].map(
        async (client) => await client.stop(),
      ),
    );
  }

  /** Forgets how long the longest statement took so far. */
  restartClock(): void {
    for (const tally of this.#tallies()) tally.worstMs = 0;
  }

  get report(): TrafficReport {
    const tallies = this.#tallies();
    const refused: Record<string, number> = {};
    for (const tally of tallies)
      for (const [code, count] of tally.refused) refused[code] = (refused[code] ?? 0) + count;
    const sum = (what: "acknowledged" | "unknown"): number =>
      tallies.reduce((total, tally) => total + tally[what], 0);
    return {
      acknowledged: sum("acknowledged") + this.bypass.tally.acknowledged,
      unknown: sum("unknown") + this.bypass.tally.unknown,
      reads: this.#readers.reduce((total, { reads }) => total + reads, 0),
      refused,
      worstMs: Math.round(Math.max(...tallies.map(({ worstMs }) => worstMs))),
      wrongReads: tallies.flatMap(({ wrongReads }) => wrongReads),
    };
  }

  /** Once everybody has stopped: rows that are not as acknowledged, where `map` has them. Sentences. */
  async differences(map: ShardMap): Promise<readonly string[]> {
    const rows = [
      ...this.#resting,
      ...this.#writers.flatMap((writer) => writer.rows),
      ...this.bypass.rows,
    ];
    const found: string[] = [];
    for (const family of this.#recipes.families) {
      const own = rows.filter((row) => row.family === family);
      const stamps = await Promise.all(family.map((recipe) => this.#stampsOf(map, recipe, own)));
      found.push(...own.flatMap((row) => differenceOf(family, row, stamps)));
    }
    for (const drawer of this.#drawers)
      found.push(...drawer.differences(await this.#drawnStamps(map, drawer.recipe)));
    return found;
  }

  /** By a row's number, what every placement of the table has. */
  async #stampsOf(
    map: ShardMap,
    recipe: TableRecipe,
    rows: readonly FamilyRows[],
  ): Promise<ReadonlyMap<number, readonly number[]>> {
    const numbers = rows.map(({ number }) => number);
    const stamps = new Map<number, number[]>();
    for (const { database, place } of placesOfTable(map, recipe.table)) {
      const { text, values } = selectAllOf(recipe, numbers, place);
      for (const { number, stamp } of await this.#fleet.query(database, text, values))
        stamps.set(Number(number), [...(stamps.get(Number(number)) ?? []), Number(stamp)]);
    }
    return stamps;
  }

  async #drawnStamps(map: ShardMap, recipe: TableRecipe): Promise<readonly string[]> {
    const found: string[] = [];
    for (const { database, place } of placesOfTable(map, recipe.table)) {
      const rows = await this.#fleet.query(
        database,
        `SELECT ${stampColumn(recipe)} AS stamp FROM ${place}`,
      );
      found.push(...rows.map(({ stamp }) => String(stamp)));
    }
    return found;
  }

  #tallies(): readonly Tally[] {
    return [...this.#writers, ...this.#readers, ...this.#drawers].map(({ tally }) => tally);
  }
}

function differenceOf(
  family: Family,
  row: FamilyRows,
  stamps: readonly ReadonlyMap<number, readonly number[]>[],
): readonly string[] {
  const there = stamps.map((of) => of.get(row.number) ?? []);
  const isOne = row.possible.some((state) =>
    there.every((found, index) =>
      state === undefined ? found.length === 0 : found.length === 1 && found[0] === state[index],
    ),
  );
  if (isOne) return [];
  const names = family.map(({ table }) => table).join(", ");
  const due = row.possible.map((state) => (state === undefined ? "absent" : JSON.stringify(state)));
  return [
    `row ${row.number} of ${names} is ${JSON.stringify(there)} instead of ${due.join(" or ")}`,
  ];
}
