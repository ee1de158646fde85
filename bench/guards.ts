/**
 * What a guard costs the database: rows that all belong there are inserted into a table with a
 * primary key, with the CHECK of its placement and without, in turns. No proxy: a guard is the server's work.
 *
 * One INSERT of many rows, so that little but the rows is measured: for each, the server checks what it
 * would check of a row that comes alone, and which takes it tens of microseconds by itself.
 */
import { EMPTY_TABLE_GUARD, GUARD_CONSTRAINT, shardsGuard } from "../shardmap/guard.ts";
import { dateKey, textKey } from "../shardmap/shard-key.ts";
import type { KeyType } from "../shardmap/shard-key.ts";
import type { ShardFunction } from "../shardmap/shard-function/shard-function.ts";
import { startPostgres } from "../test/support/postgres.ts";
import type { TestPostgres } from "../test/support/postgres.ts";
import { median, spread } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const ROWS = 50_000;
const TURNS_MIN = 7;
const WARM_UP_TURNS = 2;

interface Case {
  readonly name: string;
  readonly function: ShardFunction;
  readonly shards: readonly number[];
  /** Their types, and the value of each for the number `n`. */
  readonly keys: readonly (readonly [type: KeyType, value: string])[];
}

const HASH: ShardFunction = { kind: "hash", logicalShards: 480 };
const FIRST_HALF = Array.from({ length: 240 }, (_, shard) => shard);
const EVERY_SECOND = FIRST_HALF.map((shard) => 2 * shard);
const YEARS: ShardFunction = {
  kind: "range",
  ranges: [
    { from: undefined, to: dateKey(0) },
    { from: dateKey(0), to: dateKey(366) },
    { from: dateKey(366), to: undefined },
  ],
};
const COUNTRIES = ["at", "be", "de", "dk", "es", "fi", "fr", "gr", "ie", "it"];
const REGIONS: ShardFunction = {
  kind: "list",
  entries: [COUNTRIES.map((name) => textKey(Buffer.from(name)))],
  defaultEntry: undefined,
};

const CASES: readonly Case[] = [
  { name: "hash of a bigint", function: HASH, shards: FIRST_HALF, keys: [["bigint", "n"]] },
  {
    name: "hash of a bigint, every second shard",
    function: HASH,
    shards: EVERY_SECOND,
    keys: [["bigint", "n"]],
  },
  {
    name: "hash of a uuid",
    function: HASH,
    shards: FIRST_HALF,
    keys: [["uuid", "md5(n::text)::uuid"]],
  },
  { name: "hash of a text", function: HASH, shards: FIRST_HALF, keys: [["text", "md5(n::text)"]] },
  {
    name: "hash of two columns",
    function: HASH,
    shards: FIRST_HALF,
    keys: [
      ["bigint", "n"],
      ["integer", "n % 1000"],
    ],
  },
  {
    name: "range of dates",
    function: YEARS,
    shards: [1],
    keys: [["date", "date '2000-01-01' + n % 366"]],
  },
  {
    name: "list of ten texts",
    function: REGIONS,
    shards: [0],
    keys: [["text", `('{${COUNTRIES.join(",")}}'::text[])[1 + n % 10]`]],
  },
];

export async function measureGuards(seconds: number): Promise<readonly Measurement[]> {
  // A checkpoint in one of two turns would be taken for a guard's cost.
  const settings = { shared_buffers: "512MB", max_wal_size: "4GB", autovacuum: "off" };
  await using server = await startPostgres({ databases: ["guards"], settings });
  const measurements: Measurement[] = [];
  for (const each of CASES)
    measurements.push(...(await measureCase(server, each, seconds / CASES.length)));
  return measurements;
}

async function measureCase(
  server: TestPostgres,
  { name, keys, shards, function: fn }: Case,
  seconds: number,
): Promise<readonly Measurement[]> {
  const columns = keys.map((_, index) => `k${index}`);
  const guard = shardsGuard(
    { keyTypes: keys.map(([type]) => type), function: fn },
    shards,
    columns,
  );
  if (guard === EMPTY_TABLE_GUARD) throw new Error(`${name}: the guard lets no row in`);
  const definitions = keys.map(([type], index) => `k${index} ${type}`).join(", ");
  const values = keys.map(([, value], index) => `${value} AS k${index}`).join(", ");
  const client = await server.connect("guards");
  try {
    // Rows of the placement alone: the guard itself says which those are.
    await client.query(`
      DROP TABLE IF EXISTS rows, free, guarded;
      CREATE TABLE rows AS SELECT * FROM
        (SELECT n::bigint AS id, ${values}, 'body ' || n AS body FROM generate_series(1, ${4 * ROWS}) n) AS all_rows
        WHERE ${guard} LIMIT ${ROWS};
      CREATE TABLE free (id bigint PRIMARY KEY, ${definitions}, body text);
      CREATE TABLE guarded (LIKE free INCLUDING ALL);
      ALTER TABLE guarded ADD CONSTRAINT ${GUARD_CONSTRAINT} CHECK (${guard})`);
    const times = await inTurns(seconds, async (table) => {
      await client.query(`TRUNCATE ${table}`);
      const start = performance.now();
      const { rowCount } = await client.query(`INSERT INTO ${table} SELECT * FROM rows`);
      if (rowCount !== ROWS) throw new Error(`${name}: ${rowCount} rows were inserted`);
      return ((performance.now() - start) * 1_000) / ROWS;
    });
    const costs = times.guarded.map((time, turn) => time - (times.free[turn] ?? Number.NaN));
    return [
      {
        name: `guard by ${name}: an insert without it`,
        value: median(times.free),
        unit: "µs",
        spread: spread(times.free),
      },
      {
        name: `guard by ${name}: it adds`,
        value: median(costs),
        unit: "µs",
        spread: spread(costs),
      },
    ];
  } finally {
    await client.end();
  }
}

interface Times {
  readonly free: readonly number[];
  readonly guarded: readonly number[];
}

/** Who goes first changes. */
async function inTurns(
  seconds: number,
  insert: (table: keyof Times) => Promise<number>,
): Promise<Times> {
  const times = { free: [] as number[], guarded: [] as number[] };
  const deadline = performance.now() + seconds * 1_000;
  for (let turn = -WARM_UP_TURNS; turn < TURNS_MIN || performance.now() < deadline; turn += 1) {
    const order = turn % 2 === 0 ? (["free", "guarded"] as const) : (["guarded", "free"] as const);
    for (const table of order) {
      const took = await insert(table);
      if (turn >= 0) times[table].push(took);
    }
  }
  return times;
}
