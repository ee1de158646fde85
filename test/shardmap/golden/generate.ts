/**
 * Makes testdata/partition-hash.json from a real server: what PostgreSQL itself says of the
 * partition of each key. The vectors are frozen; run this again only to add some:
 *
 *     node test/shardmap/golden/generate.ts
 */
import { writeFile } from "node:fs/promises";
import type { KeyType } from "../../../shardmap/shard-key.ts";
import { startPostgres } from "../../support/postgres.ts";
import { found } from "../found.ts";
import { randomKeyText, seeded } from "../random-keys.ts";

export interface GoldenFile {
  readonly server: string;
  readonly vectors: readonly GoldenVector[];
}

export interface GoldenVector {
  readonly types: readonly KeyType[];
  readonly key: readonly string[];
  /** Modulus to remainder, by satisfies_hash_partition(). */
  readonly remainders: Readonly<Record<string, number>>;
}

const MODULI = [7, 480, 1009, 4096];

const EDGES: Readonly<Record<KeyType, readonly string[]>> = {
  smallint: ["0", "1", "-1", "32767", "-32768"],
  integer: ["0", "1", "-1", "2147483647", "-2147483648"],
  bigint: [
    "0",
    "1",
    "-1",
    "42",
    "4294967295",
    "4294967296",
    "-4294967296",
    "-4294967297",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
  ],
  uuid: [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "6ecd8c99-4036-403d-bf84-cf8400f67836",
  ],
  text: [
    "",
    "a",
    "abcdefghijk",
    "abcdefghijkl",
    "abcdefghijklm",
    "trailing  ",
    "ünïcödé €中\u{1f600}",
    'it\'s \\ "x"',
  ],
  varchar: ["", "a", "trailing  ", "ünïcödé €中\u{1f600}"],
  date: ["2000-01-01", "1999-12-31", "0001-01-01", "9999-12-31", "2024-02-29"],
  timestamptz: [
    "2000-01-01 00:00:00+00",
    "1999-12-31 23:59:59.999999+00",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    "2024-02-29 12:34:56.789+05:30",
  ],
};

const COMPOSITES: readonly (readonly KeyType[])[] = [
  ["bigint", "text"],
  ["uuid", "date"],
  ["smallint", "integer", "varchar"],
  ["timestamptz", "uuid", "text", "bigint"],
];

await using server = await startPostgres();
const client = await server.connect();
const random = seeded(20_000_101);
const vectors: GoldenVector[] = [];
const add = async (
  types: readonly KeyType[],
  keys: readonly (readonly string[])[],
): Promise<void> => {
  const columns = types.map((type, index) => `k${index} ${type}`);
  const names = types.map((_, index) => `k${index}`);
  await client.query(
    `CREATE TEMP TABLE shape (${columns.join()}) PARTITION BY HASH (${names.join()})`,
  );
  for (const key of keys) {
    const remainders: Record<string, number> = {};
    for (const modulus of MODULI) {
      const values = types.map((type, index) => `$${index + 2}::text::${type}`);
      const { rows } = await client.query<{ remainder: number }>(
        `SELECT remainder FROM generate_series(0, $1::int - 1) AS remainder
          WHERE satisfies_hash_partition('shape'::regclass, $1::int, remainder, ${values.join()})`,
        [modulus, ...key],
      );
      if (rows.length !== 1) throw new Error(`the server gives ${rows.length} remainders`);
      remainders[modulus] = found(rows[0]).remainder;
    }
    vectors.push({ types, key, remainders });
  }
  await client.query("DROP TABLE shape");
};
for (const [type, edges] of Object.entries(EDGES) as [KeyType, readonly string[]][]) {
  const values = [...edges, ...Array.from({ length: 12 }, () => randomKeyText(type, random))];
  await add(
    [type],
    values.map((value) => [value]),
  );
}
for (const types of COMPOSITES) {
  await add(
    types,
    Array.from({ length: 12 }, () => types.map((type) => randomKeyText(type, random))),
  );
}
const version = await client.query<{ server_version: string }>("SHOW server_version");
await client.end();
const file: GoldenFile = { server: found(version.rows[0]).server_version, vectors };
const path = new URL("../testdata/partition-hash.json", import.meta.url);
await writeFile(path, `${JSON.stringify(file, undefined, 1)}\n`);
