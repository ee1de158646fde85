/** A map file is read as it is meant, or every problem in it is named; hostile files are problems too. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printShardMapJsonSchema } from "../../shardmap/json-schema.ts";
import { printProblem } from "../../base/document/problems.ts";
import { mapChanges, printChange } from "../../shardmap/map-changes.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { sequenceBlockSize } from "../../shardmap/shard-map.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { found } from "./found.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

const SOUND = `
version: 12
catalog: main
databases:
  main:   { primary: "postgres://app@10.0.0.10/app" }
  users0: { primary: "postgres://app@10.0.0.11/app", replicas: ["postgres://app@10.0.0.12/app"] }
  users1: { primary: "postgres://app@10.0.0.13/app" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 480
    tables:
      users: id
      orders: user_id
    placements:
      - { shards: 0-239,   database: users0 }
      - { shards: "240-358,359", database: users1 }
      - { shards: [360, 361-479], database: users1, schema: shard_3 }
groups:
  billing: { database: main, tables: [invoices, "Payments"] }
reference_tables: [countries]
`;

function problemsOf(text: string): readonly string[] {
  const read = parseShardMap(text, "map.yaml");
  return "problems" in read ? read.problems.map(printProblem) : [];
}

function mapOf(text: string): ShardMap {
  const read = parseShardMap(text, "map.yaml");
  if ("problems" in read) throw new Error(read.problems.map(printProblem).join("\n"));
  return read.map;
}

/** A whole map around one colocation. */
function withColocation(colocation: string): string {
  const indented = colocation
    .trim()
    .split("\n")
    .map((line) => `    ${line}`);
  return `version: 1\ncatalog: a\ndatabases: { a: { embedded: true }, b: { embedded: true } }\ncolocations:\n  c:\n${indented.join("\n")}\n`;
}

describe("a sound map", () => {
  const map = mapOf(SOUND);
  const users = found(map.colocations.get("users"));

  test("gives every logical shard its placement", () => {
    expect(users.placementByShard.length).toBe(480);
    const ids = users.placementByShard.map(({ id }) => id);
    expect(ids.slice(0, 240)).toEqual(Array(240).fill("users0.public"));
    expect(ids.slice(240, 360)).toEqual(Array(120).fill("users1.public"));
    expect(ids.slice(360)).toEqual(Array(120).fill("users1.shard_3"));
    for (const placement of users.placements) {
      for (const shard of placement.shards) expect(users.placementByShard[shard]).toBe(placement);
    }
  });

  test("says of each table what it is; names keep their case", () => {
    expect([...map.tables].map(([name, table]) => [name, table.kind])).toEqual([
      ["users", "sharded"],
      ["orders", "sharded"],
      ["invoices", "group"],
      ["Payments", "group"],
      ["countries", "reference"],
    ]);
    expect(map.tables.get("orders")).toMatchObject({
      keyColumns: ["user_id"],
      colocation: { name: "users" },
    });
    expect([map.version, map.catalog, map.canonicalSchema, map.unlistedTables]).toEqual([
      12,
      "main",
      "public",
      "catalog",
    ]);
  });

  test("lists tables whose reads may be coalesced, none unless it does", () => {
    expect(map.coalescedTables).toEqual(new Set());
    const given = mapOf(`${SOUND}coalesce_reads: [Payments, countries, orders]\n`);
    expect(given.coalescedTables).toEqual(new Set(["Payments", "countries", "orders"]));
    expect(mapChanges(map, given).map(printChange)).toEqual(["coalesce_reads lists other tables"]);
    expect(mapChanges(given, given)).toEqual([]);
    expect(problemsOf(`${SOUND}coalesce_reads: [order]\n`)).toEqual([
      'map.yaml:23:18: coalesce_reads[0]: table "order" is not in the map. List it in a colocation, a group or `reference_tables`, or remove it here.',
    ]);
  });

  test("draws ids in blocks of a size for all sequences, or of each one's own", () => {
    const size = (of: ShardMap, sequence: string, schema = "public") =>
      sequenceBlockSize(of, { schema, sequence });
    expect(size(map, "orders_id_seq")).toBe(32);
    const given = mapOf(
      `${SOUND}sequences: { block_size: 500, block_sizes: { orders_id_seq: 1, "Ünique_seq": 10000 } }\n`,
    );
    expect(size(given, "users_id_seq")).toBe(500);
    expect(size(given, "orders_id_seq")).toBe(1);
    expect(size(given, "Ünique_seq")).toBe(10_000);
    expect(size(given, "orders_id_seq", "side")).toBe(500);
    expect(size(mapOf(`${SOUND}sequences: {}\n`), "users_id_seq")).toBe(32);
  });

  test("has a canonical schema of its own where it names one", () => {
    const named = mapOf(SOUND.replace("catalog: main", "catalog: { database: main, schema: app }"));
    expect(named.canonicalSchema).toBe("app");
    expect(named.groups.get("billing")?.schema).toBe("app");
    expect(named.colocations.get("users")?.placements[0]?.id).toBe("users0.app");
  });

  test("numbers ranges by their bounds, and lists as in the file", () => {
    const ranges = found(
      mapOf(
        withColocation(`
shard_key: integer
function: range
tables: { t: k }
placements:
  - { ranges: [{ from: 10, to: 20 }, { to: -5 }], database: a }
  - { ranges: [{ from: -5, to: 10 }, { from: 30, to: 40 }], database: b }`),
      ).colocations.get("c"),
    );
    expect(ranges.placementByShard.map(({ database }) => database)).toEqual(["a", "b", "a", "b"]);
    const lists = found(
      mapOf(
        withColocation(`
shard_key: bigint
function: list
tables: { t: k }
placements:
  - { values: [9007199254740993, 7], database: a }
  - { default: true, database: b }`),
      ).colocations.get("c"),
    );
    expect(lists.function).toMatchObject({
      entries: [[{ value: 9007199254740993n }, { value: 7n }], []],
      defaultEntry: 1,
    });
  });

  test("aliases and merged blocks stand for what they name", () => {
    const merged = mapOf(
      withColocation(`
shard_key: uuid
function: hash
logical_shards: 2
tables: { t: k }
placements:
  - &first { shards: 0, database: a }
  - { <<: *first, shards: 1, schema: other }`),
    );
    expect(found(merged.colocations.get("c")).placements.map(({ id }) => id)).toEqual([
      "a.public",
      "a.other",
    ]);
  });
});

