/** Readings of the clock as constants: what is one, what is none, and where places are afterwards. */
import { beforeAll, describe, expect, test } from "vitest";
import { UNION_ARMS_MAX } from "../../base/limits.ts";
import { loadParser } from "../../planner/parse.ts";
import { originalPosition, plainSql } from "../../planner/sql-template.ts";
import { atMoment, clockTemplate } from "../../planner/statement-clock.ts";

const MOMENT = { transaction: 1_000_000_123_456n, statement: 1_000_001_000_000n };
const BEGAN = "CAST('1970-01-12 13:46:40.123456+00' AS pg_catalog.timestamptz)";
const NOW = "CAST('1970-01-12 13:46:41.000000+00' AS pg_catalog.timestamptz)";

beforeAll(loadParser);

function at(sql: string): string {
  return atMoment(plainSql(sql), MOMENT).sql;
}

test.each([
  ["SELECT 1 FROM t WHERE at < now()", `SELECT 1 FROM t WHERE at < ${BEGAN}`],
  ["SELECT now(), 1", `SELECT ${BEGAN} AS "now", 1`],
  ["SELECT now() AS a", `SELECT ${BEGAN} AS a`],
  ["SELECT statement_timestamp()", `SELECT ${NOW} AS "statement_timestamp"`],
  ["SELECT now()::date", `SELECT (SELECT ${BEGAN} AS "now")::date`],
  [
    "SELECT (CASE WHEN a THEN b ELSE NOW() END)",
    `SELECT (CASE WHEN a THEN b ELSE (SELECT ${BEGAN} AS "now") END)`,
  ],
  ["SELECT now() - a FROM t ORDER BY now()", `SELECT ${BEGAN} - a FROM t ORDER BY ${BEGAN}`],
  ["SELECT CURRENT_DATE", `SELECT CAST(${BEGAN} AS pg_catalog.date) AS "current_date"`],
  ["SELECT a, LOCALTIME ( 3 ) b", `SELECT a, CAST(${BEGAN} AS pg_catalog.time(3)) b`],
  [
    "UPDATE t SET a = pg_catalog . now ( /* ) */ ), b = 'now()'",
    `UPDATE t SET a = ${BEGAN}, b = 'now()'`,
  ],
  [
    'UPDATE t SET a = "now"(), b = U&"!006eow" UESCAPE \'!\' ()',
    `UPDATE t SET a = ${BEGAN}, b = ${BEGAN}`,
  ],
  [
    "INSERT INTO t VALUES (1, transaction_timestamp()) RETURNING now()",
    `INSERT INTO t VALUES (1, ${BEGAN}) RETURNING ${BEGAN} AS "now"`,
  ],
  [
    "SELECT * FROM now(), generate_series(now(), b) g",
    `SELECT * FROM now(), generate_series(${BEGAN}, b) g`,
  ],
  [" /* ä𝄞 */ SELECT 'ä𝄞', now() a; ", ` /* ä𝄞 */ SELECT 'ä𝄞', ${BEGAN} a; `],
])("%s", (sql, expected) => {
  expect(at(sql)).toBe(expected);
});

test.each([
  "SELECT 1 AS now, t.now, t.current_date, 'now()' FROM t -- now()",
  "SELECT mine.now(), now(1), other.now.x FROM mine.now",
  "SELECT clock_timestamp(), now_later(), current_user, current_schema",
])("nothing in %s", (sql) => {
  expect(at(sql)).toBe(sql);
});

test("places before, in and after a reading", () => {
  const rendered = atMoment(plainSql("SELECT a, now() x, nope FROM t"), MOMENT);
  const place = (text: string): number | undefined =>
    originalPosition(rendered, rendered.sql.indexOf(text) + 1);
  expect([place("a,"), place("CAST"), place("x,"), place("nope")]).toEqual([8, undefined, 17, 20]);
});

test("as many arms as one text may have", () => {
  const arm = "(SELECT id, now() FROM orders WHERE at > now())";
  const all = Array.from({ length: UNION_ARMS_MAX }, () => arm).join(" UNION ALL ");
  expect(at(all)).not.toContain("now()");
});

describe("a default", () => {
  test.each([
    ["now()", true],
    ["CURRENT_TIMESTAMP", true],
    ["(timezone('utc'::text, now()) + '01:00:00'::interval)", true],
    ["'now'::text", false],
    ["clock_timestamp()", false],
    ["public.f('a'::public.mood)", false],
  ])("%s reads it: %s", (sql, reads) => {
    expect(clockTemplate(sql) !== undefined).toBe(reads);
  });
});
