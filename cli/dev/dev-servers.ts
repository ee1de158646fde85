/**
 * The PostgreSQL servers of `colonnade dev`: two processes, over which the map's embedded
 * databases are spread, each with its schemas. It starts, watches and stops them; what is
 * in the tables is not its business.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { DatabaseName } from "../../base/ids.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { CommandFailure } from "../failure.ts";
import { EMBEDDED_SUPERUSER, type EmbeddedServer, startEmbeddedServer } from "./embedded-server.ts";
import { findServerAccount, reachableDirectory, type ServerAccount } from "./server-account.ts";

/** Two, so that a transaction over two databases is one over two servers. */
const SERVERS = 2;
const HOST = "127.0.0.1";

/** Which server holds which database. */
export type ServerAssignment = Readonly<Record<string, number>>;

export interface DevServers {
  /** Where the map's embedded databases are reached. */
  readonly urls: ReadonlyMap<DatabaseName, string>;
  readonly ports: readonly number[];
  /** Ends them in order; `immediate` does without a checkpoint. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
}

export interface DevServersOptions {
  /** Of `colonnade dev`; the servers' own directories are below it where their account can reach it. */
  readonly directory: string;
  readonly assignment: ServerAssignment;
  readonly map: ShardMap;
  readonly signal: AbortSignal;
  /** A server that ended by itself was started again. */
  readonly onRestart: (server: number) => void;
  /** A server ended by itself and could not be started again. */
  readonly onLost: (reason: string) => void;
}

/** Keeps every database where it is, and gives new ones to the server with the fewest. */
export function assignServers(map: ShardMap, before: ServerAssignment): ServerAssignment {
  const assignment: Record<string, number> = { ...before };
  for (const { name, server } of map.databases.values()) {
    if (server.kind !== "embedded" || name in assignment) continue;
    const counts = Array.from({ length: SERVERS }, () => 0);
    for (const index of Object.values(assignment)) counts[index] = (counts[index] ?? 0) + 1;
    assignment[name] = counts.indexOf(Math.min(...counts));
  }
  return assignment;
}

export function serverDirectories(directory: string): readonly string[] {
  const account: ServerAccount = findServerAccount();
  return Array.from({ length: SERVERS }, (_, index) =>
    reachableDirectory(join(directory, `server${index}`), account),
  );
}

export async function removeServerData(directory: string): Promise<void> {
  for (const path of serverDirectories(directory)) await rm(path, { recursive: true, force: true });
}

export async function startDevServers(options: DevServersOptions): Promise<DevServers> {
  const { directory, signal } = options;
  const servers: WatchedServer[] = [];
  const stop = async (mode: "fast" | "immediate" = "fast"): Promise<void> => {
    await Promise.all(servers.map(async (server) => await server.stop(mode)));
  };
  try {
    const started = serverDirectories(directory).map(async (dataDirectory, index) => {
      const first = await startEmbeddedServer({ dataDirectory, isDurable: true, signal });
      servers[index] = new WatchedServer(index, first, options);
    });
    // All of them come to an end, so that none is started behind the back of `stop`.
    const failed = (await Promise.allSettled(started)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    const urls = await createDatabases(options, servers);
    return { urls, ports: servers.map(({ port }) => port), stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

/** A server that is started again on its port when it dies, as an operating system's service is. */
class WatchedServer {
  readonly port: number;
  readonly #index: number;
  readonly #options: DevServersOptions;
  #state:
    | { readonly kind: "running"; readonly server: EmbeddedServer }
    | { readonly kind: "stopped" };
  #restart: Promise<void> = Promise.resolve();

  constructor(index: number, server: EmbeddedServer, options: DevServersOptions) {
    this.#index = index;
    this.#options = options;
    this.port = server.port;
    this.#state = { kind: "running", server };
    this.#watch(server);
  }

  async stop(mode: "fast" | "immediate"): Promise<void> {
    const state = this.#state;
    this.#state = { kind: "stopped" };
    if (state.kind === "running") await state.server.stop(mode);
    // A restart that was under way has now seen that it is not wanted.
    await this.#restart;
  }

  #watch(server: EmbeddedServer): void {
    void server.exited.then(() => {
      if (this.#state.kind === "running") this.#restart = this.#startAgain(server);
    });
  }

  async #startAgain({ dataDirectory }: EmbeddedServer): Promise<void> {
    try {
      const server = await startEmbeddedServer({ dataDirectory, isDurable: true, port: this.port });
      if (this.#state.kind === "stopped") {
        await server.stop();
        return;
      }
      this.#state = { kind: "running", server };
      this.#watch(server);
      this.#options.onRestart(this.#index);
    } catch (cause) {
      if (this.#state.kind === "stopped") return;
      this.#state = { kind: "stopped" };
      this.#options.onLost(cause instanceof Error ? cause.message : String(cause));
    }
  }
}

async function createDatabases(
  options: DevServersOptions,
  servers: readonly WatchedServer[],
): Promise<ReadonlyMap<DatabaseName, string>> {
  const urls = new Map<DatabaseName, string>();
  for (const { name, server } of options.map.databases.values()) {
    if (server.kind !== "embedded") continue;
    options.signal.throwIfAborted();
    const port = servers[options.assignment[name] ?? -1]?.port;
    if (port === undefined) throw new CommandFailure(`database ${name} has no server`);
    await createDatabase(name, port);
    await createSchemas(name, port, schemasOf(options.map, name));
    urls.set(name, `postgres://${EMBEDDED_SUPERUSER}@${HOST}:${port}/${encodeURIComponent(name)}`);
  }
  return urls;
}

async function createDatabase(name: DatabaseName, port: number): Promise<void> {
  await withClient("postgres", port, async (client) => {
    const found = await client.query("SELECT FROM pg_database WHERE datname = $1", [name]);
    if (found.rowCount === 0) {
      await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
    }
  });
}

/** The schemas in which the map places something in this database. */
function schemasOf(map: ShardMap, database: DatabaseName): ReadonlySet<string> {
  const placements = [...map.colocations.values()].flatMap((colocation) => colocation.placements);
  const places = [...placements, ...map.groups.values()].filter(
    (place) => place.database === database,
  );
  const schemas = new Set(places.map(({ schema }) => schema));
  return schemas.add(map.canonicalSchema);
}

async function createSchemas(
  database: DatabaseName,
  port: number,
  schemas: ReadonlySet<string>,
): Promise<void> {
  await withClient(database, port, async (client) => {
    for (const schema of schemas) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${pg.escapeIdentifier(schema)}`);
    }
  });
}

async function withClient(
  database: string,
  port: number,
  use: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ host: HOST, port, user: EMBEDDED_SUPERUSER, database });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
