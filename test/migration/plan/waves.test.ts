/** A map of many placements in steps: each a map that can be planned, of a bounded size, and the last is the next map. */
import { expect, test } from "vitest";
import { waveMaps } from "../../../cli/migrate/wave-maps.ts";
import { planMigrations } from "../../../migration/plan/plan.ts";
import { wavesOf } from "../../../migration/plan/waves.ts";
import { catalogFromSql } from "../../../planner/catalog-from-sql.ts";
import { loadParser } from "../../../planner/parse.ts";
import { parseShardMap } from "../../../shardmap/schema.ts";
import type { ShardMap } from "../../../shardmap/shard-map.ts";

await loadParser();
const CATALOG = catalogFromSql(
  "CREATE TABLE users (id bigint PRIMARY KEY); CREATE TABLE countries (code text PRIMARY KEY)",
  { schema: "public" },
);

function parsed(text: string): ShardMap {
  const result = parseShardMap(text, "map.yaml");
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.map;
}

/** `databaseOf` says where each shard's schema is. */
function map(
  version: number,
  databases: readonly string[],
  shards: number,
  databaseOf: (shard: number) => string,
  more = "",
): ShardMap {
  const placements = Array.from(
    { length: shards },
    (_, shard) =>
      `      - { shards: ${shard}, database: ${databaseOf(shard)}, schema: schema_${shard} } # of ${shard}`,
  );
  return parsed(`version: ${version}
catalog: main
databases:
${["main", ...databases].map((name) => `  ${name}: { primary: "postgres://app@127.0.0.1/${name}" }`).join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: ${shards}
    tables: { users: id }
    placements:
${placements.join("\n")}
${more}`);
}

test("480 schemas on four databases become 480 on eight in ten waves of up to 24", () => {
  const four = ["a", "b", "c", "d"];
  const before = map(7, four, 480, (shard) => four[Math.floor(shard / 120)] ?? "");
  const eight = [...four, "e", "f", "g", "h"];
  const next = map(
    8,
    eight,
    480,
    (shard) => eight[(Math.floor(shard / 120) + 4 * (shard % 2)) % 8] ?? "",
  );
  const waves = wavesOf(before, next, 24);
  expect(waves.map((wave) => wave.length)).toEqual(Array.from({ length: 10 }, () => 24));
  const maps = waveMaps(before, next, waves);
  expect(maps.map(({ version }) => version)).toEqual(
    Array.from({ length: 10 }, (_, index) => index + 8),
  );
  const names = maps.map((own, index) => {
    const { migration, refusals } = planMigrations(maps[index - 1] ?? before, own, CATALOG);
    expect(refusals).toEqual([]);
    const moved = new Set(
      migration?.moves.flatMap(({ source, tables }) =>
        tables.map(({ schema }) => `${source}.${schema}`),
      ),
    );
    expect(moved.size).toBe(24);
    return migration?.name;
  });
  expect(names).toEqual(maps.map(({ version }) => `map_${version}`));
  const last = maps.at(-1);
  expect(last?.colocations).toEqual(next.colocations);
  expect(last?.databases).toEqual(next.databases);
  // A database is listed once rows come to it.
  expect([...(maps[0]?.databases.keys() ?? [])]).toEqual(["main", ...four, "e"]);
  expect(maps[0]?.text).toContain("- { shards: 479, database: d, schema: schema_479 }\n");
});

