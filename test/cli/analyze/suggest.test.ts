import { beforeAll, expect, test } from "vitest";
import type { Observed } from "../../../cli/analyze/observation.ts";
import { planned } from "../../../cli/analyze/planned-workload.ts";
import { suggest } from "../../../cli/analyze/suggest.ts";
import type { Suggestion } from "../../../cli/analyze/suggestion.ts";
import { Workload } from "../../../cli/analyze/workload.ts";
import { loadParser } from "../../../planner/parse.ts";
import { parseShardMap } from "../../../shardmap/schema.ts";
import { EMPTY_MAP, MAP, observation, sampleContext } from "./sample.ts";

beforeAll(loadParser);

function suggested(
  observed: readonly Observed[],
  map: string = EMPTY_MAP,
  schema?: string,
): Suggestion | null {
  const context = sampleContext(map, schema);
  const workload = new Workload();
  for (const one of observed) workload.add(one);
  const plans = workload.statements.flatMap((statement) => planned(statement, context) ?? []);
  return suggest(workload, plans, context);
}

function inTransaction(times: number, ...statements: readonly string[]): readonly Observed[] {
  return Array.from({ length: times }, () =>
    ["BEGIN", ...statements, "COMMIT"].map((sql) => observation(sql, { session: "s" })),
  ).flat();
}

const SHOP = [
  observation("SELECT * FROM users WHERE id = $1", { calls: 900 }),
  observation("SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1", {
    calls: 500,
  }),
  observation("INSERT INTO orders (user_id, id, total) VALUES ($1, $2, $3)", { calls: 300 }),
  observation("SELECT * FROM users u JOIN countries c ON c.code = u.country WHERE u.id = $1", {
    calls: 200,
  }),
  observation("SELECT count(*) FROM orders", { calls: 3 }),
];

test("tables that are joined and pinned by one key are colocated; a table that is only read is a reference", () => {
  const suggestion = suggested(SHOP);
  expect(suggestion).toMatchObject({
    colocations: [
      {
        name: "users",
        keyType: "bigint",
        tables: expect.arrayContaining([
          { table: "users", column: "id" },
          { table: "orders", column: "user_id" },
        ]),
      },
    ],
    referenceTables: ["countries"],
    unsharded: [],
    before: { home: 1903 },
    after: { single: 1900, streamed: 3, refused: 0 },
  });
});

test("the YAML is what goes into a map", () => {
  const yaml = `${EMPTY_MAP}${suggested(SHOP)?.yaml}`;
  const parsed = parseShardMap(yaml, "map.yaml");
  expect(parsed).toHaveProperty("map");
  expect(sampleContext(yaml).map.tables.get("orders")).toMatchObject({ keyColumns: ["user_id"] });
});

test("a transaction that pins the same key of two tables ties them, though no statement joins them", () => {
  const suggestion = suggested(
    inTransaction(
      50,
      "UPDATE carts SET items = 0 WHERE user_id = $1",
      "INSERT INTO orders (user_id, id) VALUES ($1, $2)",
    ),
  );
  expect(suggestion?.colocations.flatMap(({ tables }) => tables)).toEqual(
    expect.arrayContaining([
      { table: "carts", column: "user_id" },
      { table: "orders", column: "user_id" },
    ]),
  );
  expect(suggestion?.colocations).toHaveLength(1);
  expect(suggestion?.spanning).toEqual([]);
});

test("transactions that would write to several colocations are told", () => {
  const suggestion = suggested([
    ...SHOP,
    observation("SELECT * FROM events WHERE id = $1", { calls: 900 }),
    ...inTransaction(
      7,
      "INSERT INTO events (id, what) VALUES ($1, $2)",
      "UPDATE users SET name = $1 WHERE id = $2",
    ),
  ]);
  expect(suggestion?.colocations.map(({ name }) => name).toSorted()).toEqual(["events", "users"]);
  expect(suggestion?.spanning).toEqual([{ tables: ["events", "users"], transactions: 7 }]);
});

test("a table that is often written is no reference table", () => {
  const written = observation("UPDATE countries SET name = $1 WHERE code = $2", { calls: 100 });
  expect(suggested([...SHOP, written])?.referenceTables).toEqual([]);
});

test("joins that no key could serve leave their tables where they are", () => {
  const suggestion = suggested([
    observation("SELECT * FROM users u, carts c WHERE u.name > $1", { calls: 10 }),
    observation("SELECT * FROM events e, carts c", { calls: 10 }),
  ]);
  expect(suggestion).toBeNull();
});

test("nothing is suggested for nothing, nor in the place of a map that is as good", () => {
  expect(suggested([])).toBeNull();
  expect(suggested([observation("SELECT 1"), observation("BEGIN")])).toBeNull();
  expect(suggested(SHOP, MAP)).toBeNull();
});

test("what joins a colocation on no key may be a reference table, and the rest is still sharded", () => {
  const suggestion = suggested([
    observation("SELECT * FROM users WHERE id = $1"),
    observation("SELECT * FROM orders WHERE user_id = $1"),
    observation("SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1"),
    observation("SELECT * FROM users u JOIN countries c ON c.code = u.country WHERE u.id = $1"),
    observation("SELECT * FROM users u JOIN events e ON e.what = u.name"),
  ]);
  expect(suggestion).toMatchObject({
    referenceTables: expect.arrayContaining(["countries", "events"]),
    after: { single: 4, streamed: 1, refused: 0 },
  });
});
