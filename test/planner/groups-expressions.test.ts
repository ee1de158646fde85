/** Expressions over groups, with columns in place of what was grouped and aggregated. */
import type { Node } from "@pgsql/types";
import { beforeAll, expect, test } from "vitest";
import { sameTree } from "../../planner/ast.ts";
import { overGroups } from "../../planner/database-gather/groups-expressions.ts";
import { columnNode, selectNode, targetNode } from "../../planner/make-nodes.ts";
import { loadParser } from "../../planner/parse.ts";
import { synthesize } from "../../planner/synthesize.ts";
import { onlyStatement } from "./sample-plan-context.ts";

beforeAll(loadParser);

function expressionOf(sql: string): Node {
  const { node } = onlyStatement(`SELECT ${sql}`);
  const [target] = "SelectStmt" in node ? (node.SelectStmt.targetList ?? []) : [];
  if (target === undefined || !("ResTarget" in target) || target.ResTarget.val === undefined)
    throw new Error(`no expression: ${sql}`);
  return target.ResTarget.val;
}

/** The groups are `country`, `lower(name)` and `b COLLATE "C"`; the aggregates all calls of count without a window. */
function over(sql: string): string {
  const groups = ["country", "lower(name)", 'b COLLATE "C"'].map(expressionOf);
  const result = overGroups(expressionOf(sql), {
    ofGroup: (expression) => {
      const found = groups.findIndex((group) => sameTree(group, expression));
      return found < 0 ? undefined : columnNode(`g${found + 1}`);
    },
    ofAggregate: ({ funcname, over: window }) => {
      const [name] = funcname ?? [];
      const isAggregate = name !== undefined && "String" in name && name.String.sval === "count";
      return isAggregate && window === undefined ? columnNode("a1") : undefined;
    },
  });
  return synthesize(selectNode({ targetList: [targetNode(result)] })).text.slice("SELECT ".length);
}

test.each([
  ["country", "g1"],
  ["lower(name)", "g2"],
  ["upper(lower(name)) || country", "upper(g2) || g1"],
  ["count(*)", "a1"],
  ["count(DISTINCT age + 1) FILTER (WHERE age > 3) * 2", "a1 * 2"],
  ["CASE WHEN count(*) > $1 THEN country ELSE 'x' END", "CASE WHEN a1 > $1 THEN g1 ELSE 'x' END"],
  ["ARRAY[country, NULL, lower(name)]::text[]", "ARRAY[g1, NULL, g2]::text[]"],
  [
    "sum(count(*)) FILTER (WHERE country > 'a') OVER (PARTITION BY lower(name) ORDER BY country DESC ROWS 1 PRECEDING)",
    "sum(a1) FILTER (WHERE g1 > 'a') OVER (PARTITION BY g2 ORDER BY g1 DESC ROWS 1 PRECEDING)",
  ],
  ["count(*) OVER w", "count(*) OVER w"],
  ['b COLLATE "C"', "g3"],
  ['country COLLATE "C" || lower(name)', 'g1 COLLATE "C" || g2'],
  ["1 + 2", "1 + 2"],
  ["now() - interval '1 day'", "now() - '1 day'::interval"],
])("%s is %s", (sql, expected) => {
  const [a, b] = [expressionOf(over(sql)), expressionOf(expected)];
  expect(sameTree(a, b), over(sql)).toBe(true);
});

test.each([
  ["name", 7],
  ["country || name", 18],
  ["lower(country || name)", 24],
  ["users.country", 7],
  ["count(*) + (SELECT 1)", 18],
  ["country IN (SELECT 'x')", 7],
  ["grouping(country)", 7],
  ['(b COLLATE "C") || country', 8],
])("%s is refused, at the place that stands in the way", (sql, location) => {
  const details = expect.objectContaining({ location });
  const draft = expect.objectContaining({ id: "aggregate_expression_scattered", details });
  expect(() => over(sql)).toThrow(expect.objectContaining({ draft }));
});
