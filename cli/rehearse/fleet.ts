/**
 * What a rehearsal runs on: throw-away PostgreSQL servers with the maps' databases, proxies that
 * follow a control schema, and orchestrators, each a process of this very program. What dies is
 * started again, as by a supervisor.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { stringify } from "yaml";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { freePort } from "../dev/free-port.ts";
import { startThrowAwayServer } from "../dev/throw-away-server.ts";
import type { ThrowAwayServer } from "../dev/throw-away-server.ts";
import { CommandFailure } from "../failure.ts";
import { rehearsedMap } from "./map-text.ts";
import { startCommand } from "./program.ts";
import type { CommandResult, RunningCommand } from "./program.ts";

export interface FleetOptions {
  readonly from: ShardMap;
  readonly to: ShardMap;
  readonly proxyCount: number;
}

const HOST = "127.0.0.1";
/** The catalog database has one to itself; the others share the rest, so that some moves go between servers. */
const SERVERS = 3;
const SETTINGS = {
  wal_level: "logical",
  max_prepared_transactions: "100",
  max_connections: "300",
  max_replication_slots: "40",
  max_wal_senders: "40",
  max_active_replication_origins: "40",
};
/** After a process has died. */
const RESTART_PAUSE_MS = 300;

export class Fleet implements AsyncDisposable {
  readonly servers: readonly ThrowAwayServer[];
  readonly proxies: readonly Proxy[];
  readonly #maps: readonly [ShardMap, ShardMap];
  readonly #serverOf: ReadonlyMap<string, ThrowAwayServer>;
  readonly #directory: string;
  readonly #commands = new Set<RunningCommand>();
  #mapFiles = 0;

