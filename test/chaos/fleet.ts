/**
 * Three proxies that follow a control schema, four databases of a bank on two servers, and a third
 * server for the control schema alone: what can be killed, stopped, cut off, and comes back.
 *
 * To each server two lines lead from the proxies, and the map says which is used, as it would for a
 * server with two addresses; each proxy has a line of its own to the control schema. It knows what
 * is whole, and since when; what is to be expected of proxies then is not its matter.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { bankMap, CATALOG, SCHEMA } from "../failures/kills/bank.ts";
import type { Bank } from "../failures/kills/bank.ts";
import { ServerSlot } from "../failures/kills/fleet.ts";
import { runCommand, startCommand } from "../support/command.ts";
import type { CommandResult, RunningCommand } from "../support/command.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { RawClient } from "../support/raw-client.ts";
import { ROUTES_PER_SERVER } from "./events.ts";
import { Line } from "./line.ts";

const PROXIES = 3;
const HOST = "127.0.0.1";
const LEFT = [CATALOG, "bank0", "bank1"];
const RIGHT = ["bank2", "bank3"];
/** A proxy that cannot start is started again, as by a supervisor. */
const RESTART_PAUSE_MS = 200;
const RESTARTS_MAX = 100;
/** Which line the first map takes to each server of databases. */
export const FIRST_ROUTES: readonly number[] = [0, 0];
const ANSWER_TIMEOUT_MS = 40_000;
const METRIC_TIMEOUT_MS = 5_000;

export class ChaosFleet implements Bank, AsyncDisposable {
  readonly proxies: readonly ProxySlot[];
  /** Of the databases, and behind them the control schema's. */
  readonly servers: readonly Machine[];
  /** `ROUTES_PER_SERVER` for each server of databases. */
  readonly dataLines: readonly Line[];
  readonly #directory: string;
  readonly #postgres: readonly TestPostgres[];

  static async start(): Promise<ChaosFleet> {
    const stack = new AsyncDisposableStack();
    try {
      const settings = { max_prepared_transactions: "100", max_connections: "200" };
      const postgres = await Promise.all([
        startPostgres({ databases: LEFT, settings }),
        startPostgres({ databases: RIGHT, settings }),
        startPostgres(),
      ]);
      for (const each of postgres) stack.use(each);
      const [left, right, control] = postgres;
      const data = [left, right].flatMap((server, index) =>
        Array.from({ length: ROUTES_PER_SERVER }, (_, route) =>
          Line.open(`line ${route} to server ${index}`, server.port),
        ),
      );
      const dataLines = await Promise.all(data);
      const controlLines = await Promise.all(
        Array.from({ length: PROXIES }, (_, index) =>
          Line.open(`line of proxy ${index} to the control schema`, control.port),
        ),
      );
      for (const line of [...dataLines, ...controlLines]) stack.use(line);
      for (const name of LEFT) await left.query(name, SCHEMA);
      for (const name of RIGHT) await right.query(name, SCHEMA);
      const directory = mkdtempSync(join(tmpdir(), "colonnade-chaos-"));
      stack.defer(() => rmSync(directory, { recursive: true, force: true }));
      const fleet = new ChaosFleet(directory, postgres, dataLines, controlLines);
      stack.defer(async () => {
        await Promise.all(fleet.proxies.map((proxy) => proxy.end()));
      });
      fleet.#held = stack.move();
      return fleet;
    } catch (cause) {
      await stack.disposeAsync();
      throw cause;
    }
  }

  #held = new AsyncDisposableStack();

  private constructor(
    directory: string,
    postgres: readonly TestPostgres[],
    dataLines: readonly Line[],
    controlLines: readonly Line[],
  ) {
    this.#directory = directory;
    this.#postgres = postgres;
    this.dataLines = dataLines;
    this.servers = postgres.map((server, index) => new Machine(`server ${index}`, server));
    this.proxies = controlLines.map(
      (line, index) => new ProxySlot(`proxy ${index}`, directory, line),
    );
  }

