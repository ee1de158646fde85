/** A proxy over two databases, and a well-behaved client that must never be disturbed. */
import { startPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { setTimeout as sleep } from "node:timers/promises";

const DDL = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text, age integer);
  CREATE TABLE orders (user_id bigint, id integer, total numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE neighbours (id bigint PRIMARY KEY, name text NOT NULL);`;

/** Rows of the neighbour's own table, which no mutated statement names. */
const NEIGHBOUR_ROWS = 50;

export interface FuzzTarget extends AsyncDisposable {
  readonly proxy: TestProxy;
}

export async function startFuzzTarget(): Promise<FuzzTarget> {
  const stack = new AsyncDisposableStack();
  try {
    const server = stack.use(await startPostgres({ databases: ["one", "two"] }));
    await server.query("one", DDL);
    await server.query("two", DDL);
    const map = `
version: 1
catalog: one
databases:
  one: { primary: ${server.url("one")} }
  two: { primary: ${server.url("two")} }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id, orders: user_id, neighbours: id }
    placements:
      - { shards: 0-3, database: one }
      - { shards: 4-7, database: two }
`;
    const proxy = stack.use(await startTestProxy(map));
    const client = await proxy.connect();
    for (let id = 1; id <= NEIGHBOUR_ROWS; id++)
      await client.query(`INSERT INTO neighbours (id, name) VALUES (${id}, 'name ${id}')`);
    await client.close();
    const held = stack.move();
    return { proxy, [Symbol.asyncDispose]: () => held.disposeAsync() };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

export interface Neighbour {
  /** Wrong answers, errors and lost connections, as sentences. */
  readonly faults: readonly string[];
  readonly answers: number;
  readonly slowestMs: number;
}

/** Asks and checks until stopped. Each text is new, so that each must be parsed. */
export async function beNeighbour(proxy: TestProxy, stopped: AbortSignal): Promise<Neighbour> {
  const faults: string[] = [];
  let [answers, slowestMs] = [0, 0];
  const client = await proxy.connect();
  while (!stopped.aborted && faults.length === 0) {
    const id = (answers % NEIGHBOUR_ROWS) + 1;
    const startMs = performance.now();
    try {
      const point = await client.query(
        `SELECT name AS n${answers} FROM neighbours WHERE id = ${id}`,
      );
      const all = await client.query(`SELECT count(*) AS n${answers} FROM neighbours`);
      if (point[0]?.[0] !== `name ${id}` || all[0]?.[0] !== String(NEIGHBOUR_ROWS))
        faults.push(`answer ${answers}: ${JSON.stringify([point, all])}`);
    } catch (error) {
      faults.push(`answer ${answers}: ${String(error)}`);
    }
    answers += 1;
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    await sleep(20);
  }
  client.destroy();
  return { faults, answers, slowestMs };
}