describe("all problems of a file are named at once, with line, column, field and remedy", () => {
  test("over all parts of a map", () => {
    const file = join(REPOSITORY, "test/shardmap/testdata/problems.yaml");
    const read = parseShardMap(readFileSync(file, "utf8"), "problems.yaml");
    const printed = "problems" in read ? `${read.problems.map(printProblem).join("\n")}\n` : "";
    const expected = join(REPOSITORY, "test/shardmap/testdata/problems.txt");
    if (process.env["REWRITE"] === "1") writeFileSync(expected, printed);
    expect(printed).toBe(readFileSync(expected, "utf8"));
  });

  test("a password in a URL is never printed", () => {
    const text = SOUND.replace("postgres://app@10.0.0.10/app", "http://app:hunter2@10.0.0.10/app");
    expect(problemsOf(text)).toHaveLength(1);
    expect(problemsOf(text).join()).not.toContain("hunter2");
  });

  test("a percent sign in a URL that encodes nothing is told of in its place", () => {
    const text = SOUND.replace("postgres://app@10.0.0.10/app", "postgres://app:bad%@10.0.0.10/app");
    expect(problemsOf(text).join()).toMatch(/:\d+:\d+: .*percent sign.*Write %25/);
    expect(problemsOf(text).join()).not.toContain("bad");
  });

  test("any one line of a sound map taken out, doubled or cut gives a map or problems, never a crash", () => {
    const lines = SOUND.split("\n");
    fc.assert(
      fc.property(
        fc.nat(lines.length - 1),
        fc.nat(40),
        fc.constantFrom("remove", "double", "cut"),
        (index, at, change) => {
          const line = lines[index] ?? "";
          const changed = { remove: [], double: [line, line], cut: [line.slice(0, at)] }[change];
          const read = parseShardMap(lines.toSpliced(index, 1, ...changed).join("\n"), "map.yaml");
          expect("map" in read || read.problems.length > 0).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("any text at all gives problems, never a crash", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(problemsOf(text).length).toBeGreaterThan(0);
      }),
    );
  });
});

describe("hostile files are problems like any other", () => {
  const bomb = Array.from("bcdefghi").map(
    (letter, index) => `${letter}: &${letter} [${Array(9).fill(`*${"abcdefgh"[index]}`).join()}]`,
  );

  test.each([
    ["empty", "", "the file is empty"],
    ["only comments", "# nothing\n  # here\n", "the file is empty"],
    ["binary", "\u0000\u0001PNG", "the file is not text"],
    ["not UTF-8", "version: \ufffd", "the file is not text"],
    ["100 MB", "x".repeat(100_000_000), "larger than"],
    ["a list", "[1, 2]", "expected a block of fields, found a list"],
    ["prose", "Dear reader", "expected a block of fields, found text"],
    ["an unclosed bracket", "databases: [a, b", "this is not YAML"],
    ["brackets without end", "[".repeat(500_000), "levels deep"],
    ["braces without end", "{a: ".repeat(100_000), "levels deep"],
    ["dashes without end", "- ".repeat(200_000), "levels deep"],
    [
      "indentation without end",
      Array.from({ length: 900 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
      "levels deep",
    ],
    [
      "aliases that multiply",
      `a: &a [x, x, x, x, x, x, x, x, x]\n${bomb.join("\n")}`,
      "excessive alias count",
    ],
    ["an alias of itself", "a: &a [*a]", "unknown field"],
    ["an alias of nothing", "a: *b", "unresolved alias"],
    ["several documents", "--- a\n--- b", "multiple documents"],
    ["__proto__", `${SOUND}__proto__: { x: 1 }\n`, '"__proto__" cannot be used'],
  ])("%s", (_name, text, message) => {
    expect(problemsOf(text).join("\n")).toContain(message);
  });

  test("a hundred thousand mistakes are counted, not listed", () => {
    expect(problemsOf(`reference_tables: [${"a.b,".repeat(50_000)}]`)).toHaveLength(1_001);
    expect(problemsOf(`reference_tables: [${"a.b,".repeat(50_000)}]`).at(-1)).toContain(
      "more problems are not shown",
    );
  });
});

test.each([
  "deploy/maps/figma-like.yaml",
  "deploy/maps/notion-like.yaml",
  "deploy/maps/financial-years.yaml",
  ...readdirSync(join(REPOSITORY, "deploy"), { recursive: true, encoding: "utf8" })
    .filter((name) => /(^|\/)[^/]*map[^/]*\.yaml$/.test(name))
    .map((name) => join("deploy", name)),
])("%s is a sound map", (name) => {
  expect(problemsOf(readFileSync(join(REPOSITORY, name), "utf8"))).toEqual([]);
});

test("docs/shard-map.schema.json is what the validator says; REWRITE=1 writes it", () => {
  const file = join(REPOSITORY, "docs/shard-map.schema.json");
  if (process.env["REWRITE"] === "1") writeFileSync(file, printShardMapJsonSchema());
  expect(readFileSync(file, "utf8")).toBe(printShardMapJsonSchema());
});