  private constructor(
    servers: readonly ThrowAwayServer[],
    serverOf: ReadonlyMap<string, ThrowAwayServer>,
    { from, to, proxyCount }: FleetOptions,
  ) {
    this.servers = servers;
    this.#maps = [from, to];
    this.#serverOf = serverOf;
    this.#directory = mkdtempSync(join(tmpdir(), "colonnade-rehearsal-"));
    this.proxies = Array.from({ length: proxyCount }, () => new Proxy(this, this.#directory));
  }

  /** Servers with empty databases; proxies are started once there are tables. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const { from, to } = options;
    const names = [...new Set([...from.databases.keys(), ...to.databases.keys()])];
    const others = names.filter((name) => name !== from.catalog);
    const shares = [
      [from.catalog],
      ...Array.from({ length: SERVERS - 1 }, (_, index) =>
        others.filter((__, at) => at % (SERVERS - 1) === index),
      ),
    ];
    const started: ThrowAwayServer[] = [];
    try {
      await Promise.all(
        shares.map(async (databases, index) => {
          started[index] = await startThrowAwayServer({ databases, settings: SETTINGS });
        }),
      );
      const serverOf = new Map(
        shares.flatMap((databases, index) =>
          databases.map((name) => [name as string, started[index] as ThrowAwayServer] as const),
        ),
      );
      const fleet = new Fleet(started, serverOf, options);
      await fleet.#makeSchemas();
      return fleet;
    } catch (error) {
      await Promise.all(started.map(async (server) => await server?.stop()));
      throw error;
    }
  }

  get databases(): readonly string[] {
    return [...this.#serverOf.keys()];
  }

  get control(): string {
    return this.url(this.#maps[0].catalog);
  }

  url(database: string): string {
    return this.serverOf(database).url(database);
  }

  serverOf(database: string): ThrowAwayServer {
    const server = this.#serverOf.get(database);
    if (server === undefined) throw new Error(`no server has database ${database}`);
    return server;
  }

  /** On a connection of its own, past the proxies. */
  async query(
    database: string,
    sql: string,
    values?: readonly unknown[],
  ): Promise<readonly Record<string, unknown>[]> {
    return (await this.serverOf(database).query(database, sql, values)).rows;
  }

  async askControl(sql: string): Promise<readonly Record<string, unknown>[]> {
    return await this.query(this.#maps[0].catalog, sql);
  }

  /** One of both maps under another version. */
  mapFile(which: "from" | "to", version: number): string {
    this.#mapFiles += 1;
    const path = join(this.#directory, `map-${version}-${this.#mapFiles}.yaml`);
    const map = this.#maps[which === "from" ? 0 : 1];
    writeFileSync(
      path,
      rehearsedMap(map, version, (database) => this.url(database)),
    );
    return path;
  }

  /** This program, with the control schema's URL. */
  start(...words: readonly string[]): RunningCommand {
    const command = startCommand(...words, "--control", this.control);
    this.#commands.add(command);
    void command.finished.then(() => this.#commands.delete(command));
    return command;
  }

  async run(...words: readonly string[]): Promise<CommandResult> {
    return await this.start(...words).finished;
  }

  /** Throws where it does not end with 0. */
  async require(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...words);
    if (code === 0) return stdout;
    throw new CommandFailure(`colonnade ${words.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  }

  /** The control schema with the first map, and the proxies. */
  async serve(): Promise<void> {
    await this.require("control", "init");
    await this.require("map", "publish", this.mapFile("from", 1), "--no-wait");
    await Promise.all(this.proxies.map(async (proxy) => await proxy.start()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.proxies) proxy.end();
    for (const { child } of this.#commands) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    await Promise.all([...this.#commands].map(async ({ finished }) => await finished));
    await Promise.all(this.servers.map(async (server) => await server.stop()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #makeSchemas(): Promise<void> {
    const schemas = new Map(this.databases.map((name) => [name, new Set<string>()]));
    for (const map of this.#maps) {
      for (const name of map.databases.keys()) schemas.get(name)?.add(map.canonicalSchema);
      for (const { database, schema } of placesOf(map)) schemas.get(database)?.add(schema);
    }
    for (const [database, names] of schemas)
      await this.query(
        database,
        [...names].map((name) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(name)}`).join("; "),
      );
  }
}

export function placesOf(
  map: ShardMap,
): readonly { readonly database: string; readonly schema: string }[] {
  return [
    ...[...map.colocations.values()].flatMap(({ placements }) => placements),
    ...map.groups.values(),
  ];
}

/** `colonnade serve`, on the same port again after it has died. */
export class Proxy {
  readonly #fleet: Fleet;
  readonly #directory: string;
  #port = 0;
  #config = "";
  #command: RunningCommand | undefined;
  #isOver = false;

  constructor(fleet: Fleet, directory: string) {
    this.#fleet = fleet;
    this.#directory = directory;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    if (this.#port === 0) {
      this.#port = await freePort();
      this.#config = join(this.#directory, `config-${this.#port}.yaml`);
      const admin = { port: await freePort() };
      writeFileSync(this.#config, stringify({ listen: { port: this.#port }, admin }));
    }
    const command = this.#fleet.start("serve", "--config", this.#config);
    this.#command = command;
    await command.untilPrinted("following the control schema");
  }

  /** Resolves once it serves again. */
  async killAndRestart(): Promise<void> {
    this.signal("SIGKILL");
    await this.#command?.finished;
    const dead = this.#command?.child.pid;
    while (!this.#isOver) {
      await sleep(RESTART_PAUSE_MS);
      try {
        // Its process is gone for good, and nobody else will say so.
        await this.#fleet.askControl(`DELETE FROM colonnade.proxy WHERE process_id = ${dead ?? 0}`);
        return await this.start();
      } catch {
        // Its catalog database may be away, too.
      }
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#command?.child.kill(name);
  }

  end(): void {
    this.#isOver = true;
  }

  async connect(database: string): Promise<pg.Client> {
    return await connectTo({ host: HOST, port: this.#port, user: "postgres", database });
  }
}

export async function connectTo(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** `colonnade orchestrate`, started again when it dies; what it prints tells each state as it comes. */
export class Orchestrator {
  readonly #fleet: Fleet;
  readonly #onState: (state: string) => void;
  #command: RunningCommand;
  #isOver = false;

  constructor(fleet: Fleet, onState: (state: string) => void) {
    this.#fleet = fleet;
    this.#onState = onState;
    this.#command = this.#start();
  }

  signal(name: NodeJS.Signals): void {
    this.#command.child.kill(name);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.signal("SIGCONT");
    this.signal("SIGKILL");
    await this.#command.finished;
  }

  #start(): RunningCommand {
    const command = this.#fleet.start("orchestrate", "--json");
    let rest = "";
    command.child.stdout?.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#onState(stateOf(line));
    });
    void command.finished.then(async () => {
      if (this.#isOver) return;
      await sleep(RESTART_PAUSE_MS);
      if (!this.#isOver) this.#command = this.#start();
    });
    return command;
  }
}

function stateOf(line: string): string {
  try {
    return (JSON.parse(line) as { readonly state?: string }).state ?? "";
  } catch {
    return "";
  }
}
