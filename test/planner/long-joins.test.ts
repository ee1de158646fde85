/** Joins as programs write them: what is asked of each pair of tables must not be asked of each path. */
import { beforeAll, expect, test } from "vitest";
import type { QueryPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { planStatement } from "../../planner/plan.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

const TABLES = 120;
/** Asked of each pair, a statement takes a fraction of a second; asked of each path, hours. */
const TIME_MAX_MS = 20_000;

beforeAll(loadParser);

function planned(join: (index: number) => string, list = "1"): string {
  const joins = Array.from({ length: TABLES }, (_, index) => join(index + 1));
  const sql = `SELECT ${list} FROM users t0 ${joins.join(" ")}`;
  return (planStatement(onlyStatement(sql), samplePlanContext()) as QueryPlan).rule;
}

test.for([
  ["inner joins on the key", "JOIN", "1", "scatter"],
  ["left joins on the key", "LEFT JOIN", "1", "scatter"],
  ["right joins on the key", "RIGHT JOIN", "1", "scatter"],
  ["copies of joined tables", "LEFT JOIN", "count(DISTINCT t1.name)", "gatherTables"],
])("%s", { timeout: TIME_MAX_MS }, ([, join, list, rule]) => {
  expect(
    planned((index) => `${join} users t${index} ON t${index}.id = t${index - 1}.id`, list),
  ).toBe(rule);
});

test("joins of nothing on the key are refused as soon", { timeout: TIME_MAX_MS }, () => {
  expect(() =>
    planned((index) => `JOIN users t${index} ON t${index}.name = t${index - 1}.name`),
  ).toThrow(expect.objectContaining({ id: "join_not_colocated" }));
});
