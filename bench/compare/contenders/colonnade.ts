/** The proxy itself, as `colonnade serve` runs it. */
import type { TestPostgres } from "../../../test/support/postgres.ts";
import { freePort } from "../../../test/support/free-port.ts";
import { startTestProxy } from "../../../test/support/proxy.ts";
import { SHARDS } from "../data.ts";
import { USUAL_CONTENDER } from "./contender.ts";
import type { Contender } from "./contender.ts";
import { CLIENTS_MAX, POOL_SIZE } from "./poolers.ts";

/** Some ten thousand statements pass before the engine has compiled what each of them runs; a proxy serves for weeks. */
const WARM_UP_SECONDS = 3;

export interface ColonnadeOptions {
  readonly name: string;
  readonly map: string;
  readonly isProfiled: boolean;
  /** Over the usual configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export async function startColonnade({
  name,
  map,
  isProfiled,
  config = {},
}: ColonnadeOptions): Promise<Contender> {
  const inspectorPort = isProfiled ? await freePort() : undefined;
  const proxy = await withNodeOptions(
    inspectorPort === undefined ? "" : `--inspect-port=127.0.0.1:${inspectorPort}`,
    () =>
      startTestProxy(map, {
        config: { pool: { size: POOL_SIZE }, listen: { max_clients: CLIENTS_MAX }, ...config },
      }),
  );
  return {
    ...USUAL_CONTENDER,
    name,
    version: `this commit, Node ${process.version}`,
    port: proxy.port,
    pids: [proxy.pid],
    warmUpSeconds: WARM_UP_SECONDS,
    settle: async () => void (await proxy.memory()),
    inspectorPort,
    [Symbol.asyncDispose]: () => proxy.stop(),
  };
}

/** The environment is the one way to a process that another module starts. */
async function withNodeOptions<T>(options: string, work: () => Promise<T>): Promise<T> {
  const before = process.env["NODE_OPTIONS"];
  process.env["NODE_OPTIONS"] = [before, options].filter(Boolean).join(" ");
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
  }
}

/** One database that has all shards of every table. */
export function singleMap(server: TestPostgres): string {
  const colocation = (name: string, tables: string): string =>
    `  ${name}: { shard_key: bigint, function: hash, logical_shards: 16, tables: { ${tables} }, placements: [{ shards: 0-15, database: app }] }`;
  return [
    "version: 1",
    "catalog: app",
    `databases: { app: { primary: "${server.url("app")}" } }`,
    "colocations:",
    colocation("accounts", "accounts: aid"),
    colocation(
      "branches",
      "pgbench_branches: bid, pgbench_tellers: bid, pgbench_accounts: bid, pgbench_history: bid",
    ),
    colocation("bulk", "bulk: id"),
    colocation("users", "users: id, orders: user_id, items: user_id"),
    "",
  ].join("\n");
}

/** A quarter of the shards in each of the four databases. */
export function shardedMap(shards: TestPostgres): string {
  return [
    "version: 1",
    `catalog: ${SHARDS[0]}`,
    "databases:",
    ...SHARDS.map((name) => `  ${name}: { primary: "${shards.url(name)}" }`),
    "colocations:",
    "  accounts:",
    "    shard_key: bigint",
    "    function: hash",
    `    logical_shards: ${SHARDS.length}`,
    "    tables: { accounts: aid }",
    "    placements:",
    ...SHARDS.map((name, index) => `      - { shards: ${index}-${index}, database: ${name} }`),
    "",
  ].join("\n");
}
