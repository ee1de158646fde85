import { expect, test } from "vitest";
import { explainJson, explainLogical, explainPhysical } from "../../planner/explain.ts";
import type { LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import { planStatement } from "../../planner/plan.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

await loadParser();

const context = samplePlanContext();

function plan(sql: string): LogicalPlan {
  return planStatement(onlyStatement(sql), context);
}

test("a scatter with its gather", () => {
  expect(explainLogical(plan("SELECT id FROM orders ORDER BY id DESC LIMIT 10"))).toBe(
    [
      "query scatter (read)",
      "├── route allShards users (no shard key in predicate)",
      "├── gather merge by 1 desc limit 10",
      "├── sql SELECT id FROM orders ORDER BY id DESC LIMIT 10",
      "└── or, where that is too much, gather in the catalog database over rows",
      "    ├── copy into colonnade_rows (c1)",
      "    │   ├── route allShards users (no shard key in predicate)",
      "    │   └── sql SELECT id FROM orders ORDER BY 1 DESC LIMIT 10",
      "    └── finish SELECT c1 FROM pg_temp.colonnade_rows ORDER BY c1 DESC LIMIT 10",
    ].join("\n"),
  );
});

test("a gather over copies, with where they come from and what runs over them", () => {
  const sql =
    "SELECT u.id, u.name, count(DISTINCT note) FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id IN (1, 5) GROUP BY u.id, ROLLUP (o.note)";
  const finish = sql
    .replace("users u", '"pg_temp"."users" u')
    .replace("orders o", '"pg_temp"."orders" o');
  const gathered = plan(sql) as QueryPlan;
  const users = "SELECT id, name FROM public.users WHERE id IN (1, 5)";
  const orders = "SELECT user_id, id, note FROM public.orders WHERE user_id IN (1, 5)";
  expect(explainLogical(gathered)).toBe(
    [
      "query pinByShardKey (read)",
      "├── route shardKeys users (1) (5)",
      "├── gather in the catalog database over tables",
      "│   ├── copy into users (id, name) with primary key (id)",
      "│   │   ├── route shardKeys users (1) (5)",
      `│   │   └── sql ${users}`,
      "│   ├── copy into orders (user_id, id, note)",
      "│   │   ├── route shardKeys users (1) (5)",
      `│   │   └── sql ${orders}`,
      `│   └── finish ${finish}`,
      `└── sql ${sql}`,
    ].join("\n"),
  );
  expect(explainPhysical(bindPlan(gathered, [], context.map, []))).toBe(
    [
      "read on the catalog database, over copies (map version 12)",
      "├── copy into users (id, name) with primary key (id)",
      `│   ├── fragment users0.public: ${users}`,
      `│   ├── fragment users1.public: ${users}`,
      "│   └── gather concat",
      "├── copy into orders (user_id, id, note)",
      `│   ├── fragment users0.public: ${orders}`,
      `│   ├── fragment users1.public: ${orders}`,
      "│   └── gather concat",
      `├── fragment main.public: ${finish}`,
      "└── gather passThrough",
    ].join("\n"),
  );
});

test("an INSERT with its rows, and where they go", () => {
  const insert = plan("INSERT INTO tickets (user_id, seat) VALUES (1, 'a'), ($1, 'b')");
  expect(explainLogical(insert)).toBe(
    [
      "insert splitRowsByShardKey into tickets (by user_id)",
      "├── fill id from sequence public.tickets_id_seq",
      "├── row 0 key (1): (1, 'a', <0>)",
      "├── row 1 key ($1): ($1, 'b', <0>)",
      "└── sql INSERT INTO tickets (user_id, seat) VALUES (1, 'a'), ($1, 'b')",
    ].join("\n"),
  );
  if (insert.kind !== "insert") throw new Error(insert.kind);
  const parameter = { typeOid: 20, format: "text", value: Buffer.from("1") } as const;
  const physical = bindPlan(insert, [parameter], context.map, [["7"], ["8"]]);
  expect(explainPhysical(physical)).toMatch(
    /^write on one placement \(map version 12\)\n├── fragment \S+ rows 0, 1: INSERT INTO .*tickets"? \(user_id, seat, "id"\) VALUES \(1, 'a', 7\), \(\$1, 'b', 8\)\n└── gather passThrough$/,
  );
});

test("DDL with every step, its lines kept below it", () => {
  expect(explainLogical(plan("CREATE INDEX ON\norders (total)"))).toBe(
    [
      "ddl createIndex (one transaction)",
      '├── on main: CREATE INDEX ON\n│   "public"."orders" (total)',
      '├── on users0: CREATE INDEX ON\n│   "public"."orders" (total)',
      '├── on users1: CREATE INDEX ON\n│   "public"."orders" (total)',
      '└── on users1: CREATE INDEX ON\n    "shard_3"."orders" (total)',
    ].join("\n"),
  );
});

test.each([
  ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "transaction begin serializable read only"],
  ["ROLLBACK AND CHAIN", "transaction rollback and chain"],
  ["SET LOCAL a.b = 1", "setting set local a.b\n└── sql SET LOCAL a.b = 1"],
  ["DISCARD ALL", "session discardAll"],
])("%s", (sql, expected) => {
  expect(explainLogical(plan(sql))).toBe(expected);
});

test("JSON names colocations and holds no integer that a reader would round", () => {
  const json = explainJson(plan("SELECT id FROM orders ORDER BY id LIMIT 9007199254740993"));
  expect(json).toMatchObject({
    kind: "query",
    routing: { kind: "allShards", colocation: "users" },
    gather: { kind: "merge", limit: { count: { kind: "constant", value: "9007199254740993" } } },
  });
});
