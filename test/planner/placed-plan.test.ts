/** What is kept for a placement is what binding anew would give, whatever value led there. */
import { expect, test } from "vitest";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser, parseSql } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { PlacedPlan } from "../../planner/placed-plan.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";

await loadParser();

const [BIGINT, INTEGER, TEXT] = [20, 23, 25];

const parsed = parseShardMap(
  `
version: 1
catalog: a
databases: { a: { primary: postgres://127.0.0.1/a }, b: { primary: postgres://127.0.0.1/b } }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id, orders: user_id }
    placements: [{ shards: 0-3, database: a }, { shards: 4-5, database: b }, { shards: 6-7, database: b, schema: far }]
  pairs: { shard_key: [integer, text], function: hash, logical_shards: 4, tables: { pairs: [x, y] }, placements: [{ shards: 0-1, database: a }, { shards: 2-3, database: b }] }
  bands: { shard_key: integer, function: range, tables: { bands: n }, placements: [{ ranges: [{ to: 10 }], database: a }, { ranges: [{ from: 10, to: 100 }], database: b }] }
`,
  "map",
);
if (!("map" in parsed)) throw new Error(`the map is valid: ${JSON.stringify(parsed)}`);
const { map } = parsed;

const catalog = catalogFromSql(
  `CREATE TABLE users (id bigint PRIMARY KEY, name text, age integer);
  CREATE TABLE orders (user_id bigint, id bigint, total numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE pairs (x integer, y text, n integer, PRIMARY KEY (x, y));
  CREATE TABLE bands (n integer PRIMARY KEY, name text);`,
  { schema: "public" },
);

/** The same, or the same error. */
function outcome(bind: () => unknown): unknown {
  try {
    return bind();
  } catch (error) {
    return String(error);
  }
}

const VALUES = ["1", "2", "3", "17", "99", "100", "-5", " 7", "x", "9223372036854775808", null];

test.each([
  ["SELECT name FROM users WHERE id = $1", [BIGINT]],
  ["SELECT name FROM users WHERE id = $1 ORDER BY age LIMIT 3 OFFSET 1", [BIGINT]],
  ["UPDATE users SET age = $2 WHERE id = $1", [BIGINT, INTEGER]],
  ["DELETE FROM orders WHERE user_id = $1 RETURNING total", [BIGINT]],
  ["SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1", [BIGINT]],
  ["SELECT * FROM users WHERE id IN ($1, $2)", [BIGINT, BIGINT]],
  ["SELECT * FROM users WHERE id = $1 LIMIT $2", [BIGINT, BIGINT]],
  ["SELECT * FROM users WHERE age = $1", [INTEGER]],
  ["SELECT * FROM users WHERE id = 5 AND age = $1", [INTEGER]],
  ["SELECT n FROM pairs WHERE x = $1 AND y = $2", [INTEGER, TEXT]],
  ["SELECT * FROM bands WHERE n = $1", [INTEGER]],
  ["INSERT INTO users (id, name) VALUES ($1, $2)", [BIGINT, TEXT]],
  ["INSERT INTO users (id, name) VALUES ($1, 'a'), ($2, 'b')", [BIGINT, BIGINT]],
  ["INSERT INTO pairs (x, y) VALUES ($1, $2) RETURNING x", [INTEGER, TEXT]],
  ["SELECT count(*) FROM users", []],
  ["SELECT $1::integer", [INTEGER]],
] as const)("%s", (sql, parameterTypes) => {
  const parsedSql = parseSql(sql);
  const statement = parsedSql.kind === "statements" ? parsedSql.statements[0] : undefined;
  if (statement === undefined) throw new Error(`not one statement: ${sql}`);
  const context = { map, catalog, searchPath: ["public"], parameterTypes, user: "app" };
  const plan = planStatement(statement, context);
  if (plan.kind !== "query" && plan.kind !== "insert") throw new Error(`planned: ${plan.kind}`);
  const placed = new PlacedPlan(plan, map);
  for (const first of VALUES)
    for (const second of VALUES) {
      const parameters = parameterTypes.map((typeOid, index): BoundParameter => {
        const value = index === 0 ? first : second;
        return { typeOid, format: "text", value: value === null ? null : Buffer.from(value) };
      });
      const expected = outcome(() => bindPlan(plan, parameters, map, []));
      expect(outcome(() => placed.bind(parameters))).toEqual(expected);
    }
});
