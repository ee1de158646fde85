/**
 * `colonnade dev`: PostgreSQL servers, databases, a sample schema with data, and the
 * proxy in front, on one machine, by one command; the second start finds its data again.
 *
 * Whatever was started is stopped in the opposite order, by Ctrl-C, by SIGTERM, by an
 * error half way, and by the servers' own watch when this process is killed.
 */
import { createServer } from "node:net";
import { dirname } from "node:path";
import { InvariantViolation } from "../../base/invariant.ts";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { type Config, DEFAULT_CONFIG } from "../../proxy/config/config.ts";
import { startProxy } from "../../proxy/main.ts";
import type { RunningProxy } from "../../proxy/running-proxy.ts";
import { withServerUrls } from "../../shardmap/edit.ts";
import type { DatabaseEntry, ShardMap } from "../../shardmap/shard-map.ts";
import { CommandFailure, reasonAndRemedy } from "../failure.ts";
import { mapOf, readInput, readMapText } from "../input-files.ts";
import { packageFile, packageVersion } from "../package-root.ts";
import { type DevDirectory, openDevDirectory } from "./data-directory.ts";
import {
  assignServers,
  type DevServers,
  removeServerData,
  serverDirectories,
  startDevServers,
} from "./dev-servers.ts";
import { EMBEDDED_SUPERUSER } from "./embedded-server.ts";
import { printWelcome } from "./welcome.ts";
import { loadSql, readSql, type SourceStatement } from "./load-sql.ts";

export interface DevFlags {
  readonly map?: string;
  readonly sql?: string;
  readonly data: string;
  readonly port: number;
  readonly adminPort: number;
  readonly reset?: true;
}

const HOST = "127.0.0.1";

/** Runs until it is interrupted. */
export async function dev(flags: DevFlags): Promise<void> {
  const mapPath = flags.map ?? packageFile("deploy", "dev", "map.yaml");
  const mapText = readInput(mapPath, "map");
  const map = mapOf(readMapText(mapText, mapPath));
  const statements = await readSql(sqlFiles(flags));
  refuseAdminPortOfClients(flags);
  await refuseTakenPort(flags.port, "--port");
  await refuseTakenPort(flags.adminPort, "--admin-port");
  using directory = openDevDirectory(flags.data);
  using interrupt = new Interrupt();
  if (flags.reset === true) await reset(directory);
  const cleanUp = new CleanUp(interrupt);
  try {
    await start(flags, { map, mapText, statements }, directory, interrupt, cleanUp);
    await interrupt.happened;
    say("stopping");
  } catch (cause) {
    if (!interrupt.signal.aborted) throw cause;
  } finally {
    await cleanUp.run();
  }
  if (interrupt.lost !== undefined) throw new CommandFailure(interrupt.lost);
}

async function reset(directory: DevDirectory): Promise<void> {
  await removeServerData(directory.path);
  directory.writeState({ servers: {}, isLoaded: false });
}

interface DevFiles {
  readonly map: ShardMap;
  readonly mapText: string;
  /** What the first start runs. */
  readonly statements: readonly SourceStatement[];
}

async function start(
  flags: DevFlags,
  { map, mapText, statements }: DevFiles,
  directory: DevDirectory,
  interrupt: Interrupt,
  cleanUp: CleanUp,
): Promise<void> {
  const { signal } = interrupt;
  let before = directory.readState();
  if (before?.isLoaded === false && Object.keys(before.servers).length > 0) {
    say("the first start did not come to its end: beginning anew");
    await reset(directory);
    before = undefined;
  }
  const isFirst = before?.isLoaded !== true;
  const assignment = assignServers(map, before?.servers ?? {});
  directory.writeState({ servers: assignment, isLoaded: !isFirst });
  say(isFirst ? "making two PostgreSQL servers" : "starting two PostgreSQL servers");
  tellWhereDataIs(directory);
  const servers = await started(
    "the PostgreSQL servers",
    startDevServers({
      directory: directory.path,
      assignment,
      map,
      signal,
      onRestart: (index) => say(`PostgreSQL server ${index} had ended; it runs again`),
      onLost: (reason) => interrupt.giveUp(reason),
    }),
  );
  cleanUp.servers = servers;
  const proxy = await started(
    "the proxy",
    startProxy({
      map: withServers(map, servers.urls),
      config: configFor(flags),
      version: packageVersion(),
      log: createLog("warn"),
      metrics: new Metrics(),
    }),
  );
  cleanUp.proxy = proxy;
  void proxy.drainRequested
    .then(async () => await proxy.drain(DEFAULT_CONFIG.drain_ms))
    .then(() => interrupt.end());
  const url = `postgres://${EMBEDDED_SUPERUSER}@${HOST}:${proxy.port}/${encodeURIComponent(map.catalog)}`;
  if (!isFirst && flags.sql !== undefined)
    say("the data is there already; --sql runs on the first start only");
  if (isFirst && statements.length > 0) {
    say("creating the tables and their rows, through the proxy");
    await loadSql({ statements, url, signal });
  }
  directory.writeState({ servers: assignment, isLoaded: true });
  signal.throwIfAborted();
  printWelcome({
    url,
    port: proxy.port,
    adminPort: flags.adminPort,
    map,
    servers,
    mapFile: directory.writeMap(withServerUrls(mapText, servers.urls)),
    isSample: flags.map === undefined && flags.sql === undefined,
  });
}

