/** Others' proxies before one server: PgBouncer, Pgpool-II, and HAProxy and a relay of ours, which know TCP alone. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestPostgres } from "../../../test/support/postgres.ts";
import { freePort } from "../../../test/support/free-port.ts";
import { configured, firstFile, startDaemon, USUAL_CONTENDER } from "./contender.ts";
import type { Contender } from "./contender.ts";

/** Server connections a pooler may have: the default of PgBouncer and of Colonnade. */
export const POOL_SIZE = 20;

/** With room for the idle ones. */
export const CLIENTS_MAX = 12_000;

/** Pgpool-II has a process for each client, and no others may connect. */
const PGPOOL_CLIENTS = 64;

/** PgBouncer pools statements by name since 1.21 alone: before, a client that prepares needs a server connection for itself. */
const PGBOUNCER_PREPARES = [1, 21] as const;

export async function startDirect(server: TestPostgres): Promise<Contender> {
  const { rows } = await server.query("app", "SHOW server_version");
  return {
    ...USUAL_CONTENDER,
    name: "direct",
    version: `PostgreSQL ${String(rows[0]?.["server_version"])}`,
    port: server.port,
    pids: [],
    [Symbol.asyncDispose]: async () => undefined,
  };
}

export async function startPgBouncer(
  server: TestPostgres,
  path = firstFile("/usr/local/bin/pgbouncer", "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"),
): Promise<Contender | undefined> {
  if (path === undefined) return undefined;
  const version = versionOf(path, "--version", /PgBouncer (\S+)/);
  const prepares = preparesStatements(version);
  const port = await freePort();
  const target = `host=127.0.0.1 port=${server.port} dbname=app user=postgres`;
  const files = await configured(() => ({
    "pgbouncer.ini": [
      "[databases]",
      `app = ${target} pool_mode=transaction pool_size=${POOL_SIZE}`,
      `session = ${target} pool_mode=session pool_size=100`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = any",
      `max_client_conn = ${CLIENTS_MAX}`,
      "ignore_startup_parameters = extra_float_digits",
      ...(prepares ? ["max_prepared_statements = 200"] : []),
      "",
    ].join("\n"),
  }));
  const { directory } = files;
  const daemon = await startDaemon([path, "-q", files.path("pgbouncer.ini")], {
    port,
    directory,
    stopBy: "SIGINT",
  });
  return {
    ...USUAL_CONTENDER,
    name: "pgbouncer",
    version: `PgBouncer ${version}${prepares ? "" : ", session mode where statements are prepared"}`,
    port,
    database: (isPreparing) => (isPreparing && !prepares ? "session" : "app"),
    pids: [daemon.pid],
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

/** What any proxy of this runtime costs, whatever it does with what it carries. */
export async function startNodeRelay(server: TestPostgres): Promise<Contender> {
  const port = await freePort();
  const script = fileURLToPath(new URL("../node-relay.ts", import.meta.url));
  const { directory } = await configured(() => ({}));
  const daemon = await startDaemon([process.execPath, script, String(port), String(server.port)], {
    port,
    directory,
    stopBy: "SIGTERM",
    isOurs: true,
  });
  return {
    ...USUAL_CONTENDER,
    name: "node-relay",
    version: `Node ${process.version}`,
    port,
    pids: [daemon.pid],
    warmUpSeconds: 3,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

export function preparesStatements(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [sinceMajor, sinceMinor] = PGBOUNCER_PREPARES;
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

export async function startPgpool(server: TestPostgres): Promise<Contender | undefined> {
  const path = firstFile("/usr/local/bin/pgpool", "/usr/sbin/pgpool");
  if (path === undefined) return undefined;
  const [port, pcpPort] = [await freePort(), await freePort()];
  const files = await configured((at) => ({
    "pool_hba.conf": "host all all 127.0.0.1/32 trust\n",
    "pgpool.conf": pgpoolSettings({ port, pcpPort, serverPort: server.port, directory: at(".") }),
  }));
  const words = ["-n", "-f", files.path("pgpool.conf"), "-a", files.path("pool_hba.conf")];
  const daemon = await startDaemon([path, ...words], {
    port,
    directory: files.directory,
    stopBy: "SIGINT",
  });
  return {
    ...USUAL_CONTENDER,
    name: "pgpool",
    version: `Pgpool-II ${versionOf(path, "--version", /version (\S+)/)}`,
    port,
    pids: [daemon.pid],
    isSingleProcess: false,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

function pgpoolSettings(of: {
  readonly port: number;
  readonly pcpPort: number;
  readonly serverPort: number;
  readonly directory: string;
}): string {
  const settings: Readonly<Record<string, string | number>> = {
    backend_clustering_mode: "raw",
    listen_addresses: "127.0.0.1",
    port: of.port,
    pcp_port: of.pcpPort,
    pcp_listen_addresses: "127.0.0.1",
    socket_dir: of.directory,
    pcp_socket_dir: of.directory,
    pid_file_name: `${of.directory}/pgpool.pid`,
    logdir: of.directory,
    backend_hostname0: "127.0.0.1",
    backend_port0: of.serverPort,
    num_init_children: PGPOOL_CLIENTS,
    max_pool: 1,
    load_balance_mode: "off",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  return lines.join("");
}

/** It relays bytes and knows no message: the least that a proxy costs. */
export async function startHaproxy(server: TestPostgres): Promise<Contender | undefined> {
  const path = firstFile("/usr/local/sbin/haproxy", "/usr/sbin/haproxy");
  if (path === undefined) return undefined;
  const port = await freePort();
  const files = await configured(() => ({
    "haproxy.cfg": [
      "global",
      "  nbthread 1",
      "  maxconn 1000",
      "defaults",
      "  mode tcp",
      "  timeout connect 10s",
      "  timeout client 1h",
      "  timeout server 1h",
      "listen postgres",
      `  bind 127.0.0.1:${port}`,
      `  server postgres 127.0.0.1:${server.port}`,
      "",
    ].join("\n"),
  }));
  const daemon = await startDaemon([path, "-db", "-f", files.path("haproxy.cfg")], {
    port,
    directory: files.directory,
    stopBy: "SIGTERM",
  });
  return {
    ...USUAL_CONTENDER,
    name: "haproxy",
    version: `HAProxy ${versionOf(path, "-v", /version (\S+)/)}`,
    port,
    pids: [daemon.pid],
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

function versionOf(path: string, flag: string, pattern: RegExp): string {
  // Pgpool-II says it on standard error.
  const printed = execFileSync("sh", ["-c", '"$0" "$1" 2>&1', path, flag]).toString();
  const version = pattern.exec(printed)?.[1];
  if (version === undefined) throw new Error(`${path} ${flag} names no version: ${printed}`);
  return version;
}
