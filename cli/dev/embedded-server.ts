/**
 * One PostgreSQL server process that lives and dies with us.
 *
 * Used by `colonnade dev` and by the tests. It listens on 127.0.0.1 alone, by TCP alone:
 * a Unix socket's path may have 107 bytes at most, which a data directory easily exceeds.
 * Anybody who can reach the loopback interface may log in as any user (trust), unless
 * the caller gives other pg_hba lines: it is a server for a laptop and for tests.
 *
 * It dies with us even when we are killed: a shell waits for the end of a pipe that only
 * we hold open, and then asks the server to stop.
 *
 * It knows nothing of shard maps, schemas or the proxy.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, chown, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { stopAbandonedServer } from "./abandoned-server.ts";
import { freePort } from "./free-port.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { findServerAccount, type ServerAccount } from "./server-account.ts";

export interface EmbeddedServerOptions {
  /** Absolute; must be reachable for the server account (see `reachableDirectory`). */
  readonly dataDirectory: string;
  /** A free one is taken where it is absent. */
  readonly port?: number;
  /** Whether a commit survives the machine's crash. Off makes tests several times faster. */
  readonly isDurable: boolean;
  /** PostgreSQL settings; they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf instead of trust on the loopback interface. */
  readonly hba?: readonly string[];
  /** PEM texts; the server then accepts TLS beside plain connections. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** A data directory made by `initializeDataDirectory`, copied instead of running initdb. */
  readonly template?: string;
  /** The npm package that has the server's programs: another major version's, under a name of its own. */
  readonly serverPackage?: string;
  /** Stops the start itself; a server that is already started is stopped again. */
  readonly signal?: AbortSignal;
}

/** How a server process came to its end. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface EmbeddedServer {
  readonly port: number;
  readonly pid: number;
  readonly dataDirectory: string;
  /** Fulfilled when the process has ended, by whatever cause. */
  readonly exited: Promise<ServerExit>;
  /** `fast` disconnects every client and writes a checkpoint; `immediate` leaves that to the next start. Twice is once. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** SIGKILL, as a crash: the next start replays the WAL. */
  kill9(): Promise<void>;
}

/** The superuser of every embedded cluster. */
export const EMBEDDED_SUPERUSER = "postgres";

/** How long a server may take to accept connections, crash recovery included. */
const START_TIMEOUT_MS = 60_000;
/** How often a starting server is looked at: it needs about 50 ms. */
const START_POLL_MS = 15;
/** Fast shutdown waits for a checkpoint; immediate shutdown and SIGKILL follow. */
const STOP_FAST_MS = 20_000;
const STOP_IMMEDIATE_MS = 5_000;
/** Another process may take a free port between our look and the server's bind. */
const PORT_ATTEMPTS_MAX = 5;

const run = promisify(execFile);

export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const account = findServerAccount();
  const binaries = await findPostgresBinaries(account, options.serverPackage);
  await prepareDataDirectory(options, binaries, account);
  await stopAbandonedServer(options.dataDirectory);
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    try {
      return await launch(options, port, binaries, account);
    } catch (cause) {
      const portWasTaken = cause instanceof ServerStartError && cause.isPortTaken;
      if (!portWasTaken || options.port !== undefined || attempt === PORT_ATTEMPTS_MAX) throw cause;
    }
  }
}

/** A server that ended, or did not answer, before it accepted connections; ends with its log's last lines. */
export class ServerStartError extends Error {
  override readonly name = "ServerStartError";
  readonly isPortTaken: boolean;

  constructor(reason: string, log: string) {
    super(`PostgreSQL did not start (${reason}):\n${log}`);
    this.isPortTaken = log.includes("could not bind IPv4 address");
  }
}

/** Runs initdb. Text sorts by its bytes (C.UTF-8), on every platform alike. */
export async function initializeDataDirectory(directory: string): Promise<void> {
  const account = findServerAccount();
  await initialize(directory, await findPostgresBinaries(account), account);
}

async function prepareDataDirectory(
  options: EmbeddedServerOptions,
  binaries: PostgresBinaries,
  account: ServerAccount,
): Promise<void> {
  const { dataDirectory, template } = options;
  if (!(await isInitialized(dataDirectory))) {
    if (template === undefined) await initialize(dataDirectory, binaries, account);
    else await copyTemplate(template, dataDirectory, account);
  }
  options.signal?.throwIfAborted();
  const lines = options.hba ?? [
    "host all all 127.0.0.1/32 trust",
    "host replication all 127.0.0.1/32 trust",
  ];
  await writeOwned(join(dataDirectory, "pg_hba.conf"), `${lines.join("\n")}\n`, account);
  if (options.tls !== undefined) {
    await writeOwned(join(dataDirectory, "server.crt"), options.tls.certificate, account);
    await writeOwned(join(dataDirectory, "server.key"), options.tls.key, account);
  }
}

async function isInitialized(directory: string): Promise<boolean> {
  return await stat(join(directory, "PG_VERSION")).then(
    () => true,
    () => false,
  );
}

async function initialize(
  directory: string,
  binaries: PostgresBinaries,
  account: ServerAccount,
): Promise<void> {
  await fillAtOnce(directory, account, async (unfinished) => {
    const flags = [
      `--pgdata=${unfinished}`,
      `--username=${EMBEDDED_SUPERUSER}`,
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      // Before PostgreSQL 17 there is no such provider; the bytes' order is the same.
      ...(binaries.major < 17 ? [] : ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]),
      "--no-sync",
      "--no-instructions",
    ];
    await run(binaries.initdb, flags, asAccount(account));
  });
}