test("placements that exchange rows stay together, and whatever else differs comes with the last wave", () => {
  const users = (placements: readonly string[], more = "") =>
    parsed(`version: 1
catalog: main
databases:
${["main", "a", "b"].map((name) => `  ${name}: { primary: "postgres://app@127.0.0.1/${name}" }`).join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id }
    placements:
${placements.map((each) => `      - { ${each} }`).join("\n")}
${more}`);
  const before = users([
    "shards: 0-1, database: a, schema: one",
    "shards: 2-3, database: a, schema: two",
    "shards: 4-5, database: a, schema: three",
    "shards: 6-7, database: a, schema: four",
  ]);
  const next = users(
    [
      "shards: '0,2', database: b, schema: even",
      "shards: '1,3', database: b, schema: odd",
      "shards: 4-5, database: b, schema: three",
      "shards: 6-7, database: a, schema: four",
    ],
    "groups: { sites: { database: b, tables: [sites] } }",
  );
  const waves = wavesOf(before, next, 1);
  expect(waves.map((wave) => wave.map(({ from, to }) => [from.length, to.length]))).toEqual([
    [[2, 2]],
    [[1, 1]],
  ]);
  const [first, last] = waveMaps(before, next, waves);
  expect(first?.colocations.get("users")?.placementByShard.map(({ id }) => id)).toEqual([
    "b.even",
    "b.odd",
    "b.even",
    "b.odd",
    "a.three",
    "a.three",
    "a.four",
    "a.four",
  ]);
  expect(first?.groups.size).toBe(0);
  expect(last?.groups.size).toBe(1);
  expect(last?.version).toBe(3);
  // One step is enough: it is the next map.
  const [only, ...more] = waveMaps(before, next, wavesOf(before, next, 99));
  expect(only?.colocations).toEqual(next.colocations);
  expect(more).toEqual([]);
});

test("entries of a list keep their order and their values, however large and however YAML writes them", () => {
  const list = (database: string, value: string, shardKey = "bigint"): ShardMap =>
    parsed(`version: 1
catalog: main
databases:
${["main", "a", "b"].map((name) => `  ${name}: { primary: "postgres://app@127.0.0.1/${name}" }`).join("\n")}
colocations:
  users:
    shard_key: ${shardKey}
    function: list
    tables: { users: id }
    placements:
      - { values: [${value}], database: ${database}, schema: one }
      - { values: ["8"], database: ${database}, schema: two }
      - { default: true, database: a, schema: three }
`);
  const steps = (value: string, shardKey?: string) => {
    const [before, next] = [list("a", value, shardKey), list("b", value, shardKey)];
    return waveMaps(before, next, wavesOf(before, next, 1));
  };
  const before = list("a", "9007199254740993");
  const maps = steps("9007199254740993");
  expect(maps.map((own) => own.colocations.get("users")?.function)).toEqual([
    before.colocations.get("users")?.function,
    before.colocations.get("users")?.function,
  ]);
  for (const value of [
    '"0x10"',
    '"1e3"',
    '"~"',
    '"null"',
    '"2020-01-01"',
    '"é"',
    '" a "',
    '"true"',
  ])
    expect(steps(value, "text")).toHaveLength(2);
});

/** Values are a list's, on two placements; `text` is what a file says of it where that differs. */
function printed(value: string, text?: string): readonly ShardMap[] {
  const list = (database: string): ShardMap =>
    parsed(`version: 1
catalog: main
databases:
${["main", "a", "b"].map((name) => `  ${name}: { primary: "postgres://app@127.0.0.1/${name}" }`).join("\n")}
colocations:
  users:
    shard_key: text
    function: list
    tables: { users: id }
    placements:
      - { values: ["first"], database: ${database}, schema: one }
      - { values: ["${value}"], database: ${database}, schema: two }
`);
  const before = list("a");
  const read = { ...before, text: text === undefined ? before.text : text };
  return waveMaps(read, list("b"), wavesOf(before, list("b"), 1));
}

test("a map whose values would read otherwise once they are printed is refused", () => {
  const byHand = "its values read otherwise once they are printed. Write the maps by hand";
  expect(printed("second")).toHaveLength(2);
  // U+FFFD is what a file has that is not UTF-8, so no map may have it as it is.
  expect(() => printed("\\ufffd")).toThrow(`wave 1 cannot be written in steps: ${byHand}`);
  const [first] = printed("second");
  const other = first?.text.replace("second", "other");
  expect(() => printed("second", other)).toThrow(
    `colocation users cannot be written in steps: ${byHand}`,
  );
});
