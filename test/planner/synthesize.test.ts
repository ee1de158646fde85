/** Trees written as SQL: as they were meant, or not at all. */
import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { PlanRefused } from "../../planner/refusal.ts";
import { synthesize } from "../../planner/synthesize.ts";
import { onlyStatement } from "./sample-plan-context.ts";

beforeAll(loadParser);

test.each([
  "SELECT (a IS DISTINCT FROM b) IS TRUE FROM t",
  "SELECT (NOT a) IS NULL, - (a = b), c LIKE (a < b) FROM t",
  "SELECT a FROM t WHERE (a AND b) IS NOT FALSE AND c BETWEEN (a OR b) AND d",
  "SELECT count(*) FILTER (WHERE a IS JSON) FROM t GROUP BY (a IS NULL) = (b IS NULL)",
  "SELECT a FROM t ORDER BY a FETCH FIRST (1 + $1) ROWS WITH TIES",
  "SELECT a FROM t ORDER BY a OFFSET 3 FETCH FIRST ROW WITH TIES",
  "SELECT a FROM t ORDER BY (a IS DISTINCT FROM b) IS TRUE OFFSET (a = b) FETCH FIRST (NOT a) ROWS WITH TIES",
  "SELECT DISTINCT ON (1) a FROM t ORDER BY 1 USING >, 2 DESC NULLS LAST LIMIT NULL OFFSET $1",
])("%s", (sql) => {
  const { node } = onlyStatement(sql);
  expect(synthesize(node).text).toMatch(/^SELECT /);
});

test.each(["SELECT a AT LOCAL FROM t", "SELECT (ARRAY[1])[1] IS DOCUMENT, (true)[1] FROM t"])(
  "%s is not written as something else",
  (sql) => {
    const { node } = onlyStatement(sql);
    const draft = expect.objectContaining({ id: "synthesized_statement_differs" });
    expect(() => synthesize(node)).toThrow(expect.objectContaining({ draft }));
    expect(() => synthesize(node)).toThrow(PlanRefused);
  },
);