function tellWhereDataIs({ path: asked }: DevDirectory): void {
  const elsewhere = serverDirectories(asked).find((path) => !path.startsWith(asked));
  if (elsewhere === undefined) return;
  say(
    `PostgreSQL does not run as root, and the account it runs as cannot enter ${asked}: its data is in ${dirname(elsewhere)}`,
  );
}

/** What an operating system, a full disk or a URL of the map can be in the way of: told in words, without a stack. */
async function started<T>(what: string, starting: Promise<T>): Promise<T> {
  try {
    return await starting;
  } catch (cause) {
    if (cause instanceof CommandFailure || cause instanceof InvariantViolation) throw cause;
    throw new CommandFailure(`cannot start ${what}: ${reasonAndRemedy(cause)}`, 2, { cause });
  }
}

/** Now that they run, embedded databases are like any other: what asks which server one is on (CREATE ROLE) reads its URL. */
function withServers(map: ShardMap, urls: DevServers["urls"]): ShardMap {
  const databases = [...map.databases.values()].map((database): DatabaseEntry => {
    const primary = urls.get(database.name);
    if (database.server.kind === "url" || primary === undefined) return database;
    return { ...database, server: { kind: "url", primary, replicas: [] } };
  });
  return { ...map, databases: new Map(databases.map((database) => [database.name, database])) };
}

function configFor(flags: DevFlags): Config {
  return {
    ...DEFAULT_CONFIG,
    listen: { ...DEFAULT_CONFIG.listen, host: HOST, port: flags.port },
    admin: { host: HOST, port: flags.adminPort },
    console: { admin_users: [EMBEDDED_SUPERUSER], stats_users: [] },
  };
}

/** The sample's files fit the sample's map alone; a map of one's own starts with what --sql says. */
function sqlFiles(flags: DevFlags): readonly string[] {
  if (flags.sql !== undefined) return [flags.sql];
  if (flags.map !== undefined) return [];
  return [packageFile("deploy", "dev", "schema.sql"), packageFile("deploy", "dev", "data.sql")];
}

function refuseAdminPortOfClients({ port, adminPort }: DevFlags): void {
  if (port === adminPort) {
    throw new CommandFailure(`--port and --admin-port are both ${port}: choose two`);
  }
}

/** Asked before anything is started, so that the answer comes at once. */
async function refuseTakenPort(port: number, flag: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EACCES" ? "needs more rights" : "is in use";
      reject(
        new CommandFailure(`port ${port} ${reason}: choose another with ${flag}`, 2, { cause }),
      );
    });
    server.listen({ host: HOST, port }, () => server.close(() => resolve()));
  });
}

function say(line: string): void {
  process.stdout.write(`colonnade: ${line}\n`);
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The wish to stop: a signal, or a server that is lost. A second signal stops the waiting. */
class Interrupt implements Disposable {
  readonly #first = new AbortController();
  readonly #second = Promise.withResolvers<void>();
  readonly happened: Promise<void>;
  #lost: string | undefined;

  constructor() {
    this.happened = new Promise((resolve) => {
      this.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#first.signal;
  }

  /** Fulfilled by the second signal. */
  get isUrgent(): Promise<void> {
    return this.#second.promise;
  }

  /** Why we stop by ourselves; undefined where somebody asked us to. */
  get lost(): string | undefined {
    return this.#lost;
  }

  giveUp(reason: string): void {
    this.#lost = reason;
    this.end();
  }

  end(): void {
    this.#first.abort();
  }

  readonly #onSignal = (): void => {
    if (this.signal.aborted) this.#second.resolve();
    else this.#first.abort();
  };

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}

/** Stops what was started, the proxy first; at once when the second signal comes. */
class CleanUp {
  readonly #interrupt: Interrupt;
  proxy: RunningProxy | undefined;
  servers: DevServers | undefined;

  constructor(interrupt: Interrupt) {
    this.#interrupt = interrupt;
  }

  async run(): Promise<void> {
    const { proxy, servers } = this;
    const inOrder = (async () => {
      await proxy?.close();
      await servers?.stop();
    })();
    const atOnce = this.#interrupt.isUrgent.then(async () => await servers?.stop("immediate"));
    await Promise.race([inOrder, atOnce]);
  }
}
