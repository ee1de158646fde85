/** A guard accepts exactly the keys whose shards the placement has: asked of a real server, as the CHECK of a real table. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EMPTY_TABLE_GUARD, placementGuard } from "../../shardmap/guard.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { shardOf } from "../../shardmap/shard-function/shard-of.ts";
import {
  KEY_TYPE_OIDS,
  keyFromBinary,
  keyFromText,
  type KeyType,
  type KeyValue,
} from "../../shardmap/shard-key.ts";
import type { Colocation } from "../../shardmap/shard-map.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { found } from "./found.ts";
import { randomKeyText, seeded } from "./random-keys.ts";

const KEYS = 500;

const SEND = { date: "date_send", timestamptz: "timestamptz_send" } as const;

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

function colocation(keyTypes: readonly KeyType[], rest: string): Colocation {
  const columns = keyTypes.map((_, index) => `"key ${index}"`);
  const read = parseShardMap(
    `
version: 1
catalog: d
databases: { d: { embedded: true } }
colocations:
  c:
    shard_key: [${keyTypes.join()}]
    tables: { t: [${columns.join()}] }
    ${rest.trim()}
`,
    "test.yaml",
  );
  if ("problems" in read) throw new Error(JSON.stringify(read.problems));
  return found(read.map.colocations.get("c"));
}

const HASH = `
    function: hash
    logical_shards: 12
    placements:
      - { shards: "0-2,7,9-11", database: d, schema: a }
      - { shards: "3-6,8", database: d, schema: b }`;

const CASES: readonly (readonly [string, Colocation, readonly string[]])[] = [
  ...(
    ["smallint", "integer", "bigint", "uuid", "text", "varchar", "date", "timestamptz"] as const
  ).map((type) => [`hash ${type}`, colocation([type], HASH), []] as const),
  ["hash bigint, text", colocation(["bigint", "text"], HASH), []],
  ["hash date, timestamptz, uuid", colocation(["date", "timestamptz", "uuid"], HASH), []],
  ["hash of four", colocation(["varchar", "smallint", "integer", "bigint"], HASH), []],
  [
    "range date",
    colocation(
      ["date"],
      `
    function: range
    placements:
      - { ranges: [{ to: "1000-01-01" }, { from: "2000-01-01", to: "3000-01-01" }], database: d, schema: a }
      - { ranges: [{ from: "5000-01-01" }], database: d, schema: b }`,
    ),
    [
      "0999-12-31",
      "1000-01-01",
      "1999-12-31",
      "2000-01-01",
      "2999-12-31",
      "3000-01-01",
      "4999-12-31",
      "5000-01-01",
    ],
  ],
  [
    "range timestamptz",
    colocation(
      ["timestamptz"],
      `
    function: range
    placements:
      - { ranges: [{ from: "2024-01-01 00:00:00+02", to: "2025-01-01 00:00:00.000001+00" }], database: d, schema: a }
      - { ranges: [{ to: "2024-01-01 00:00:00+02" }], database: d, schema: b }`,
    ),
    [
      "2023-12-31 21:59:59.999999Z",
      "2023-12-31 22:00:00Z",
      "2025-01-01 00:00:00Z",
      "2025-01-01 00:00:00.000001Z",
    ],
  ],
  [
    "range text, by its bytes",
    colocation(
      ["text"],
      `
    function: range
    placements:
      - { ranges: [{ to: "a" }, { from: "it's \\\\", to: "z" }], database: d, schema: a }
      - { ranges: [{ from: "z" }], database: d, schema: b }`,
    ),
    ["Z", "a", "it's \\", "it's [", "z", "ä", "y\u{1f600}"],
  ],
  [
    "range bigint, everything",
    colocation(
      ["bigint"],
      `
    function: range
    placements: [{ ranges: [{}], database: d }]`,
    ),
    [],
  ],
  [
    "list integer",
    colocation(
      ["integer"],
      `
    function: list
    placements:
      - { values: [1, -2, 2147483647], database: d, schema: a }
      - { values: [5], default: true, database: d, schema: b }`,
    ),
    ["1", "-2", "2147483647", "5", "6"],
  ],
  [
    "list text without a default",
    colocation(
      ["varchar"],
      `
    function: list
    placements:
      - { values: [eu, "it's", "back\\\\slash"], database: d, schema: a }
      - { values: ["", "ä"], database: d, schema: b }`,
    ),
    ["eu", "EU", "eu ", "it's", "back\\slash", "", "ä", "a\u0308"],
  ],
];

describe.each(CASES)("%s", (_name, colo, edges) => {
  const columns = found(colo.tables.get("t"));
  const random = seeded(7);
  const texts = [
    ...edges.map((edge) => [edge]),
    ...Array.from({ length: KEYS }, () => colo.keyTypes.map((type) => randomKeyText(type, random))),
  ];

  test.each(colo.placements.map((placement) => [placement.id, placement] as const))(
    "the guard of %s accepts its keys and no others",
    async (_id, placement) => {
      const definitions = colo.keyTypes.map((type, index) => `"${columns[index]}" ${type}`);
      await client.query(
        `CREATE TEMP TABLE t (${definitions.join()}, CHECK (${placementGuard(colo, placement, columns)}))`,
      );
      const values = colo.keyTypes.map((type, index) => `$${index + 1}::text::${type}`);
      let accepted = 0;
      for (const key of texts) {
        const shard = shardOf(
          colo.function,
          colo.keyTypes.map((type, index) => keyFromText(type, key[index] ?? "") as KeyValue),
        );
        const isOurs = shard !== undefined && colo.placementByShard[shard] === placement;
        if (isOurs) accepted++;
        expect([key, await isAccepted(`INSERT INTO t VALUES (${values.join()})`, key)]).toEqual([
          key,
          isOurs,
        ]);
      }
      expect(accepted).toBeGreaterThan(0);
      const nulls = colo.keyTypes.map(() => "NULL");
      expect(await isAccepted(`INSERT INTO t VALUES (${nulls.join()})`, [])).toBe(false);
      await client.query("DROP TABLE t");
    },
  );
});

test("infinite dates and times have a shard like any other", async () => {
  for (const type of ["date", "timestamptz"] as const) {
    const colo = colocation([type], HASH);
    for (const text of ["infinity", "-infinity"]) {
      const sent = await client.query<{ bytes: Buffer }>(
        `SELECT ${SEND[type]}($1::text::${type}) AS bytes`,
        [text],
      );
      const key = keyFromBinary(type, KEY_TYPE_OIDS[type], found(sent.rows[0]).bytes) as KeyValue;
      const home = found(colo.placementByShard[found(shardOf(colo.function, [key]))]);
      for (const placement of colo.placements) {
        await client.query(
          `CREATE TEMP TABLE t ("key 0" ${type}, CHECK (${placementGuard(colo, placement, ["key 0"])}))`,
        );
        expect(await isAccepted(`INSERT INTO t VALUES ($1::text::${type})`, [text])).toBe(
          placement === home,
        );
        await client.query("DROP TABLE t");
      }
    }
  }
});

test("the guard of a canonical table accepts nothing", async () => {
  await client.query(`CREATE TEMP TABLE t (a integer, CHECK (${EMPTY_TABLE_GUARD}))`);
  expect(await isAccepted("INSERT INTO t VALUES (1)", [])).toBe(false);
  expect(await isAccepted("INSERT INTO t VALUES (NULL)", [])).toBe(false);
  await client.query("DROP TABLE t");
});

/** False where a CHECK refuses the row; any other error is the test's. */
async function isAccepted(sql: string, values: readonly string[]): Promise<boolean> {
  try {
    await client.query(sql, [...values]);
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code === "23514") return false;
    throw cause;
  }
}
