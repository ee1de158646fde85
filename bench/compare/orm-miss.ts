/** What planning a statement costs that no cache knows: parse, analyze, route, bind. In this process, without a socket. */
import { Planning } from "../planning.ts";
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

/** How many statements: before the first that counts, and in each turn. */
export interface OrmMissSize {
  readonly warmUp: number;
  readonly turns: number;
  readonly statements: number;
}

/** Each turn's median; microseconds. */
export async function measureOrmMisses(size: OrmMissSize): Promise<readonly number[]> {
  const { warmUp, turns, statements } = size;
  const planning = await Planning.of(MAP, ORM_SCHEMA);
  let nonce = 0;
  for (; nonce < warmUp; nonce += 1) planOne(nonce, planning);
  return Array.from({ length: turns }, () => {
    const times = Array.from({ length: statements }, () => {
      nonce += 1;
      const start = performance.now();
      planOne(nonce, planning);
      return (performance.now() - start) * 1_000;
    });
    return summarize(times)?.median ?? Number.NaN;
  });
}

function planOne(nonce: number, planning: Planning): void {
  planning.bind(planning.plan(ormStatement(nonce)), Buffer.from(String(nonce % ORM_USERS)));
}
