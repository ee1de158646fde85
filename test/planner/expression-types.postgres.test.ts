/** The types that the planner tells of expressions, compared with a server's. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { analyze } from "../../planner/analyze/analyze.ts";
import { typeOfExpression } from "../../planner/analyze/expression-types.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser } from "../../planner/parse.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

const SCHEMA = `
  CREATE DOMAIN pin AS varchar(4);
  CREATE TABLE t (s smallint, i int, b bigint, n numeric(10,2), r real, d double precision, x text, v varchar(9), c char(3),
    day date, at timestamp, tz timestamptz, span interval, j jsonb, xs text[], ok boolean, range int4range, pin pin);
  CREATE FUNCTION md5(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'`;

let server: TestPostgres;

beforeAll(async () => {
  await loadParser();
  server = await startPostgres();
  await server.query("postgres", SCHEMA);
});

afterAll(() => server.stop());

/** 0 where the planner does not tell. */
function told(sql: string): number {
  const context = samplePlanContext({ catalog: catalogFromSql(SCHEMA, { schema: "public" }) });
  const { root } = analyze(onlyStatement(sql).node, context);
  const expression = root.outputs[0]?.expression;
  return expression === undefined ? 0 : typeOfExpression(expression, root, context.catalog);
}

test.each([
  "i",
  "t.v",
  "pin",
  "xs",
  "x::varchar",
  "x::int[]",
  "CAST(i AS numeric(5, 1))",
  'x COLLATE "C"',
  "1",
  "3000000000",
  "123456789012345678901234567890",
  "1.5",
  "true",
  "ok AND i > 3",
  "i IS NULL",
  "ok IS NOT TRUE",
  "i + 1",
  "s * i",
  "s % s",
  "i / b",
  "b - n",
  "i = b",
  "coalesce(i, NULL, 3)",
  "coalesce(x, 'a')",
  "greatest(b, '3')",
  "CASE WHEN ok THEN x ELSE 'y' END",
  "CASE WHEN ok THEN i END",
  "count(*)",
  "extract(year FROM day)",
  "lower(x)",
  "upper(v)",
  "initcap(x)",
  "concat(i, x)",
  "to_char(at, 'YYYY')",
  "date_trunc('day', at)",
  "date_trunc('day', tz)",
  "date_trunc('day', day)",
  "date_trunc('day', span)",
  "min(i)",
  "max(x)",
  "max(v)",
  "max(pin)",
  "min(c)",
  "max(xs)",
  "sum(s)",
  "sum(i)",
  "sum(b)",
  "sum(n)",
  "sum(r)",
  "sum(d)",
  "sum(span)",
  "avg(s)",
  "avg(b)",
  "avg(n)",
  "avg(r)",
  "avg(d)",
  "avg(span)",
  "sum(i) OVER ()",
])("%s", async (expression) => {
  const sql = `SELECT ${expression} FROM t`;
  const { fields } = await server.query("postgres", sql);
  expect(told(sql)).toBe(fields[0]?.dataTypeID);
});

test.each([
  // Of a range it is a bound; of an unknown type, any of these.
  "lower(range)",
  "lower(j ->> 'a')",
  "x || v",
  "i + r",
  "day - day",
  "- i",
  "j -> 'a'",
  "(SELECT 1)",
  "ARRAY[i]",
  "NULL",
  "'a'",
  "coalesce(i, b)",
  // A function of the user's own stands beside PostgreSQL's.
  "md5(x)",
  "nothing",
])("%s is not told", (expression) => {
  expect(told(`SELECT ${expression} FROM t`)).toBe(0);
});

test.each([
  "SELECT y FROM (SELECT i + 1 AS y FROM t) AS q",
  "SELECT max(q.z) FROM (SELECT y AS z FROM (SELECT lower(x) AS y FROM t) AS a) AS q",
  "WITH q (y, z) AS (SELECT x, date_trunc('day', tz) FROM t) SELECT z FROM q",
  "SELECT q.y FROM t LEFT JOIN LATERAL (SELECT t.i + 1 AS y) AS q ON true",
])("%s is told through the sub-select", async (sql) => {
  const { fields } = await server.query("postgres", sql);
  expect(told(sql)).toBe(fields[0]?.dataTypeID);
});
