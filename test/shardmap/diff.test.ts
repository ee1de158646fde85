import { expect, test } from "vitest";
import { rowsLeftBehind } from "../../shardmap/diff.ts";
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
  [
    "a table that is dropped from the map",
    MAP.replace(", orders: user_id", ""),
    ['table "orders" is no longer listed'],
  ],
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
