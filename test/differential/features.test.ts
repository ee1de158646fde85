/** The distribution is read from trees: what is counted must be what stands there. */
import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { DistributionTally, answeredShare, shortfalls, together } from "./distribution.ts";
import { leavesEvaluationOpen, traitsOf } from "./features.ts";
import type { Statement } from "./statement.ts";

beforeAll(loadParser);

function statement(sql: string): Statement {
  return {
    kind: "select",
    sql,
    parameters: [],
    order: "any",
    opaqueColumns: [],
    isWrite: false,
    mayFailTwice: false,
  };
}

test.for<[string, string[]]>([
  ["SELECT 1 FROM users u JOIN orders o ON true, order_items", ["3 tables joined", "inner join"]],
  ["SELECT 1 FROM users NATURAL FULL JOIN orders", ["NATURAL join", "FULL JOIN"]],
  ["SELECT 1 FROM users RIGHT JOIN orders USING (id)", ["join USING", "RIGHT JOIN"]],
  [
    "SELECT id IN (SELECT 1 WHERE EXISTS (SELECT 1 FROM (SELECT 1) x)) FROM users",
    ["sub-selects 3 deep", "sub-select EXISTS", "sub-select IN or ANY", "sub-select in FROM"],
  ],
  [
    "SELECT ARRAY(SELECT 1), 1 > ALL (SELECT 2), (SELECT 3)",
    ["sub-select ARRAY", "sub-select ALL", "sub-select scalar"],
  ],
  ["SELECT 1 FROM users, LATERAL (SELECT 1) l", ["sub-select LATERAL"]],
  [
    "SELECT 1 UNION SELECT 2 EXCEPT ALL (SELECT 3 INTERSECT SELECT 4)",
    ["UNION", "EXCEPT ALL", "INTERSECT"],
  ],
  [
    "SELECT DISTINCT ON (id) id FROM users ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
    ["DISTINCT ON", "WITH TIES"],
  ],
  [
    "WITH RECURSIVE r AS (SELECT 1) SELECT DISTINCT * FROM r",
    ["WITH", "WITH RECURSIVE", "DISTINCT"],
  ],
  ["SELECT sum(age) OVER (ORDER BY id ROWS 2 PRECEDING) FROM users", ["window", "window frame"]],
  [
    "SELECT coalesce(sum(age), 0), count(DISTINCT id) FROM users HAVING count(*) > 1",
    ["expression over aggregates", "count(DISTINCT)", "HAVING", "aggregate"],
  ],
  [
    "SELECT 1 FROM users GROUP BY GROUPING SETS (ROLLUP (id), CUBE (age))",
    ["GROUPING SETS", "ROLLUP", "CUBE", "GROUP BY"],
  ],
  [
    "SELECT mode() WITHIN GROUP (ORDER BY id), rank(1) WITHIN GROUP (ORDER BY id) FROM users",
    ["ordered-set aggregate", "hypothetical-set aggregate"],
  ],
  [
    "SELECT string_agg(name, ',' ORDER BY id), stddev(age) FILTER (WHERE true) FROM users",
    ["string_agg ORDER BY", "stddev or variance", "aggregate FILTER"],
  ],
  ["SELECT 1 FROM users WHERE (id, age) > (1, 2) FOR UPDATE", ["row comparison", "row locks"]],
  [
    "INSERT INTO users (id) SELECT 1 ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE SET age = 1",
    ["INSERT SELECT", "ON CONFLICT DO UPDATE", "ON CONFLICT ON CONSTRAINT"],
  ],
  ["MERGE INTO users u USING orders o ON true WHEN MATCHED THEN DELETE", ["MERGE"]],
  ["UPDATE users SET age = 1 FROM orders", ["UPDATE FROM"]],
  ["DELETE FROM users USING orders", ["DELETE USING"]],
  ["SELECT * FROM active_users", ["view"]],
])("%s", ([sql, features]) => {
  const traits = traitsOf(statement(sql));
  for (const feature of features) expect(traits.features).toContain(feature);
});

test("a plain read has none of them", () => {
  const { features } = traitsOf(statement("SELECT id, count FROM users WHERE id = 1"));
  expect([...features].toSorted()).toEqual(["1 tables joined", "sub-selects 0 deep"]);
});

test("homes are the colocations whose tables stand anywhere in the statement", () => {
  const homes = (sql: string): string[] => [...traitsOf(statement(sql)).homes].toSorted();
  expect(homes("SELECT 1 FROM users, countries")).toEqual(["users"]);
  expect(homes("SELECT (SELECT 1 FROM shops) FROM user_orders")).toEqual(["shops", "users"]);
  expect(homes("WITH users AS (SELECT 1) SELECT * FROM users")).toEqual([]);
  expect(homes("INSERT INTO orders SELECT * FROM ledger")).toEqual(["accounts", "users"]);
  expect(traitsOf(statement("SELECT * FROM elsewhere")).isQuery).toBe(false);
  expect(traitsOf(statement("BEGIN")).isQuery).toBe(false);
});

test("shares are of one home's statements, and what is missing is named", () => {
  const [one, other] = [new DistributionTally(), new DistributionTally()];
  one.add([traitsOf(statement("SELECT * FROM users"))], undefined);
  one.add([traitsOf(statement("SELECT * FROM users, shops"))], "join_across_colocations");
  const countries = traitsOf(statement("SELECT * FROM countries"));
  other.add([countries, countries], "some_reason");
  const all = together([one, other]);
  expect(answeredShare(all)).toBe(0.5);
  expect(all.oneHomeRefusals).toEqual(new Map([["some_reason", 1]]));
  expect(shortfalls(all).join("\n")).toMatch(/^MERGE: 0\.00 %/m);
});

test.for<[boolean, string]>([
  [false, "SELECT 100 / score FROM users"],
  [false, "UPDATE users SET age = age + 1 WHERE 100 / score > 3"],
  [true, "SELECT 1 FROM users WHERE age > 1 AND 100 / score > 3"],
  [true, "SELECT sum(age + 1) FROM users GROUP BY country ORDER BY country LIMIT 3"],
  [true, "UPDATE users SET age = 1 WHERE EXISTS (SELECT 1 FROM orders WHERE 100 / score > 3)"],
  [true, "SELECT 1 FROM users u JOIN users v ON 100 / u.score > v.score"],
])("on which rows expressions are tried is open: %s for %s", ([isOpen, sql]) => {
  expect(leavesEvaluationOpen(statement(sql))).toBe(isOpen);
});
