import { beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { loadParser } from "../../planner/parse.ts";
import { tableTemplate, type RewriteContext } from "../../planner/rewrite.ts";
import { renderTemplate } from "../../planner/sql-template.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

beforeAll(loadParser);

const SHARDED = new Set(["orders", "users"]);

function rewrite(
  sql: string,
  schema = "shard_3",
  searchPath: readonly string[] = ["app", "public"],
): string {
  const context: RewriteContext = { map: samplePlanContext().map, searchPath };
  const template = tableTemplate(
    onlyStatement(sql),
    ({ relname = "", schemaname = "public" }) => {
      if (relname === "invoices") return { kind: "fixed", schema: "billing", name: relname };
      return SHARDED.has(relname) && schemaname === "public"
        ? { kind: "placed", name: relname }
        : { kind: "asWritten" };
    },
    context,
  );
  const placement = { id: "sample", database: databaseName("users1"), schema, shards: [] };
  return renderTemplate(template, { placement, canonicalSchema: "public", limit: undefined }).sql;
}

describe("table names", () => {
  test.each([
    ["SELECT orders.id FROM orders", 'SELECT orders.id FROM "shard_3"."orders"'],
    ["COPY orders (id) FROM STDIN", 'COPY "shard_3"."orders" (id) FROM STDIN'],
    ["COPY orders TO STDOUT", 'COPY "shard_3"."orders" TO STDOUT'],
    [
      "COPY (SELECT id FROM orders) TO STDOUT",
      'COPY (SELECT id FROM "shard_3"."orders") TO STDOUT',
    ],
    [
      "COPY public.orders FROM STDIN WHERE id > 1",
      'COPY "shard_3"."orders" FROM STDIN WHERE id > 1',
    ],
    [
      "SELECT o.id FROM public.orders AS o, Users u",
      'SELECT o.id FROM "shard_3"."orders" AS o, "shard_3"."users" u',
    ],
    [
      "SELECT public.orders.id, app.public.orders.* FROM orders",
      'SELECT "shard_3"."orders".id, "shard_3"."orders".* FROM "shard_3"."orders"',
    ],
    [
      'SELECT /* orders */ \'orders\', "orders".id FROM ONLY ("orders") -- orders',
      'SELECT /* orders */ \'orders\', "orders".id FROM ONLY ("shard_3"."orders") -- orders',
    ],
    [
      "SELECT 1 FROM orders * FOR UPDATE OF orders",
      'SELECT 1 FROM "shard_3"."orders" * FOR UPDATE OF orders',
    ],
    ["TABLE ONLY orders", 'TABLE ONLY "shard_3"."orders"'],
    ["SELECT 'é😀' FROM public . /* x */ orders", 'SELECT \'é😀\' FROM "shard_3"."orders"'],
    ["SELECT 1 FROM U&\"!006frders\" UESCAPE '!' x", 'SELECT 1 FROM "shard_3"."orders" x'],
    [
      "UPDATE orders SET (a, b) = (SELECT 1, 2 FROM users) RETURNING public.orders.a",
      'UPDATE "shard_3"."orders" SET (a, b) = (SELECT 1, 2 FROM "shard_3"."users") RETURNING "shard_3"."orders".a',
    ],
    [
      "DELETE FROM orders USING users WHERE orders.id = users.id",
      'DELETE FROM "shard_3"."orders" USING "shard_3"."users" WHERE orders.id = users.id',
    ],
    ["SELECT 1 FROM other.orders, invoices", 'SELECT 1 FROM other.orders, "billing"."invoices"'],
    [
      "SELECT (SELECT 1 FROM orders) FROM users TABLESAMPLE system (1)",
      'SELECT (SELECT 1 FROM "shard_3"."orders") FROM "shard_3"."users" TABLESAMPLE system (1)',
    ],
  ])("%s", (sql, expected) => {
    expect(rewrite(sql)).toBe(expected);
  });

  test.each([
    [
      "a WITH name hides the table, but not in itself",
      "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
      'WITH orders AS (SELECT * FROM "shard_3"."orders") SELECT * FROM orders',
    ],
    [
      "with RECURSIVE also in itself",
      "WITH RECURSIVE orders AS (SELECT * FROM orders) SELECT * FROM orders",
      "WITH RECURSIVE orders AS (SELECT * FROM orders) SELECT * FROM orders",
    ],
    [
      "not when qualified",
      "WITH orders AS (SELECT 1) SELECT * FROM public.orders",
      'WITH orders AS (SELECT 1) SELECT * FROM "shard_3"."orders"',
    ],
    [
      "not as a target",
      "WITH orders AS (SELECT 1) DELETE FROM orders",
      'WITH orders AS (SELECT 1) DELETE FROM "shard_3"."orders"',
    ],
    [
      "only below its level",
      "SELECT 1 FROM (WITH orders AS (SELECT 1) SELECT * FROM orders) x, orders",
      'SELECT 1 FROM (WITH orders AS (SELECT 1) SELECT * FROM orders) x, "shard_3"."orders"',
    ],
    [
      "an earlier one does not see a later one",
      "WITH a AS (SELECT * FROM users), users AS (SELECT 1) SELECT * FROM a, users",
      'WITH a AS (SELECT * FROM "shard_3"."users"), users AS (SELECT 1) SELECT * FROM a, users',
    ],
  ])("%s", (_, sql, expected) => {
    expect(rewrite(sql)).toBe(expected);
  });
});

describe("a placement in the canonical schema", () => {
  const sql = "SELECT public.orders.id FROM orders, public.users";

  test("takes the client's text where the search_path finds it", () => {
    expect(rewrite(sql, "public")).toBe(sql);
  });

  test("takes a qualified name where another placement's schema comes first, or the canonical one is not searched", () => {
    for (const path of [["shard_3", "public"], ["app"], []]) {
      expect(rewrite(sql, "public", path)).toBe(
        'SELECT public.orders.id FROM "public"."orders", public.users',
      );
    }
  });
});
