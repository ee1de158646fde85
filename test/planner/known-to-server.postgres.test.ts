/** What the planner knows by heart of PostgreSQL, compared with a server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { BUILT_IN_AGGREGATES } from "../../planner/functions.ts";
import { outputName } from "../../planner/analyze/output-names.ts";
import { loadParser } from "../../planner/parse.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { onlyStatement } from "./sample-plan-context.ts";

let server: TestPostgres;

beforeAll(async () => {
  await loadParser();
  server = await startPostgres();
});

afterAll(() => server.stop());

test("every aggregate of the server is known, and nothing else", async () => {
  const { rows } = await server.query(
    "postgres",
    "SELECT DISTINCT proname FROM pg_proc WHERE prokind = 'a' AND pronamespace = 'pg_catalog'::regnamespace",
  );
  const served = rows.map(({ proname }) => String(proname)).toSorted();
  expect([...BUILT_IN_AGGREGATES].toSorted()).toEqual(served);
});

const EXPRESSIONS = [
  "1",
  "'a'::text",
  "1::int8",
  "r.a",
  "a",
  "r.a::text",
  "upper(b)",
  "pg_catalog.upper(b)::varchar",
  "a + 1",
  "(a + 1)::numeric(10, 2)",
  "nullif(a, 1)",
  "coalesce(a, 1)",
  "greatest(a, 1)",
  "least(a, 1)",
  "CASE WHEN a = 1 THEN 2 END",
  "CASE WHEN a = 1 THEN 2 ELSE a END",
  "CASE WHEN a = 1 THEN 2 ELSE 3 END",
  "CASE WHEN a = 1 THEN 2 ELSE 3::int8 END",
  "ARRAY[a]",
  "ROW(a, b)",
  "(SELECT a)",
  "(SELECT a AS x)",
  "(SELECT max(a) FROM r AS s)",
  "EXISTS (SELECT 1)",
  "ARRAY(SELECT 1)",
  "a IN (SELECT 1)",
  "a IS NULL",
  "NOT true",
  'b COLLATE "C"',
  "CURRENT_DATE",
  "CURRENT_TIMESTAMP(3)",
  "CURRENT_USER",
  "(ARRAY[a])[1]",
  "extract(year FROM now())",
  "a BETWEEN 1 AND 2",
  "b LIKE 'x'",
  "now() AT TIME ZONE 'UTC'",
  "position('a' IN b)",
  "trim(b)",
  "'1 day'::interval day",
];

test.each(EXPRESSIONS)("%s has the server's name, or none is claimed", async (expression) => {
  const sql = `SELECT ${expression} FROM (SELECT 1 AS a, 'x'::text AS b) AS r`;
  const result = await server.query(
    "postgres",
    sql.replace("FROM r AS s", "FROM (SELECT 1 AS a) AS s"),
  );
  const { node } = onlyStatement(sql);
  const target = "SelectStmt" in node ? node.SelectStmt.targetList?.[0] : undefined;
  const value = target !== undefined && "ResTarget" in target ? target.ResTarget.val : undefined;
  const name = value === undefined ? undefined : outputName(value);
  expect([undefined, result.fields[0]?.name]).toContain(name);
});
