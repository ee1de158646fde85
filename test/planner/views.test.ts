/** Views in the planner: what the data files cannot say, for it takes another catalog. */
import { describe, expect, test } from "vitest";
import { VIEWS_EXPANDED_MAX } from "../../base/limits.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { originalPosition } from "../../planner/sql-template.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

await loadParser();

const TABLES = `
CREATE TABLE users (id bigint PRIMARY KEY, name text);
CREATE TABLE settings (name text, value text);
CREATE SCHEMA shard_3;
CREATE TABLE shard_3.users (id bigint PRIMARY KEY, name text);
CREATE FUNCTION seen(bigint) RETURNS boolean LANGUAGE plpgsql AS 'begin return true; end';
`;

function contextOf(
  views: string,
  change?: (view: CatalogRelation) => CatalogRelation,
): PlanContext {
  const catalog = catalogFromSql(TABLES + views, { schema: "public" });
  const relations = new Map(catalog.relations);
  const changed = [...(relations.get("public") ?? [])].map(
    ([name, relation]) =>
      [
        name,
        change !== undefined && relation.kind === "view" ? change(relation) : relation,
      ] as const,
  );
  relations.set("public", new Map(changed));
  return samplePlanContext({ catalog: { ...catalog, relations } });
}

const plan = (sql: string, context: PlanContext) => planStatement(onlyStatement(sql), context);

const VIEW = "CREATE VIEW v AS SELECT id, name FROM users;";

describe("refused", () => {
  test.each([
    [
      "a view that the role may not read",
      contextOf(VIEW, (view) => ({
        ...view,
        view: { query: "SELECT id FROM public.users", isReadable: false },
      })),
      "view_permission_denied",
      "42501",
    ],
    [
      "a query that is not known",
      contextOf(VIEW, (view) => ({ ...view, view: undefined })),
      "view_not_supported",
      "0A000",
    ],
    [
      "a query that does not parse",
      contextOf(VIEW, (view) => ({ ...view, view: { query: "SELEC", isReadable: true } })),
      "view_not_supported",
      "0A000",
    ],
    [
      "a view that reads a placement's own table",
      contextOf("CREATE VIEW v AS SELECT id, name FROM shard_3.users;"),
      "placement_table_named",
      "0A000",
    ],
    [
      "a view that calls what may read tables, over no mapped table",
      contextOf("CREATE VIEW v AS SELECT name FROM settings WHERE seen(1);"),
      "function_reads_tables",
      "0A000",
    ],
  ])("%s", (_, context, id, sqlstate) => {
    const sql = "SELECT * FROM settings s, v";
    // The place is the view's name in the client's text, wherever in the view the reason is.
    const error = expect.objectContaining({ id, sqlstate, position: sql.length });
    expect(() => plan(sql, context)).toThrow(error);
  });

  test("a view that reads itself, which no server would make", () => {
    const context = contextOf(VIEW, (view) => ({
      ...view,
      view: { query: "SELECT id FROM public.v", isReadable: true },
    }));
    expect(() => plan("SELECT * FROM v", context)).toThrow(
      expect.objectContaining({ id: "statement_too_deep" }),
    );
  });

  test("views that double with each level", () => {
    const levels = Array.from(
      { length: 40 },
      (_, level) =>
        `CREATE VIEW v${level + 1} AS SELECT a.id FROM v${level} a JOIN v${level} b ON a.id = b.id;`,
    );
    const context = contextOf(`CREATE VIEW v0 AS SELECT id FROM users; ${levels.join("\n")}`);
    expect(2 ** 40).toBeGreaterThan(VIEWS_EXPANDED_MAX);
    expect(() => plan("SELECT * FROM v40", context)).toThrow(
      expect.objectContaining({ id: "statement_too_deep" }),
    );
    expect(plan("SELECT * FROM v3", context)).toMatchObject({ rule: "scatter" });
  });
});

test("a place in the text that runs is one of the client's, or none inside of a view", () => {
  const sql = "SELECT 'ü', v.name, x.id FROM v JOIN users x ON x.id = v.id WHERE v.id = 1";
  const explained = plan(`EXPLAIN ${sql}`, contextOf(VIEW));
  for (const [text, whole] of [
    [sql, plan(sql, contextOf(VIEW))],
    [`EXPLAIN ${sql}`, explained.kind === "explain" ? explained.plan : explained],
  ] as const) {
    if (whole.kind !== "query") throw new Error(whole.kind);
    const [fragment] = bindPlan(whole, [], contextOf(VIEW).map, []).fragments;
    if (fragment === undefined) throw new Error("no fragment");
    const { rendered } = fragment;
    expect(rendered.original).toBe(text);
    const place = (word: string) => originalPosition(rendered, rendered.sql.indexOf(word) + 1);
    expect(place("v.name")).toBe(text.indexOf("v.name") + 1);
    expect(place("v.id = 1")).toBe(text.indexOf("v.id = 1") + 1);
    expect(place("x ON")).toBe(text.indexOf("x ON") + 1);
    expect(place("SELECT id, name")).toBeUndefined();
  }
});