async function copyTemplate(
  template: string,
  directory: string,
  account: ServerAccount,
): Promise<void> {
  await fillAtOnce(directory, account, async (unfinished) => {
    await run("cp", ["-R", `${template}/.`, unfinished], asAccount(account));
  });
}

/** Renamed when it is whole: a start that is killed half way leaves no directory that looks usable. */
async function fillAtOnce(
  directory: string,
  account: ServerAccount,
  fill: (unfinished: string) => Promise<void>,
): Promise<void> {
  const unfinished = `${directory}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  try {
    await makeOwned(unfinished, account);
    await fill(unfinished);
    await rm(directory, { recursive: true, force: true });
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function makeOwned(directory: string, account: ServerAccount): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  if (account !== undefined) await chown(directory, account.uid, account.gid);
  await chmod(directory, 0o700);
}

async function writeOwned(path: string, text: string, account: ServerAccount): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

/** Our own environment is not handed on: PGPORT, PGDATA and LC_* of a developer's shell would change the server. */
function asAccount(account: ServerAccount) {
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
  // The clone may be a directory the account cannot enter; the root directory never is.
  const place = { cwd: "/", env };
  return account === undefined ? place : { ...place, uid: account.uid, gid: account.gid };
}

async function launch(
  options: EmbeddedServerOptions,
  port: number,
  binaries: PostgresBinaries,
  account: ServerAccount,
): Promise<EmbeddedServer> {
  const { dataDirectory } = options;
  const logPath = join(dataDirectory, "server.log");
  await using log = await open(logPath, "w", 0o600);
  // A process group of its own: Ctrl-C in a terminal reaches us alone, and we stop the server in order.
  const child = spawn(binaries.postgres, ["-D", dataDirectory, ...settingFlags(options, port)], {
    ...asAccount(account),
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  const exited = new Promise<ServerExit>((resolve) => {
    child.once("error", () => resolve({ code: null, signal: null }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const pid = child.pid;
  if (pid === undefined) throw new ServerStartError(`${binaries.postgres} cannot be run`, "");
  const watch = stopWhenWeDie(pid, account);
  void exited.then(() => watch.kill("SIGKILL"));
  const server: EmbeddedServer = {
    port,
    pid,
    dataDirectory,
    exited,
    stop: async (mode = "fast") => await stopProcess(child, exited, mode),
    kill9: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
  try {
    await untilReady(server, logPath, options.signal);
  } catch (cause) {
    await server.stop();
    throw cause;
  }
  return server;
}

function settingFlags(options: EmbeddedServerOptions, port: number): readonly string[] {
  const onWhenDurable = options.isDurable ? "on" : "off";
  const settings: Readonly<Record<string, string>> = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    wal_level: "logical",
    max_prepared_transactions: "100",
    max_connections: "200",
    max_replication_slots: "20",
    max_wal_senders: "20",
    shared_buffers: "32MB",
    // synchronous_commit stays on: a killed server must keep what it acknowledged, even in tests.
    fsync: onWhenDurable,
    full_page_writes: onWhenDurable,
    log_line_prefix: "%m [%p] %q%d ",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(options.tls === undefined ? {} : { ssl: "on" }),
    ...options.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** The shell has builtins only to run, so it needs no other program and next to no memory. */
function stopWhenWeDie(pid: number, account: ServerAccount): ChildProcess {
  const script = 'while read -r _; do :; done; kill -INT "$1"';
  const watch = spawn("/bin/sh", ["-c", script, "colonnade-watch", String(pid)], {
    ...asAccount(account),
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watch.on("error", () => undefined);
  watch.unref();
  const pipe = watch.stdin as (typeof watch.stdin & { unref?: () => void }) | null;
  pipe?.on("error", () => undefined);
  pipe?.unref?.();
  return watch;
}

/** postmaster.pid's eighth line is the server's own word on its state; pg_ctl waits for it too. */
async function untilReady(
  server: EmbeddedServer,
  logPath: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  let ended: ServerExit | undefined;
  void server.exited.then((exit) => (ended = exit));
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const lines = (
      await readFile(join(server.dataDirectory, "postmaster.pid"), "utf8").catch(() => "")
    ).split("\n");
    if (lines[0] === String(server.pid) && lines[7]?.trim() === "ready") return;
    if (ended !== undefined) {
      throw new ServerStartError(`exit ${ended.code ?? ended.signal}`, await lastLines(logPath));
    }
    if (Date.now() > deadline) {
      throw new ServerStartError(
        `not ready after ${START_TIMEOUT_MS} ms`,
        await lastLines(logPath),
      );
    }
    await sleep(START_POLL_MS, undefined, { ...(signal && { signal }) });
  }
}

async function lastLines(logPath: string): Promise<string> {
  const text = await readFile(logPath, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-10).join("\n");
}

async function stopProcess(
  child: ChildProcess,
  exited: Promise<ServerExit>,
  mode: "fast" | "immediate",
): Promise<void> {
  const steps = [
    ["SIGINT", STOP_FAST_MS],
    ["SIGQUIT", STOP_IMMEDIATE_MS],
    ["SIGKILL", STOP_IMMEDIATE_MS],
  ] as const;
  for (const [signal, waitMs] of mode === "fast" ? steps : steps.slice(1)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    child.kill(signal);
    using timer = timeout(waitMs);
    await Promise.race([exited, timer.reached]);
  }
}

function timeout(ms: number): Disposable & { readonly reached: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { reached: promise, [Symbol.dispose]: () => clearTimeout(timer) };
}
