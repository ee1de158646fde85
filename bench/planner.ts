/**
 * What planning costs in JavaScript: a statement met for the first time (parse, analyze,
 * route, bind), and one whose plan is cached (look-up and bind).
 */
import { invariant } from "../base/invariant.ts";
import { PlanCache } from "../planner/plan-cache.ts";
import { median } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";
import { Planning } from "./planning.ts";

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

const MISSES = 500;
const HITS = 200_000;

export async function measurePlanner(): Promise<readonly Measurement[]> {
  const planning = await Planning.of(MAP, SCHEMA);
  const { context } = planning;
  const keys = Array.from({ length: 1_000 }, (_, id) => Buffer.from(String(id)));
  const keyOf = (index: number): Buffer => keys[index % keys.length] as Buffer;
  const cache = new PlanCache();

  const missMs: number[] = [];
  for (let nonce = 0; nonce < MISSES; nonce++) {
    const text = JOIN(nonce);
    const start = performance.now();
    const plan = planning.plan(text);
    cache.set(text, context, plan);
    planning.bind(plan, keyOf(nonce));
    missMs.push(performance.now() - start);
  }

  const hitUs = (text: string): number => {
    cache.set(text, context, planning.plan(text));
    const rounds: number[] = [];
    for (let round = 0; round < 10; round++) {
      const start = performance.now();
      for (let index = 0; index < HITS / 10; index++) {
        const plan = cache.get(text, context);
        invariant(plan?.kind === "query", "a plan that was just kept is found");
        planning.bind(plan, keyOf(index));
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
