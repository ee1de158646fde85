/**
 * Who is compared: each is a port to send clients to, and the process whose work is counted.
 * Another contender is another entry of CONTENDERS.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findServerAccount } from "../../cli/dev/server-account.ts";
import type { TestPostgres } from "../../test/support/postgres.ts";
import { freePort } from "../../test/support/free-port.ts";
import { startTestProxy } from "../../test/support/proxy.ts";
import type { Case } from "./cases.ts";

export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Of its program, for the record. */
  readonly version: string;
  readonly port: number;
  readonly database: (of: Case) => string;
  /** The proxy's process; undefined where there is none between client and server. */
  readonly pid: number | undefined;
}

/** Undefined where its program is not installed. */
type Start = (server: TestPostgres) => Promise<Contender | undefined>;

export const CONTENDERS: Readonly<Record<string, Start>> = {
  direct: async (server) => ({
    name: "direct",
    version: (await server.query("app", "SHOW server_version")).rows[0]?.[
      "server_version"
    ] as string,
    port: server.port,
    database: () => "app",
    pid: undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }),
  pgbouncer: startPgBouncer,
  colonnade: (server) => startColonnade("colonnade", server),
};

/** Server connections each of the poolers may have: the default of both. */
const POOL_SIZE = 20;

const PGBOUNCER = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

/** PgBouncer pools statements by name since 1.21 alone: before, a prepared case needs a server connection for each client. */
const PGBOUNCER_PREPARES = [1, 21] as const;

async function startPgBouncer(server: TestPostgres): Promise<Contender | undefined> {
  const found = PGBOUNCER.map((path) => ({ path, version: versionOf(path) })).find(
    ({ version }) => version !== undefined,
  );
  if (found?.version === undefined) return undefined;
  const directory = await mkdtemp(join(tmpdir(), "colonnade-bench-"));
  const port = await freePort();
  const file = join(directory, "pgbouncer.ini");
  const target = `host=127.0.0.1 port=${server.port} dbname=app user=postgres`;
  await writeFile(
    file,
    [
      "[databases]",
      `app = ${target} pool_mode=transaction pool_size=${POOL_SIZE}`,
      `session = ${target} pool_mode=session pool_size=100`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = any",
      "max_client_conn = 1000",
      "ignore_startup_parameters = extra_float_digits",
      "",
    ].join("\n"),
  );
  const account = findServerAccount();
  if (account !== undefined)
    for (const path of [directory, file]) chownSync(path, account.uid, account.gid);
  const child = spawn(found.path, ["-q", file], {
    stdio: "ignore",
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  await untilListening(port);
  const [major = 0, minor = 0] = found.version.split(".").map(Number);
  const prepares = major > PGBOUNCER_PREPARES[0] || minor >= PGBOUNCER_PREPARES[1];
  return {
    name: "pgbouncer",
    version: found.version,
    port,
    database: ({ protocol }) => (protocol === "prepared" && !prepares ? "session" : "app"),
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, "exit");
      child.kill("SIGINT");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function versionOf(path: string): string | undefined {
  try {
    return /PgBouncer (\S+)/.exec(execFileSync(path, ["--version"]).toString())?.[1];
  } catch {
    return undefined;
  }
}

async function startColonnade(name: string, server: TestPostgres): Promise<Contender> {
  const map = [
    "version: 1",
    "catalog: app",
    `databases: { app: { primary: "${server.url("app")}" } }`,
    "colocations:",
    "  accounts: { shard_key: bigint, function: hash, logical_shards: 16, tables: { accounts: aid }, placements: [{ shards: 0-15, database: app }] }",
    "",
  ].join("\n");
  const proxy = await startTestProxy(map, { config: { pool: { size: POOL_SIZE } } });
  return {
    name,
    version: "this commit",
    port: proxy.port,
    database: () => "app",
    pid: proxy.pid,
    [Symbol.asyncDispose]: () => proxy.stop(),
  };
}

const START_TIMEOUT_MS = 10_000;

async function untilListening(port: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
}
