/** Random keys of every type, and of several together, against satisfies_hash_partition() of a real server. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { partitionHashModulo } from "../../shardmap/shard-function/hash.ts";
import { keyFromText, type KeyType, type KeyValue } from "../../shardmap/shard-key.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { below, randomKeyText, seeded } from "./random-keys.ts";

const KEYS_PER_BATCH = 10_000;

const SHAPES: readonly (readonly KeyType[])[] = [
  ["smallint"],
  ["integer"],
  ["bigint"],
  ["uuid"],
  ["text"],
  ["varchar"],
  ["date"],
  ["timestamptz"],
  ["bigint", "text"],
  ["uuid", "timestamptz", "integer"],
  ["date", "varchar", "smallint", "bigint"],
];

let server: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
});

afterAll(async () => {
  await client.end();
  await server.stop();
});

test.each(SHAPES.map((types, index) => [types.join(), index, types] as const))(
  "%s: every key is in the server's own partition",
  async (_name, seed, types) => {
    const random = seeded(1_000 + seed);
    const modulus = 2 + below(random, 2 ** 20 - 2);
    const columns: string[][] = types.map(() => []);
    const remainders: number[] = [];
    for (let count = 0; count < KEYS_PER_BATCH; count++) {
      const texts = types.map((type) => randomKeyText(type, random));
      const key = types.map((type, index) => keyFromText(type, texts[index] ?? ""));
      expect(key.filter((value) => typeof value === "string")).toEqual([]);
      for (const [index, text] of texts.entries()) columns[index]?.push(text);
      remainders.push(partitionHashModulo(key as KeyValue[], modulus));
    }
    expect(new Set(remainders).size).toBeGreaterThan(1);

    const names = types.map((_, index) => `k${index}`);
    const shape = types.map((type, index) => `k${index} ${type}`);
    await client.query(
      `CREATE TEMP TABLE shape (${shape.join()}) PARTITION BY HASH (${names.join()})`,
    );
    const typed = types.map((type, index) => `k${index}::${type}`);
    const arrays = types.map((_, index) => `$${index + 3}::text[]`);
    const { rows } = await client.query<{ right: string; wrong: string }>(
      `SELECT count(*) FILTER (WHERE satisfied) AS right, count(*) FILTER (WHERE NOT satisfied) AS wrong
         FROM (SELECT satisfies_hash_partition('shape'::regclass, $1::int, remainder, ${typed.join()}) AS satisfied
                 FROM unnest($2::int[], ${arrays.join()}) AS batch (remainder, ${names.join()})) AS answers`,
      [modulus, remainders, ...columns],
    );
    await client.query("DROP TABLE shape");
    expect(rows).toEqual([{ right: String(KEYS_PER_BATCH), wrong: "0" }]);
  },
);
