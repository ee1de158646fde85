/** What may share a connection with other clients' reads: proven reads of which nothing stays. */
import { describe, expect, test } from "vitest";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser } from "../../planner/parse.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

await loadParser();

const SCHEMA = `
CREATE TABLE users (id bigint PRIMARY KEY, name text);
CREATE TABLE orders (user_id bigint, id bigint, total numeric);
CREATE TABLE invoices (id int PRIMARY KEY, amount numeric);
CREATE TABLE countries (id int PRIMARY KEY, code text);
CREATE TABLE settings (name text, value text);
CREATE FUNCTION cubed(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'select $1 * $1 * $1';
CREATE FUNCTION read_clock() RETURNS text STABLE LANGUAGE c AS 'clock', 'read';
CREATE FUNCTION set_clock() RETURNS text LANGUAGE c AS 'clock', 'set';
CREATE FUNCTION belied(int) RETURNS text IMMUTABLE LANGUAGE sql AS 'select set_config(''a.b'', ''c'', false)';
`;

function contextOf(changes: Partial<PlanContext> = {}): PlanContext {
  const catalog = catalogFromSql(SCHEMA, { schema: "public" });
  return samplePlanContext({ catalog, ...changes });
}

function sharing(sql: string, context = contextOf()) {
  const plan = planStatement(onlyStatement(sql), context);
  return plan.kind === "query" ? plan.sharing : undefined;
}

function coalescing(...tables: readonly string[]): PlanContext {
  const { map } = samplePlanContext();
  return contextOf({ map: { ...map, coalescedTables: new Set(tables) } });
}

describe("shares its connection", () => {
  test.each([
    "SELECT name FROM users WHERE id = 1",
    "SELECT name FROM users WHERE id = $1",
    "SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1",
    "SELECT count(*), upper(max(code)) FROM countries",
    "SELECT amount FROM invoices WHERE id IN (SELECT id FROM countries)",
    "SELECT value FROM settings",
    "SELECT cubed(3)",
    "SELECT now(), CURRENT_USER, current_setting('timezone'), read_clock()",
    "VALUES (1), (2)",
  ])("%s", (sql) => {
    expect(sharing(sql)).toEqual({ coalesces: false });
  });
});

describe("has its connection for itself", () => {
  test.each([
    "SELECT name FROM users WHERE id = 1 FOR UPDATE",
    "SELECT name FROM users WHERE id = 1 FOR SHARE",
    "SELECT (SELECT name FROM users u WHERE u.id = o.user_id FOR KEY SHARE) FROM orders o WHERE user_id = 1",
    "UPDATE users SET name = 'x' WHERE id = 1",
    "DELETE FROM users WHERE id = 1 RETURNING name",
    "WITH gone AS (DELETE FROM settings RETURNING name) SELECT * FROM gone",
    "SELECT random() FROM users WHERE id = 1",
    "SELECT pg_sleep(1) FROM users WHERE id = 1",
    "SELECT set_clock()",
    "SELECT nextval('s')",
    "SELECT setval('s', 1)",
    "SELECT set_config('application_name', 'x', false)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_backend_pid()",
    "SELECT txid_current()",
    "SELECT lo_create(1)",
    "SELECT pg_terminate_backend(1)",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM nowhere",
    "SHOW timezone",
    "EXPLAIN ANALYZE SELECT name FROM users WHERE id = 1",
    "NOTIFY a",
    "SELECT 1 INTO TEMPORARY one",
  ])("%s", (sql) => {
    expect(sharing(sql)).toBeUndefined();
  });

  test("where a function that promises to be immutable keeps something", () => {
    const { map } = samplePlanContext();
    const unlisted = contextOf({ map: { ...map, tables: new Map() } });
    expect(sharing("SELECT belied(1) FROM settings", unlisted)).toBeUndefined();
  });

  test.each([
    ["a policy", { hasRowSecurity: true }],
    ["a rule", { hasRules: true }],
    ["rows elsewhere", { kind: "foreign table" }],
    ["a query of its own", { kind: "other" }],
  ] as const)("where a relation has %s", (_, changed) => {
    const { catalog } = contextOf();
    const tables = new Map(catalog.relations.get("public"));
    const settings = tables.get("settings");
    if (settings === undefined) throw new Error("there is such a table");
    tables.set("settings", { ...settings, ...changed });
    const { map } = samplePlanContext();
    const relations = new Map([["public", tables]]);
    const context = contextOf({
      catalog: { ...catalog, relations },
      // Rules of tables beside a map are refused.
      map: { ...map, tables: new Map() },
    });
    expect(sharing("SELECT value FROM settings", context)).toBeUndefined();
  });

  test.each([
    ["an operator", { operators: new Map([["=", new Set(["set_clock"])]]), types: new Map() }],
    ["a cast", { operators: new Map(), types: new Map([["text", new Set(["nextval"])]]) }],
  ])("where %s of a user's may leave something", (_, changed) => {
    const { catalog } = contextOf();
    const hiddenCalls = { ...changed, relations: new Map() };
    const context = contextOf({ catalog: { ...catalog, hiddenCalls } });
    expect(sharing("SELECT value FROM settings", context)).toBeUndefined();
  });

  test("not where operators and casts of users compute only", () => {
    const { catalog } = contextOf();
    const operators = new Map([["<->", new Set(["cubed", "SELECT"])]]);
    const hiddenCalls = { operators, types: new Map(), relations: new Map() };
    const context = contextOf({ catalog: { ...catalog, hiddenCalls } });
    expect(sharing("SELECT value FROM settings", context)).toEqual({ coalesces: false });
  });
});

describe("coalesces", () => {
  test("where the map lists all tables, and the answer is the same for all", () => {
    expect(sharing("SELECT name FROM users WHERE id = 1", coalescing("users"))).toEqual({
      coalesces: true,
    });
    const join = "SELECT 1 FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1";
    expect(sharing(join, coalescing("users"))).toEqual({ coalesces: false });
    expect(sharing(join, coalescing("users", "orders"))).toEqual({ coalesces: true });
  });

  test.each([
    "SELECT now(), name FROM users WHERE id = 1",
    "SELECT CURRENT_TIMESTAMP, name FROM users WHERE id = 1",
    "SELECT current_setting('x') FROM users WHERE id = 1",
    "SELECT code FROM countries TABLESAMPLE bernoulli (50)",
    "SELECT 1",
    "SELECT value FROM settings",
  ])("not %s", (sql) => {
    expect(sharing(sql, coalescing("users", "countries", "settings"))).toEqual({
      coalesces: false,
    });
  });
});
