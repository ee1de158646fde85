/** What planning a statement costs that no cache knows: parse, analyze, route, bind. In this process, without a socket. */
import { invariant } from "../../base/invariant.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser, parseSql } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { ORM_SCHEMA, ORM_USERS, ormStatement } from "./orm-statements.ts";
import { summarize } from "./statistics.ts";

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
    logical_shards: 16
    tables: { users: id, orders: user_id, items: user_id }
    placements:
      - { shards: 0-7, database: a }
      - { shards: 8-15, database: b }
`;

const BIGINT_OID = 20;

/** How many statements: before the first that counts, and in each turn. */
export interface OrmMissSize {
  readonly warmUp: number;
  readonly turns: number;
  readonly statements: number;
}

/** Each turn's median; microseconds. */
export async function measureOrmMisses(size: OrmMissSize): Promise<readonly number[]> {
  const { warmUp, turns, statements } = size;
  await loadParser();
  const parsed = parseShardMap(MAP, "bench map");
  invariant("map" in parsed, "the benchmark's map is valid");
  const context: PlanContext = {
    map: parsed.map,
    catalog: catalogFromSql(ORM_SCHEMA, { schema: "public" }),
    searchPath: ["public"],
    parameterTypes: [BIGINT_OID],
    user: "app",
  };
  let nonce = 0;
  for (; nonce < warmUp; nonce += 1) planOne(nonce, context);
  return Array.from({ length: turns }, () => {
    const times = Array.from({ length: statements }, () => {
      nonce += 1;
      const start = performance.now();
      planOne(nonce, context);
      return (performance.now() - start) * 1_000;
    });
    return summarize(times)?.median ?? Number.NaN;
  });
}

function planOne(nonce: number, context: PlanContext): void {
  const outcome = parseSql(ormStatement(nonce));
  invariant(outcome.kind === "statements", "the benchmark's statements are valid");
  const [statement] = outcome.statements;
  invariant(statement !== undefined, "the benchmark's texts hold one statement");
  const plan = planStatement(statement, context);
  invariant(plan.kind === "query" || plan.kind === "insert", "the mix is queries and inserts");
  const value = Buffer.from(String(nonce % ORM_USERS));
  const parameter = { typeOid: BIGINT_OID, format: "text", value } as const;
  bindPlan(plan, [parameter], context.map, []);
}
