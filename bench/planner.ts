/**
 * What planning costs in JavaScript: a statement met for the first time (parse, analyze,
 * route, bind), and one whose plan is cached (look-up and bind).
 */
import { invariant } from "../base/invariant.ts";
import { catalogFromSql } from "../planner/catalog-from-sql.ts";
import { loadParser, parseSql } from "../planner/parse.ts";
import { bindPlan } from "../planner/physical-plan.ts";
import type { BoundParameter } from "../planner/physical-plan.ts";
import { PlanCache } from "../planner/plan-cache.ts";
import type { PlanContext } from "../planner/plan-context.ts";
import { planStatement } from "../planner/plan.ts";
import type { LogicalPlan } from "../planner/logical-plan.ts";
import { parseShardMap } from "../shardmap/schema.ts";
import { median } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const SCHEMA = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text, country text);
  CREATE TABLE orders (user_id bigint, id bigint, placed timestamptz, total numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE items (user_id bigint, order_id bigint, line integer, product bigint, PRIMARY KEY (user_id, order_id, line));
  CREATE TABLE payments (user_id bigint, order_id bigint, id bigint, amount numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE shipments (user_id bigint, order_id bigint, id bigint, sent date, PRIMARY KEY (user_id, id));`;

const MAP = `
version: 1
catalog: a
databases:
  a: { primary: postgres://127.0.0.1/a }
  b: { primary: postgres://127.0.0.1/b }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 480
    tables: { users: id, orders: user_id, items: user_id, payments: user_id, shipments: user_id }
    placements:
      - { shards: 0-239, database: a }
      - { shards: 240-479, database: b }
`;

const JOIN = (nonce: number): string => `
  SELECT u.name, o.id, o.total, i.line, p.amount AS amount_${nonce}, s.sent
  FROM users u
  JOIN orders o ON o.user_id = u.id
  JOIN items i ON i.user_id = o.user_id AND i.order_id = o.id
  LEFT JOIN payments p ON p.user_id = o.user_id AND p.order_id = o.id
  LEFT JOIN shipments s ON s.user_id = o.user_id AND s.order_id = o.id
  WHERE u.id = $1 AND o.placed > now() - interval '30 days' AND (o.total > 10 OR p.amount IS NULL)
  ORDER BY o.id, i.line LIMIT 50`;

const POINT = "SELECT name FROM users WHERE id = $1";

const BIGINT_OID = 20;
const MISSES = 500;
const HITS = 200_000;

export async function measurePlanner(): Promise<readonly Measurement[]> {
  await loadParser();
  const parsed = parseShardMap(MAP, "bench map");
  invariant("map" in parsed, "the benchmark's map is valid");
  const { map } = parsed;
  const context: PlanContext = {
    map,
    catalog: catalogFromSql(SCHEMA, { schema: "public" }),
    searchPath: ["public"],
    parameterTypes: [BIGINT_OID],
    user: "app",
  };
  const parameters = Array.from({ length: 1_000 }, (_, id): BoundParameter => ({
    typeOid: BIGINT_OID,
    format: "text",
    value: Buffer.from(String(id)),
  }));
  const cache = new PlanCache();

  const missMs: number[] = [];
  for (let nonce = 0; nonce < MISSES; nonce++) {
    const text = JOIN(nonce);
    const start = performance.now();
    const plan = planned(text, context);
    cache.set(text, context, plan);
    bound(plan, parameters[nonce % 1_000] as BoundParameter, context);
    missMs.push(performance.now() - start);
  }

  const hitUs = (text: string): number => {
    cache.set(text, context, planned(text, context));
    const rounds: number[] = [];
    for (let round = 0; round < 10; round++) {
      const start = performance.now();
      for (let index = 0; index < HITS / 10; index++) {
        const plan = cache.get(text, context);
        invariant(plan !== undefined, "a plan that was just kept is found");
        bound(plan, parameters[index % 1_000] as BoundParameter, context);
      }
      rounds.push(((performance.now() - start) * 1_000) / (HITS / 10));
    }
    return median(rounds);
  };
  return [
    {
      name: "plan-cache miss, 5-table join: parse, plan, bind (median)",
      value: median(missMs),
      unit: "ms",
      bound: 1,
    },
    {
      name: "plan-cache hit, 5-table join: look up, bind (median)",
      value: hitUs(JOIN(0)),
      unit: "us",
      bound: 10,
    },
    {
      name: "plan-cache hit, point select: look up, bind (median)",
      value: hitUs(POINT),
      unit: "us",
      bound: 10,
    },
  ];
}

function planned(text: string, context: PlanContext): LogicalPlan {
  const outcome = parseSql(text);
  invariant(outcome.kind === "statements", "the benchmark's statements are valid");
  const [statement] = outcome.statements;
  invariant(statement !== undefined, "the benchmark's texts hold one statement");
  return planStatement(statement, context);
}

function bound(plan: LogicalPlan, parameter: BoundParameter, { map }: PlanContext): void {
  invariant(plan.kind === "query", "the benchmark's statements are queries");
  const physical = bindPlan(plan, [parameter], map, []);
  invariant(physical.fragments.length === 1, "a pinned statement has one fragment");
}
