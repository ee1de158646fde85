import { beforeAll, describe, expect, test } from "vitest";
import type { SqlError } from "../../base/sql-error.ts";
import type { DdlPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { planStatement } from "../../planner/plan.ts";
import type { DatabaseEntry } from "../../shardmap/shard-map.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

beforeAll(loadParser);

function plan(sql: string): DdlPlan {
  const planned = planStatement(onlyStatement(sql), samplePlanContext());
  if (planned.kind !== "ddl") throw new Error(`planned as ${planned.kind}`);
  return planned;
}

/** `database: text`; `=` for the client's own text. */
function steps(sql: string): readonly string[] {
  return plan(sql).steps.map((step) => `${step.database}: ${step.sql === sql ? "=" : step.sql}`);
}

function errorOf(sql: string): SqlError {
  try {
    planStatement(onlyStatement(sql), samplePlanContext());
  } catch (error) {
    return error as SqlError;
  }
  throw new Error(`not refused: ${sql}`);
}

describe("where a statement runs", () => {
  test("a sharded table: the canonical one, then every placement", () => {
    expect(
      steps(
        "CREATE TABLE orders (user_id bigint PRIMARY KEY REFERENCES public.users, c text REFERENCES countries (code)) -- end",
      ),
    ).toEqual([
      'main: CREATE TABLE "public"."orders" (user_id bigint PRIMARY KEY REFERENCES "public"."users", c text REFERENCES "public"."countries" (code)) -- end',
      'users0: CREATE TABLE "public"."orders" (user_id bigint PRIMARY KEY REFERENCES "public"."users", c text REFERENCES "public"."countries" (code)) -- end',
      'users1: CREATE TABLE "public"."orders" (user_id bigint PRIMARY KEY REFERENCES "public"."users", c text REFERENCES "public"."countries" (code)) -- end',
      'users1: CREATE TABLE "shard_3"."orders" (user_id bigint PRIMARY KEY REFERENCES "shard_3"."users", c text REFERENCES "public"."countries" (code)) -- end',
    ]);
  });

  test.each<readonly [string, readonly string[]]>([
    [
      "CREATE TABLE invoices (id serial)",
      [
        'main: CREATE TABLE "public"."invoices" (id serial)',
        'users1: CREATE TABLE "public"."invoices" (id serial)',
      ],
    ],
    ["CREATE TABLE public.settings (a int)", ["main: ="]],
    [
      "ALTER TABLE ONLY countries ADD x int DEFAULT 1",
      ["main", "users0", "users1"].map(
        (name) => `${name}: ALTER TABLE ONLY "public"."countries" ADD x int DEFAULT 1`,
      ),
    ],
    [
      "CREATE UNIQUE INDEX i ON tokens (id, lower(value))",
      ["main", "users0"].map(
        (name) => `${name}: CREATE UNIQUE INDEX i ON "public"."tokens" (id, lower(value))`,
      ),
    ],
    [
      "DROP INDEX i",
      [
        "main: =",
        'users0: DROP INDEX IF EXISTS "public"."i"',
        'users1: DROP INDEX IF EXISTS "public"."i"',
        'users1: DROP INDEX IF EXISTS "shard_3"."i"',
      ],
    ],
    [
      'ALTER INDEX i RENAME TO "J"',
      [
        "main: =",
        'users0: ALTER INDEX IF EXISTS "public"."i" RENAME TO "J"',
        'users1: ALTER INDEX IF EXISTS "public"."i" RENAME TO "J"',
        'users1: ALTER INDEX IF EXISTS "shard_3"."i" RENAME TO "J"',
      ],
    ],
    [
      "DROP TABLE IF EXISTS users, settings, invoices CASCADE",
      [
        'main: DROP TABLE IF EXISTS "public"."users", "settings", "public"."invoices" CASCADE',
        'users0: DROP TABLE IF EXISTS "public"."users" CASCADE',
        'users1: DROP TABLE IF EXISTS "public"."users", "shard_3"."users", "public"."invoices" CASCADE',
      ],
    ],
    [
      "TRUNCATE ONLY tokens, settings RESTART IDENTITY",
      [
        'main: TRUNCATE TABLE ONLY "public"."tokens", settings RESTART IDENTITY',
        'users0: TRUNCATE TABLE ONLY "public"."tokens" RESTART IDENTITY',
      ],
    ],
    [
      "VACUUM (ANALYZE) tokens (value)",
      [
        'main: VACUUM (ANALYZE) "public"."tokens" ("value")',
        'users0: VACUUM (ANALYZE) "public"."tokens" ("value")',
      ],
    ],
    ["ANALYZE", ["main: =", "users0: =", "users1: ="]],
    [
      "GRANT SELECT ON tokens TO app",
      [
        'main: GRANT SELECT ON "public"."tokens" TO app',
        'users0: GRANT SELECT ON "public"."tokens" TO app',
      ],
    ],
    [
      "GRANT USAGE ON SCHEMA public TO app",
      ["main: =", "users0: =", "users1: =", "users1: GRANT USAGE ON SCHEMA shard_3 TO app"],
    ],
    ["CREATE TYPE mood AS ENUM ('a')", ["main: =", "users0: =", "users1: ="]],
    [
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      ["main: =", "users0: =", "users1: ="],
    ],
    ["CREATE EXTENSION pgcrypto", ["main: =", "users0: =", "users1: ="]],
    ["CREATE ROLE r", ["main: =", "users0: =", "users1: ="]],
    ["CREATE SEQUENCE s", ["main: =", "users0: =", "users1: ="]],
    ["CREATE SEQUENCE s OWNED BY settings.value", ["main: ="]],
    ["ALTER SEQUENCE s RESTART", ["main: ="]],
    [
      "DROP SEQUENCE public.s",
      [
        "main: =",
        'users0: DROP SEQUENCE IF EXISTS "public"."s"',
        'users1: DROP SEQUENCE IF EXISTS "public"."s"',
      ],
    ],
    ["COMMENT ON TABLE orders IS 'x'", ["main: ="]],
    ["CREATE VIEW v AS SELECT * FROM settings, countries", ["main: ="]],
    [
      "DROP TRIGGER IF EXISTS t ON tokens",
      [
        'main: DROP TRIGGER IF EXISTS "t" ON "public"."tokens"',
        'users0: DROP TRIGGER IF EXISTS "t" ON "public"."tokens"',
      ],
    ],
    [
      "ALTER TABLE tokens RENAME value TO content",
      [
        'main: ALTER TABLE "public"."tokens" RENAME value TO content',
        'users0: ALTER TABLE "public"."tokens" RENAME value TO content',
      ],
    ],
  ])("%s", (sql, expected) => {
    expect(steps(sql)).toEqual(expected);
  });

  test("what PostgreSQL keeps out of transaction blocks commits by itself, and the catalog is read again only where it changed", () => {
    expect(plan("VACUUM tokens")).toMatchObject({
      block: "refused",
      changesCatalog: false,
      rule: "VACUUM",
    });
    expect(plan("ANALYZE tokens")).toMatchObject({ block: "joined", changesCatalog: false });
    expect(plan("TRUNCATE tokens")).toMatchObject({ changesCatalog: false });
    expect(plan("TRUNCATE tokens RESTART IDENTITY")).toMatchObject({ changesCatalog: true });
    expect(plan("CREATE INDEX ON tokens (value)")).toMatchObject({
      block: "joined",
      changesCatalog: true,
    });
  });
});

describe("refusals", () => {
  test.each([
    ["CREATE TABLE orders (id bigint)", "shard_key_definition"],
    ["CREATE TABLE orders (user_id int)", "shard_key_definition"],
    ["CREATE TABLE orders (user_id bigint[])", "shard_key_definition"],
    ["CREATE TABLE orders (user_id bigint GENERATED ALWAYS AS (1) STORED)", "shard_key_definition"],
    ["CREATE TABLE orders (user_id bigint, id bigint PRIMARY KEY)", "unique_key_without_shard_key"],
    [
      "CREATE TABLE orders (user_id bigint, id bigint, UNIQUE (id))",
      "unique_key_without_shard_key",
    ],
    [
      "CREATE TABLE orders (user_id bigint, id bigint, EXCLUDE USING gist (user_id WITH &&))",
      "unique_key_without_shard_key",
    ],
    ["CREATE TABLE orders (user_id bigint, t uuid REFERENCES tokens)", "foreign_key_not_supported"],
    [
      "CREATE TABLE orders (user_id bigint, u bigint REFERENCES users)",
      "foreign_key_not_supported",
    ],
    [
      "CREATE TABLE orders (user_id bigint REFERENCES users ON DELETE SET NULL)",
      "foreign_key_not_supported",
    ],
    [
      "CREATE TABLE orders (user_id bigint, s text REFERENCES settings)",
      "foreign_key_not_supported",
    ],
    ["CREATE TABLE orders (user_id bigint REFERENCES nowhere)", "relation_does_not_exist"],
    ["CREATE TABLE countries (u bigint REFERENCES users)", "foreign_key_not_supported"],
    ["CREATE TABLE settings (u bigint REFERENCES users)", "foreign_key_not_supported"],
    ["CREATE TABLE orders (LIKE users)", "ddl_not_supported"],
    ["CREATE TABLE orders (user_id bigint) PARTITION BY HASH (user_id)", "ddl_not_supported"],
    ["CREATE TEMP TABLE t () INHERITS (users)", "temporary_object_not_supported"],
    ["CREATE TEMP TABLE pg_class (a int)", "temporary_object_not_supported"],
    ["CREATE TEMP TABLE t AS SELECT pg_advisory_lock(1)", "stored_expression_not_supported"],
    ["CREATE TABLE t AS SELECT set_config('a.b', 'c', false)", "stored_expression_not_supported"],
    [
      "CREATE TABLE t (v text CHECK (set_config('a.b', v, false) <> ''))",
      "stored_expression_not_supported",
    ],
    [
      "CREATE TABLE t (v text, w text GENERATED ALWAYS AS (set_config('a.b', v, false)) STORED)",
      "stored_expression_not_supported",
    ],
    ["ALTER TABLE settings ADD CHECK (pg_try_advisory_lock(1))", "stored_expression_not_supported"],
    ["CREATE INDEX ON settings (set_config('a.b', 'c', false))", "stored_expression_not_supported"],
    [
      "CREATE INDEX ON orders (id) WHERE pg_try_advisory_lock(id)",
      "stored_expression_not_supported",
    ],
    [
      "CREATE DOMAIN d AS text CHECK (set_config('a.b', VALUE, false) <> '')",
      "stored_expression_not_supported",
    ],
    [
      "CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "temporary_object_not_supported",
    ],
    ["CREATE TYPE pg_temp.kind AS ENUM ('a')", "temporary_object_not_supported"],
    ["CREATE DOMAIN pg_temp.d AS int", "temporary_object_not_supported"],
    ["CREATE TABLE shard_3.orders (user_id bigint)", "placement_table_named"],
    ["ALTER TABLE orders DROP COLUMN user_id", "shard_key_definition"],
    ["ALTER TABLE orders ALTER user_id TYPE text", "shard_key_definition"],
    ["ALTER TABLE orders RENAME user_id TO u", "shard_key_definition"],
    ["ALTER TABLE orders RENAME TO o", "ddl_not_supported"],
    ["ALTER TABLE settings RENAME TO orders", "ddl_not_supported"],
    ["ALTER TABLE orders ADD COLUMN s bigserial", "ddl_not_supported"],
    [
      "ALTER TABLE orders ADD COLUMN s bigint DEFAULT nextval('ticket_numbers')",
      "ddl_not_supported",
    ],
    ["ALTER TABLE countries ADD COLUMN t timestamptz DEFAULT now()", "reference_value_differs"],
    ["ALTER TABLE orders ADD UNIQUE (id)", "unique_key_without_shard_key"],
    ["ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "ddl_not_supported"],
    ["ALTER TABLE orders SET SCHEMA other", "ddl_not_supported"],
    ["ALTER TABLE nowhere ADD a int", "relation_does_not_exist"],
    ["CREATE UNIQUE INDEX ON orders (id)", "unique_key_without_shard_key"],
    ["CREATE UNIQUE INDEX CONCURRENTLY ON orders (id)", "unique_key_without_shard_key"],
    ["CLUSTER", "ddl_not_supported"],
    ["DROP SCHEMA public", "ddl_not_supported"],
    ["ALTER SCHEMA shard_3 RENAME TO x", "ddl_not_supported"],
    ["CREATE SCHEMA x CREATE TABLE t (a int)", "ddl_not_supported"],
    ["CREATE MATERIALIZED VIEW v AS SELECT * FROM orders", "ddl_not_supported"],
    ["CREATE VIEW users AS SELECT 1", "ddl_not_supported"],
    ["CREATE TABLE t AS SELECT * FROM orders", "ddl_not_supported"],
    ["CREATE TABLE users AS SELECT 1", "ddl_not_supported"],
    ["GRANT SELECT ON orders, countries TO app", "ddl_not_supported"],
    ["GRANT SELECT ON ALL TABLES IN SCHEMA public TO app", "ddl_not_supported"],
    ["CREATE POLICY p ON orders", "ddl_not_supported"],
    ["CREATE RULE r AS ON INSERT TO orders DO NOTHING", "rules_not_supported"],
  ])("%s", (sql, id) => {
    expect(errorOf(sql)).toMatchObject({ id });
  });
});

test("a map that takes no unlisted tables refuses to make one", () => {
  const context = samplePlanContext();
  const strict = { ...context, map: { ...context.map, unlistedTables: "error" } } as const;
  const make = (): unknown => planStatement(onlyStatement("CREATE TABLE drafts (id int)"), strict);
  expect(make).toThrow(expect.objectContaining({ id: "table_not_in_map" }));
});

describe("roles: once on each server, however its URL names it", () => {
  const databasesOf = (...urls: readonly (string | undefined)[]): readonly string[] => {
    const context = samplePlanContext();
    const databases = [...context.map.databases.values()].map((database, index): DatabaseEntry => {
      const primary = urls[index];
      return {
        ...database,
        server:
          primary === undefined ? { kind: "embedded" } : { kind: "url", primary, replicas: [] },
      };
    });
    const map = {
      ...context.map,
      databases: new Map(databases.map((database) => [database.name, database])),
    };
    const planned = planStatement(onlyStatement("CREATE ROLE r"), { ...context, map });
    if (planned.kind !== "ddl") throw new Error(`planned as ${planned.kind}`);
    return planned.steps.map(({ database }) => database);
  };

  test("ports and directories of unix sockets tell servers apart", () => {
    const tcp = databasesOf("postgres://a@h/x", "postgres://a@h:5432/y", "postgres://a@h:5433/z");
    expect(tcp).toEqual(["main", "users1"]);
    const unix = databasesOf(
      "postgres:///x?user=a&host=/one",
      "postgres:///y?user=a&host=/two",
      "postgres:///z?user=a&host=/one&port=5432",
    );
    expect(unix).toEqual(["main", "users0"]);
  });

  test.each([[undefined], ["postgres:///x?user=a"]])("a server that %s does not name", (url) => {
    expect(() => databasesOf("postgres://a@h/x", url, "postgres://a@h/z")).toThrow(
      "roles cannot be managed through the proxy here",
    );
  });
});
