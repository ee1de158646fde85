/**
 * Others' ways to spread rows over four databases: partitions that are foreign tables, in a
 * PostgreSQL server of their own, and PL/Proxy's functions. All use the same four databases.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePort } from "../../../test/support/free-port.ts";
import { startPostgres } from "../../../test/support/postgres.ts";
import type { TestPostgres } from "../../../test/support/postgres.ts";
import { findServerAccount } from "../../../cli/dev/server-account.ts";
import { SHARDS } from "../data.ts";
import { configured, startDaemon, USUAL_CONTENDER } from "./contender.ts";
import type { Contender } from "./contender.ts";

const ACCOUNTS = "accounts (aid bigint NOT NULL, abalance integer NOT NULL)";

/** As somebody who knows postgres_fdw would set it up. */
export async function startForeignPartitions(shards: TestPostgres): Promise<Contender> {
  const server = await startPostgres({ databases: ["app"] });
  const partitions = SHARDS.map(
    (database, index) =>
      `CREATE SERVER ${database} FOREIGN DATA WRAPPER postgres_fdw
         OPTIONS (host '${shards.host}', port '${shards.port}', dbname '${database}', async_capable 'true');
       CREATE USER MAPPING FOR postgres SERVER ${database} OPTIONS (user 'postgres', password_required 'false');
       CREATE FOREIGN TABLE accounts_${index} PARTITION OF accounts FOR VALUES WITH (MODULUS ${SHARDS.length}, REMAINDER ${index})
         SERVER ${database} OPTIONS (table_name 'accounts');`,
  );
  const setup = `CREATE EXTENSION postgres_fdw;
    CREATE TABLE ${ACCOUNTS} PARTITION BY HASH (aid);
    ${partitions.join("\n")}
    ANALYZE accounts`;
  try {
    await server.query("app", setup);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const { rows } = await server.query("app", "SHOW server_version");
  return {
    ...USUAL_CONTENDER,
    name: "postgres_fdw",
    version: `PostgreSQL ${String(rows[0]?.["server_version"])}`,
    port: server.port,
    pids: [postmasterOf(await server.query("app", "SHOW data_directory"))],
    isSingleProcess: false,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

function postmasterOf({ rows }: pg.QueryResult<Record<string, unknown>>): number {
  const file = join(String(rows[0]?.["data_directory"]), "postmaster.pid");
  return Number(execFileSync("head", ["-1", file]).toString());
}

/** PostgreSQL's own choice of a hash partition, so that every row is where the others look for it. */
const SHARD_OF = "((hashint8extended(key, 8816678312871386365) & 3)::integer + 3) & 3";

/** Undefined where Debian's PL/Proxy is not installed. It runs in Debian's server, whose version it was built for. */
export async function startPlProxy(shards: TestPostgres): Promise<Contender | undefined> {
  const [library] = globSync("/usr/lib/postgresql/*/lib/plproxy.so").toSorted().toReversed();
  if (library === undefined) return undefined;
  const bin = join(dirname(dirname(library)), "bin");
  if (!existsSync(join(bin, "initdb"))) return undefined;
  const port = await freePort();
  const { directory, path } = await configured(() => ({}));
  try {
    initialize(join(bin, "initdb"), path("data"));
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  const settings = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    "unix_socket_directories=",
    "fsync=off",
    "max_connections=200",
    "log_min_messages=fatal",
  ].flatMap((setting) => ["-c", setting]);
  const daemon = await startDaemon([join(bin, "postgres"), "-D", path("data"), ...settings], {
    port,
    directory,
    stopBy: "SIGINT",
  });
  try {
    const version = await installFunctions(port, shards);
    return {
      ...USUAL_CONTENDER,
      name: "plproxy",
      version,
      port,
      database: () => "postgres",
      pids: [daemon.pid],
      isSingleProcess: false,
      dialect: "functions",
      [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
    };
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

const START_TIMEOUT_MS = 20_000;
/** cannot_connect_now: PostgreSQL listens before it is ready to serve. */
const CANNOT_CONNECT_NOW = "57P03";

async function connectWhenReady(port: number): Promise<pg.Client> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client({
      host: "127.0.0.1",
      port,
      user: "postgres",
      database: "postgres",
    });
    try {
      await client.connect();
      return client;
    } catch (error) {
      const isStarting = error instanceof pg.DatabaseError && error.code === CANNOT_CONNECT_NOW;
      if (!isStarting || performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

function initialize(initdb: string, directory: string): void {
  const account = findServerAccount();
  execFileSync(
    initdb,
    ["-D", directory, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { stdio: "ignore", ...(account && { uid: account.uid, gid: account.gid }) },
  );
}

/** Gives the versions. */
async function installFunctions(port: number, shards: TestPostgres): Promise<string> {
  const client = await connectWhenReady(port);
  try {
    const options = SHARDS.map(
      (database, index) => `p${index} 'host=${shards.host} port=${shards.port} dbname=${database}'`,
    );
    await client.query(`
      CREATE EXTENSION plproxy;
      CREATE SERVER bank FOREIGN DATA WRAPPER plproxy OPTIONS (${options.join(", ")});
      CREATE USER MAPPING FOR postgres SERVER bank OPTIONS (user 'postgres');
      CREATE FUNCTION shard_of(key bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT ${SHARD_OF}';
      CREATE FUNCTION balance_of(key bigint) RETURNS integer LANGUAGE plproxy AS 'CLUSTER ''bank''; RUN ON shard_of(key);';
      CREATE FUNCTION add_to(key bigint, delta integer) RETURNS integer LANGUAGE plproxy AS 'CLUSTER ''bank''; RUN ON shard_of(key);'`);
    const { rows } = await client.query<{ readonly plproxy: string; readonly server: string }>(
      "SELECT extversion AS plproxy, current_setting('server_version') AS server FROM pg_extension WHERE extname = 'plproxy'",
    );
    return `PL/Proxy ${rows[0]?.plproxy} in PostgreSQL ${rows[0]?.server}`;
  } finally {
    await client.end();
  }
}
