/** Refusals that depend on what the catalog or the map says of a table, or on a statement's size. */
import { beforeAll, expect, test } from "vitest";
import { ANALYSIS_LEVELS_MAX } from "../../base/limits.ts";
import { SqlError, type ErrorId } from "../../base/sql-error.ts";
import { loadParser } from "../../planner/parse.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { TEMPORARY_SCHEMA, type CatalogRelation } from "../../shardmap/catalog.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

beforeAll(loadParser);

function refusalOf(sql: string, context: PlanContext): ErrorId | undefined {
  try {
    planStatement(onlyStatement(sql), context);
    return undefined;
  } catch (error) {
    if (error instanceof SqlError) return error.id;
    throw error;
  }
}

/** The sample context with one table changed. */
function changed(table: string, change: Partial<CatalogRelation>): PlanContext {
  const context = samplePlanContext();
  const tables = new Map(context.catalog.relations.get("public"));
  const relation = tables.get(table);
  if (relation === undefined) throw new Error(`no table ${table}`);
  tables.set(table, { ...relation, ...change });
  const relations = new Map([...context.catalog.relations, ["public", tables]] as const);
  return { ...context, catalog: { ...context.catalog, relations } };
}

test("a lock of rows beside a temporary table: the shard map could not move it", () => {
  const { catalog, ...context } = samplePlanContext();
  const settings = catalog.relations.get("public")?.get("settings");
  if (settings === undefined) throw new Error("no table settings");
  const own = new Map([["settings", { ...settings, schema: TEMPORARY_SCHEMA }]]);
  const relations = new Map([...catalog.relations, [TEMPORARY_SCHEMA, own]]);
  const statement = onlyStatement(
    "SELECT 1 FROM settings s JOIN users u ON u.name = s.name FOR UPDATE",
  );
  expect(() =>
    planStatement(statement, { ...context, catalog: { ...catalog, relations } }),
  ).toThrow(
    expect.objectContaining({
      id: "tables_in_different_databases",
      message: 'temporary table "settings" cannot be used together with table "users"',
      position: 15,
      hint: expect.stringMatching(/^Read what is needed of the temporary table first/),
    }),
  );
});

test("more columns than a temporary table has: copies of the tables, or an error", () => {
  const columns = Array.from({ length: 1_600 }, (_, at) => `id AS c${at}`).join(", ");
  const context = samplePlanContext();
  const sql = `SELECT ${columns} FROM users ORDER BY name`;
  expect(planStatement(onlyStatement(sql), context)).toMatchObject({ rule: "gatherTables" });
  expect(refusalOf(`${sql} FOR UPDATE`, context)).toBe("gather_columns_exceeded");
});

test("a mapped table with rules is refused", () => {
  expect(
    refusalOf("SELECT * FROM orders WHERE user_id = 1", changed("orders", { hasRules: true })),
  ).toBe("rules_not_supported");
});

test("a sharded table with row-level security is refused, a reference table is not", () => {
  expect(
    refusalOf(
      "SELECT * FROM orders WHERE user_id = 1",
      changed("orders", { hasRowSecurity: true }),
    ),
  ).toBe("row_security_not_supported");
  expect(
    refusalOf("SELECT * FROM countries", changed("countries", { hasRowSecurity: true })),
  ).toBeUndefined();
});

test("an unlisted partition is refused, for its parent may be mapped", () => {
  expect(refusalOf("SELECT * FROM settings", changed("settings", { isInherited: true }))).toBe(
    "partition_named",
  );
});

test("unlisted tables are refused where the map says so", () => {
  const context = samplePlanContext();
  const strict = { ...context, map: { ...context.map, unlistedTables: "error" as const } };
  expect(refusalOf("SELECT * FROM settings", context)).toBeUndefined();
  expect(refusalOf("SELECT * FROM settings", strict)).toBe("table_not_in_map");
  expect(refusalOf("SELECT * FROM pg_class", strict)).toBeUndefined();
});

test("a statement of more sub-selects than are analyzed is refused", () => {
  const many = Array.from({ length: ANALYSIS_LEVELS_MAX }, () => "(SELECT 1)").join(", ");
  expect(refusalOf(`SELECT ${many} FROM users`, samplePlanContext())).toBe("statement_too_deep");
});

test("a chain of WITH queries that doubles at each step ends", () => {
  const chain = Array.from({ length: 40 }, (_, index) =>
    index === 0
      ? "w0 AS (SELECT user_id FROM orders LIMIT 1)"
      : `w${index} AS (SELECT a.user_id FROM w${index - 1} a, w${index - 1} b)`,
  );
  expect(
    refusalOf(`WITH ${chain.join(", ")} SELECT * FROM w39`, samplePlanContext()),
  ).toBeDefined();
});
