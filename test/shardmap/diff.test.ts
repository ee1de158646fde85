import { expect, test } from "vitest";
import { rowsLeftBehind } from "../../shardmap/diff.ts";
import { mapChanges } from "../../shardmap/map-changes.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

const MAP = `
version: 1
catalog: main
databases:
  main: { primary: "postgres://app@h/main" }
  other: { primary: "postgres://app@h/other" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 4
    tables: { users: id, orders: user_id }
    placements:
      - { shards: 0-1, database: main }
      - { shards: 2-3, database: other }
groups:
  billing: { database: main, tables: [invoices] }
reference_tables: [countries]
`;

function map(text: string): ShardMap {
  const parsed = parseShardMap(text, "map.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.map;
}

const nothingExists = () => false;

test.each([
  ["the same map", MAP, []],
  ["a host that moved", MAP.replace("app@h/other", "app@elsewhere/other"), []],
  ["a new table", MAP.replace("orders: user_id }", "orders: user_id, notes: user_id }"), []],
  [
    "placements that change places",
    MAP.replace("0-1, database: main", "0-1, database: X")
      .replace("2-3, database: other", "2-3, database: main")
      .replace("database: X", "database: other"),
    [
      'table "users" would have its logical shard 0 in other.public instead of main.public',
      'table "orders" would have its logical shard 0 in other.public instead of main.public',
    ],
  ],
  [
    "another number of shards",
    MAP.replace("logical_shards: 4", "logical_shards: 2").replace("0-1", "0").replace("2-3", "1"),
    [
      'table "users" would have another shard function',
      'table "orders" would have another shard function',
    ],
  ],
  [
    "another key column",
    MAP.replace("orders: user_id", "orders: id"),
    ['table "orders" would have another shard key'],
  ],
  ["a table that was never made", MAP.replace(", orders: user_id", ""), []],
  [
    "a group that moves",
    MAP.replace("database: main, tables", "database: other, tables"),
    ['table "invoices" would move to another database or schema'],
  ],
  [
    "a reference table that becomes part of a group",
    MAP.replace("[invoices]", "[invoices, countries]").replace("reference_tables: [countries]", ""),
    ['table "countries" is no longer a reference table'],
  ],
])("%s", (_, text, expected) => {
  expect(rowsLeftBehind(map(MAP), map(text), nothingExists)).toEqual(expected);
});

test("a table of the catalog database that is listed for the first time", () => {
  const next = map(MAP.replace("[countries]", "[countries, currencies]"));
  expect(rowsLeftBehind(map(MAP), next, (table) => table === "currencies")).toEqual([
    'table "currencies" is in the catalog database already, and would be looked for elsewhere',
  ]);
});

const everythingExists = () => true;
const WITHOUT_INVOICES = MAP.replace("[invoices]", "[receipts]");

test.each([
  ["of a colocation", MAP, MAP.replace(", orders: user_id", ""), 'table "orders"'],
  [
    "of a group in another database",
    MAP.replace("database: main, tables", "database: other, tables"),
    WITHOUT_INVOICES.replace("database: main, tables", "database: other, tables"),
    'table "invoices"',
  ],
  [
    "where unlisted tables are refused",
    MAP,
    `${WITHOUT_INVOICES}unlisted_tables: error\n`,
    'table "invoices"',
  ],
  [
    "where the catalog database is another one then",
    MAP,
    WITHOUT_INVOICES.replace("catalog: main", "catalog: other"),
    'table "invoices"',
  ],
])("a table that exists, and is no longer listed: %s", (_, before, next, table) => {
  expect(rowsLeftBehind(map(before), map(next), everythingExists)).toContain(
    `${table} is no longer listed`,
  );
});

test("a group's table in the catalog database is where unlisted ones are: listed or not, it stays", () => {
  const exists = (table: string) => table !== "receipts";
  const [listed, unlisted] = [map(MAP), map(WITHOUT_INVOICES)];
  expect(rowsLeftBehind(listed, unlisted, exists)).toEqual([]);
  expect(rowsLeftBehind(unlisted, listed, exists)).toEqual([]);
  expect(mapChanges(listed, unlisted, exists).map(({ needs }) => needs)).not.toContain("drop");
  const away = MAP.replace("database: main, tables", "database: other, tables");
  const listedAway = rowsLeftBehind(
    map(WITHOUT_INVOICES.replace("database: main, tables", "database: other, tables")),
    map(away),
    exists,
  );
  expect(listedAway).toEqual([
    'table "invoices" is in the catalog database already, and would be looked for elsewhere',
  ]);
});

test("to be listed no longer asks for a drop, and for no migration, as long as the table is there", () => {
  const next = map(MAP.replace(", orders: user_id", ""));
  const needs = (exists?: () => boolean) =>
    mapChanges(map(MAP), next, exists).map((change) => change.needs);
  expect(needs()).toEqual(["drop"]);
  expect(needs(everythingExists)).toEqual(["drop"]);
  expect(needs(nothingExists)).toEqual(["nothing"]);
});