  /** The first map is published, and all proxies serve it. */
  async open(): Promise<void> {
    for (const words of [
      ["control", "init"],
      ["map", "publish", this.mapFile(1, FIRST_ROUTES)],
    ]) {
      const { code, stderr } = await this.command(...words);
      if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}: ${stderr}`);
    }
    await Promise.all(this.proxies.map((proxy) => proxy.start()));
  }

  get control(): TestPostgres {
    return this.#postgres[2] as TestPostgres;
  }

  serverOf(database: string): TestPostgres {
    return this.#postgres[RIGHT.includes(database) ? 1 : 0] as TestPostgres;
  }

  /** As a balancer does that looks at them: none that is down or stopped. */
  async connect(preferred: number): Promise<RawClient> {
    const serving = this.proxies.filter(({ isServing }) => isServing);
    const slot = serving[preferred % Math.max(serving.length, 1)];
    if (slot === undefined) throw new Error("no proxy serves");
    return await slot.connect();
  }

  /** As an operator gives them, past all lines. */
  async command(...words: readonly string[]): Promise<CommandResult> {
    return await runCommand(...words, "--control", this.control.url("postgres"));
  }

  /** As an operator does who knows that they were killed, and not merely silent. */
  async forgetDeadProxies(): Promise<void> {
    const alive = this.proxies.flatMap(({ pid }) => pid ?? []);
    await this.control.query(
      "postgres",
      "DELETE FROM colonnade.proxy WHERE process_id <> ALL ($1::int[])",
      [alive],
    );
  }

  /** A file with the map of a version; `routes`: which line leads to each server. */
  mapFile(version: number, routes: readonly number[]): string {
    const path = join(this.#directory, `map-${version}.yaml`);
    const lineOf = (database: string): Line => {
      const server = RIGHT.includes(database) ? 1 : 0;
      return this.dataLines[server * ROUTES_PER_SERVER + (routes[server] ?? 0)] as Line;
    };
    writeFileSync(
      path,
      bankMap(version, (database) => lineOf(database).url(database)),
    );
    return path;
  }

  /** Since when nothing keeps a proxy from following the control schema; undefined where something does. */
  wholeSinceMs(proxy: ProxySlot): number | undefined {
    const parts = [
      { isWhole: proxy.isServing, changedMs: proxy.changedMs },
      proxy.controlLine,
      ...this.dataLines,
      ...this.servers,
    ];
    if (!parts.every(({ isWhole }) => isWhole)) return undefined;
    return Math.max(...parts.map(({ changedMs }) => changedMs));
  }

  logs(): readonly string[] {
    return this.proxies.flatMap(({ logs }) => logs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

/** A server that remembers when it last went or came. */
export class Machine {
  readonly name: string;
  readonly #slot: ServerSlot;
  changedMs = 0;

  constructor(name: string, server: TestPostgres) {
    this.name = name;
    this.#slot = new ServerSlot(name, server);
  }

  get isWhole(): boolean {
    return this.#slot.isUp();
  }

  async kill(): Promise<void> {
    this.changedMs = performance.now();
    await this.#slot.kill();
  }

  async restart(): Promise<void> {
    await this.#slot.restart();
    this.changedMs = performance.now();
  }
}

type State = "down" | "serving" | "stopped";

export class ProxySlot {
  readonly name: string;
  readonly controlLine: Line;
  readonly #directory: string;
  readonly #ended: string[] = [];
  #ports: { readonly port: number; readonly adminPort: number } | undefined;
  #command: RunningCommand | undefined;
  #state: State = "down";
  #isOver = false;
  /** Of its last change of state, by performance.now(). */
  changedMs = 0;

  constructor(name: string, directory: string, controlLine: Line) {
    this.name = name;
    this.#directory = directory;
    this.controlLine = controlLine;
  }

  /** As far as its process is concerned. */
  get isServing(): boolean {
    return this.#state === "serving" && this.#command?.child.exitCode === null;
  }

  /** Of its process; undefined where it has none. */
  get pid(): number | undefined {
    return this.#command?.child.pid;
  }

  get port(): number {
    return this.#ports?.port ?? 0;
  }

  get logs(): readonly string[] {
    return this.#command === undefined ? this.#ended : [...this.#ended, this.#command.output()];
  }

  /** Resolves once it serves. It does not start without its catalog database, and the control schema or `mapFile`. */
  async start(mapFile?: string): Promise<void> {
    this.#ports ??= { port: await freePort(), adminPort: await freePort() };
    const { port, adminPort } = this.#ports;
    const config = join(this.#directory, `config-${port}.yaml`);
    const pool = { size: 12 };
    writeFileSync(config, stringify({ pool, listen: { port }, admin: { port: adminPort } }));
    const control = ["--control", this.controlLine.url("postgres"), "--config", config];
    for (let attempt = 1; !this.#isOver; attempt += 1) {
      const command = startCommand("serve", ...control, ...(mapFile ? ["--map", mapFile] : []));
      this.#command = command;
      try {
        await command.untilPrinted('"listening"');
        this.#change("serving");
        return;
      } catch (error) {
        if (this.#isOver) return;
        if (attempt === RESTARTS_MAX) throw error;
        await sleep(RESTART_PAUSE_MS);
      }
    }
  }

  async kill(): Promise<void> {
    this.#change("down");
    await this.#end("SIGKILL");
  }

  /** SIGTERM: its clients' transactions end first. */
  async drain(): Promise<CommandResult | undefined> {
    this.#change("down");
    return await this.#end("SIGTERM");
  }

  pause(): void {
    this.#change("stopped");
    this.#command?.child.kill("SIGSTOP");
  }

  resume(): void {
    this.#command?.child.kill("SIGCONT");
    this.#change("serving");
  }

  async connect(): Promise<RawClient> {
    const to = { host: HOST, port: this.port, user: "postgres", database: CATALOG };
    return await RawClient.connect({ ...to, timeoutMs: ANSWER_TIMEOUT_MS });
  }

  /** Of the map in force, as its metrics say. */
  async mapVersion(): Promise<number> {
    const url = `http://${HOST}:${this.#ports?.adminPort}/metrics`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(METRIC_TIMEOUT_MS) });
    return Number(/^colonnade_map_version (\d+)$/m.exec(await answer.text())?.[1]);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#command?.child.kill("SIGCONT");
    await this.#end("SIGINT");
  }

  async #end(signal: NodeJS.Signals): Promise<CommandResult | undefined> {
    const command = this.#command;
    command?.child.kill(signal);
    const result = await command?.finished;
    if (command !== undefined) this.#ended.push(command.output());
    this.#command = undefined;
    return result;
  }

  #change(state: State): void {
    this.#state = state;
    this.changedMs = performance.now();
  }
}
