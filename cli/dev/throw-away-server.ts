/**
 * Real PostgreSQL servers for rehearsals and tests, which keep nothing:
 * `await using server = await startThrowAwayServer(...)`.
 *
 * Each has its own data directory under the system's temporary directory, removed by
 * `stop`. Several may run at once, in several processes. initdb runs once per process, or once for
 * all of a test run, and its result is copied.
 */
import { rm } from "node:fs/promises";
import pg from "pg";
import {
  EMBEDDED_SUPERUSER,
  type EmbeddedServer,
  type EmbeddedServerOptions,
  startEmbeddedServer,
} from "./embedded-server.ts";
import { acquireTemplate, releaseTemplate, temporaryDirectory } from "./server-template.ts";

export interface ThrowAwayOptions {
  /** Created beside `postgres`. */
  readonly databases?: readonly string[];
  /** PostgreSQL settings, for example `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * Lines of pg_hba.conf instead of trust. The superuser's own line comes first, so that
   * `query` works whatever is put here.
   */
  readonly hba?: readonly string[];
  /** PEM texts, for example of `selfsigned`. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** As of an embedded server; its data directory is made by its own initdb, then. */
  readonly serverPackage?: string;
}

export interface ThrowAwayServer {
  /** The same over restarts. */
  readonly port: number;
  readonly host: "127.0.0.1";
  /** The superuser `postgres`; the server trusts it. */
  url(database?: string, user?: string): string;
  /** One statement, or several in one string without parameters, on a connection of its own. */
  query(
    database: string,
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<pg.QueryResult<Record<string, unknown>>>;
  /** A connected client; the caller ends it. */
  connect(database?: string, more?: pg.ClientConfig): Promise<pg.Client>;
  /** Stops the server and removes its data. Twice is once. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster; the data stays for `restart`. */
  kill9(): Promise<void>;
  /** Starts it again on the same data and port; stops it first where it runs. */
  restart(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = "127.0.0.1";

export async function startThrowAwayServer(
  options: ThrowAwayOptions = {},
): Promise<ThrowAwayServer> {
  const dataDirectory = temporaryDirectory();
  const origin = await acquireTemplate();
  let postgres: StartedPostgres | undefined;
  try {
    const { hba, databases = [], ...rest } = options;
    const serverOptions: EmbeddedServerOptions = {
      dataDirectory,
      isDurable: false,
      ...(options.serverPackage === undefined && { template: origin }),
      ...rest,
      ...(hba && { hba: [`host all ${EMBEDDED_SUPERUSER} ${HOST}/32 trust`, ...hba] }),
    };
    postgres = new StartedPostgres(serverOptions, await startEmbeddedServer(serverOptions));
    for (const database of databases) {
      await postgres.query("postgres", `CREATE DATABASE ${pg.escapeIdentifier(database)}`);
    }
    return postgres;
  } catch (cause) {
    await (postgres?.stop() ?? removeData(dataDirectory));
    throw cause;
  }
}

class StartedPostgres implements ThrowAwayServer {
  readonly host = HOST;
  readonly port: number;
  readonly #options: EmbeddedServerOptions;
  #server: EmbeddedServer;
  #isStopped = false;

  constructor(options: EmbeddedServerOptions, server: EmbeddedServer) {
    this.#options = options;
    this.#server = server;
    this.port = server.port;
  }

  url(database = "postgres", user = EMBEDDED_SUPERUSER): string {
    const name = encodeURIComponent(database);
    return `postgres://${encodeURIComponent(user)}@${HOST}:${this.port}/${name}`;
  }

  async connect(database = "postgres", more: pg.ClientConfig = {}): Promise<pg.Client> {
    const { port } = this;
    const client = new pg.Client({ host: HOST, port, user: EMBEDDED_SUPERUSER, database, ...more });
    // Whoever kills the server must not end by an unhandled 'error' event.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  async query(
    database: string,
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<pg.QueryResult<Record<string, unknown>>> {
    const client = await this.connect(database);
    try {
      return await client.query<Record<string, unknown>>(sql, parameters && [...parameters]);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#server.stop();
    await removeData(this.#options.dataDirectory);
  }

  async kill9(): Promise<void> {
    await this.#server.kill9();
  }

  async restart(): Promise<void> {
    await this.#server.stop();
    this.#server = await startEmbeddedServer({ ...this.#options, port: this.port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function removeData(dataDirectory: string): Promise<void> {
  await rm(dataDirectory, { recursive: true, force: true });
  await releaseTemplate();
}
