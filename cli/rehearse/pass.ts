/**
 * One way through a migration, from plan to complete, by the commands that operators give, while
 * clients write: straight, or with a rollback and forward again. What it saw becomes a report.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MIGRATION_PAUSE_MS } from "../../base/limits.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { SourceStatement } from "../dev/load-sql.ts";
import { errorsOf, parsed, refusalsOf } from "./answers.ts";
import { Faults } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { Fleet, Orchestrator } from "./fleet.ts";
import { leftovers, sequencesBehind } from "./leftovers.ts";
import { loadSchema } from "./load.ts";
import type { Attempt, InvariantName, PassReport } from "./report.ts";
import { initialNumbers, numbersOf, Traffic } from "./traffic.ts";
import type { TrafficOptions, TrafficReport } from "./traffic.ts";

export interface PassOptions {
  readonly name: PassReport["name"];
  readonly from: ShardMap;
  readonly to: ShardMap;
  readonly statements: readonly SourceStatement[];
  readonly proxyCount: number;
  readonly traffic: Omit<TrafficOptions, "recipes">;
  /** For so long clients write where the rows are, before and after each switch. */
  readonly holdMs: number;
  readonly faults: readonly Fault[];
  /** Told by the orchestrator as each comes. */
  readonly onState?: (state: string) => void;
  readonly say: (line: string) => void;
}

/** Every wait for a state ends after so long: then the pass is unfinished. */
const STATE_TIMEOUT_MS = 240_000;
const POLL_MS = 100;
const ATTEMPTS_MAX = 12;
/** What is prepared is decided by the proxies so soon after everything is whole. */
const DECIDED_TIMEOUT_MS = 20_000;

class Ended extends Error {
  readonly outcome: "refused" | "unfinished";

  constructor(outcome: "refused" | "unfinished", because: string) {
    super(because);
    this.outcome = outcome;
  }
}

export async function runPass(options: PassOptions, signal: AbortSignal): Promise<PassReport> {
  return await withRehearsal(options, signal, async (rehearsal) => await rehearsal.run());
}

/** With servers, proxies, an orchestrator and traffic, which all end with `work`. */
export async function withRehearsal<T>(
  options: PassOptions,
  signal: AbortSignal,
  work: (rehearsal: Rehearsal) => Promise<T>,
): Promise<T> {
  const { from, to, proxyCount, traffic, statements, say, name } = options;
  say(`${name}: starting servers`);
  await using fleet = await Fleet.start({ from, to, proxyCount });
  const numbers = initialNumbers(numbersOf(traffic, proxyCount));
  say(`${name}: making tables and ${numbers.length} rows in each`);
  const { map, recipes } = await loadSchema(fleet, statements, () => numbers, signal);
  await fleet.serve();
  const clients = new Traffic(fleet, map, { ...traffic, recipes }, { before: from, after: to });
  const rehearsal = new Rehearsal(fleet, clients, options, signal);
  try {
    return await work(rehearsal);
  } finally {
    await rehearsal.stop();
  }
}

/** What operators do, step by step, and what came of it. */
export class Rehearsal {
  readonly fleet: Fleet;
  readonly traffic: Traffic;
  readonly #options: PassOptions;
  readonly #signal: AbortSignal;
  readonly #faults: Faults;
  readonly orchestrator: Orchestrator;
  readonly cutovers: Attempt[] = [];
  readonly #verified: string[] = [];
  readonly #because: string[] = [];
  readonly #broken: Record<InvariantName, string[]> = {
    I1: [],
    I2: [],
    I3: [],
    I4: [],
    I5: [],
    I6: [],
  };
  #plan: unknown;
  #preflight: unknown;
  #names: readonly string[] = [];
  #switches = 0;
  #isOver = false;

  constructor(fleet: Fleet, traffic: Traffic, options: PassOptions, signal: AbortSignal) {
    this.fleet = fleet;
    this.traffic = traffic;
    this.#options = options;
    this.#signal = signal;
    this.orchestrator = new Orchestrator(fleet, (state) => {
      this.#faults.onState(state);
      options.onState?.(state);
    });
    this.#faults = new Faults(options.faults, fleet, this.orchestrator, options.say);
  }

  /** From plan to complete. */
  async run(): Promise<PassReport> {
    return await this.reported(async () => await this.#play());
  }

  /** What `work` has done, and what everybody saw meanwhile; nobody writes any more afterwards. */
  async reported(work: () => Promise<void>): Promise<PassReport> {
    const startMs = performance.now();
    let outcome: PassReport["outcome"] = "ended";
    try {
      await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!(error instanceof Ended)) throw error;
      outcome = error.outcome;
      this.#because.push(error.message);
    }
    const faults = await this.#faults.end();
    await this.judge(outcome);
    const writes = this.traffic.report;
    return {
      name: this.#options.name,
      outcome,
      because: this.#because,
      seconds: (performance.now() - startMs) / 1_000,
      migrations: this.#names,
      plan: this.#plan,
      preflight: this.#preflight,
      cutovers: this.cutovers,
      verified: this.#verified,
      faults,
      writes: {
        ...writes,
        bypassBefore: this.traffic.bypass.count("before"),
        bypassAfter: this.traffic.bypass.count("after"),
      },
      invariants: this.#broken,
    };
  }

  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#faults.end();
    await this.orchestrator.stop();
    await this.traffic.stop();
  }

  async #play(): Promise<void> {
    const { name } = this.#options;
    await this.hold();
    await this.plan();
    for (const migration of this.#names) {
      await this.obeyed("start", migration, "--background");
      await this.until(migration, ["ready"]);
      await this.hold();
      await this.switched("cutover", migration);
      await this.hold();
      if (name === "rollback") {
        await this.verify(migration);
        await this.switched("rollback", migration);
        await this.hold();
        await this.obeyed("resync", migration);
        await this.until(migration, ["ready"]);
        await this.switched("cutover", migration);
        await this.hold();
      }
      await this.verify(migration);
      await this.obeyed("complete", migration);
      await this.until(migration, ["completed"]);
    }
  }

  async plan(): Promise<void> {
    const path = this.fleet.mapFile("to", 2);
    const plan = await this.fleet.run("migrate", "plan", "--to", path, "--json");
    this.#plan = parsed(plan.stdout);
    if (plan.code === 1) throw new Ended("refused", plan.stderr + refusalsOf(this.#plan));
    if (plan.code !== 0) throw new Ended("unfinished", plan.stderr);
    const { migrations } = this.#plan as {
      readonly migrations: readonly { readonly name: string }[];
    };
    this.#names = migrations.map((migration) => migration.name);
    const preflight = await this.fleet.run("migrate", "preflight", "--json");
    this.#preflight = parsed(preflight.stdout);
    if (preflight.code === 1) throw new Ended("refused", errorsOf(this.#preflight));
  }

  /** Tried again where a server is away for a moment. */
  async obeyed(...words: readonly string[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { code, stderr } = await this.fleet.run("migrate", ...words);
      this.#signal.throwIfAborted();
      if (code === 0) return;
      if (attempt === ATTEMPTS_MAX) throw new Ended("unfinished", `${words.join(" ")}: ${stderr}`);
      await sleep(500);
    }
  }

  async until(migration: string, wanted: readonly string[]): Promise<string> {
    const endMs = performance.now() + STATE_TIMEOUT_MS;
    let resumed = 0;
    for (let before = ""; ;) {
      this.#signal.throwIfAborted();
      const { state, detail } = await this.#stateOf(migration);
      if (state !== before) this.#options.say(`${this.#options.name}: ${migration} is ${state}`);
      before = state;
      if (wanted.includes(state)) return state;
      if (state === "stopped" && detail.startsWith("proxy_silent") && resumed < ATTEMPTS_MAX) {
        // As the message says: it runs again, or its row is gone.
        await this.obeyed("resume", migration);
        resumed += 1;
      } else if (state === "stopped") throw this.#stopped(migration, detail);
      if (performance.now() > endMs)
        throw new Ended(
          "unfinished",
          `${migration} is ${state} after ${STATE_TIMEOUT_MS} ms, not ${wanted.join(" or ")}`,
        );
      await sleep(POLL_MS);
    }
  }

  #stopped(migration: string, detail: string): Ended {
    if (/apply_not_exact|rows_differ/.test(detail))
      this.#broken.I5.push(`${migration} stopped: ${detail}`);
    const isRefused = detail.startsWith("preflight_failed");
    return new Ended(isRefused ? "refused" : "unfinished", `${migration} stopped: ${detail}`);
  }

  async #stateOf(migration: string): Promise<{ readonly state: string; readonly detail: string }> {
    try {
      const [row] = await this.fleet.askControl(
        `SELECT state, document #>> '{life,because}' || ': ' || (document #>> '{life,detail}') AS detail FROM colonnade.migration WHERE name = '${migration}'`,
      );
      const { state, detail } = { ...row } as Record<string, string | null | undefined>;
      return { state: state ?? "unknown", detail: detail ?? "" };
    } catch {
      return { state: "unknown", detail: "" };
    }
  }

  /** Again and again where it is given up: service has to be back each time. */
  async switched(command: Attempt["command"], migration: string): Promise<void> {
    const due = command === "cutover" ? "reversible" : "rolledBack";
    const before = command === "cutover" ? "ready" : "reversible";
    for (let attempt = 1; ; attempt += 1) {
      this.traffic.restartClock();
      const { code, stdout, stderr } = await this.fleet.run(
        "migrate",
        command,
        migration,
        "--json",
      );
      const { pausedMs } = (parsed(stdout) ?? {}) as { readonly pausedMs?: number };
      const state = await this.until(migration, [due, before]);
      const clientsWaitedMs = this.traffic.report.worstMs;
      this.cutovers.push({ command, state, pausedMs, clientsWaitedMs });
      this.#options.say(
        `${this.#options.name}: ${command}: ${state}, held for ${pausedMs ?? 0} ms`,
      );
      if (pausedMs !== undefined && pausedMs > MIGRATION_PAUSE_MS)
        this.#broken.I6.push(
          `${command} held statements for ${pausedMs} ms, more than ${MIGRATION_PAUSE_MS}`,
        );
      await this.#expectService();
      if (state === due) {
        this.#switches += 1;
        return;
      }
      if (attempt === ATTEMPTS_MAX)
        throw new Ended(
          "unfinished",
          `${command} was given up ${attempt} times: exit code ${code}, ${stderr}`,
        );
      await sleep(1_000);
    }
  }

  /** A write that is acknowledged, by anybody, soon after a switch or a retreat. */
  async #expectService(): Promise<void> {
    const before = this.traffic.report.acknowledged;
    const endMs = performance.now() + DECIDED_TIMEOUT_MS;
    while (this.traffic.report.acknowledged <= before) {
      if (performance.now() > endMs) {
        this.#broken.I6.push(`no write was acknowledged for ${DECIDED_TIMEOUT_MS} ms afterwards`);
        return;
      }
      await sleep(10);
    }
  }

  async verify(migration: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { code, stdout, stderr } = await this.fleet.run("migrate", "verify", migration);
      if (code === 0 || stdout.includes("differences")) {
        this.#verified.push(stdout.trim());
        if (code !== 0) this.#broken.I4.push(`${migration}: ${stdout.trim()}`);
        return;
      }
      if (attempt === ATTEMPTS_MAX) throw new Ended("unfinished", `verify: ${stderr}`);
      await sleep(1_000);
    }
  }

  async hold(): Promise<void> {
    await sleep(this.#options.holdMs, undefined, { signal: this.#signal });
  }

  /** Once the faults are over: everything is stopped, then read. */
  async judge(outcome: PassReport["outcome"]): Promise<void> {
    const { from, to } = this.#options;
    await this.traffic.stop();
    const prepared = await this.#untilDecided();
    const version = await this.fleet.askControl("SELECT map_version AS v FROM colonnade.control");
    const inForce = Number(version[0]?.["v"]) % 2 === 1 ? from : to;
    const report: TrafficReport = this.traffic.report;
    this.#broken.I1.push(...(await this.traffic.differences(inForce)));
    this.#broken.I2.push(...this.traffic.bypass.overlaps(this.#switches));
    this.#broken.I3.push(...report.wrongReads);
    this.#broken.I4.push(...prepared);
    await this.#judgeEvents();
    if (outcome !== "ended") return;
    this.#broken.I4.push(
      ...(await leftovers(this.fleet)),
      ...(await sequencesBehind(this.fleet, { before: from, map: inForce })),
    );
    const doctor = await this.fleet.run("migrate", "doctor");
    if (doctor.code !== 0) this.#broken.I4.push(`doctor: ${doctor.stdout.trim()}`);
  }

  async #judgeEvents(): Promise<void> {
    const events = await this.fleet.askControl(
      "SELECT migration || ': ' || what AS what FROM colonnade.migration_event WHERE what LIKE 'apply_not_exact%' OR what LIKE 'rows_differ%' OR what LIKE 'foreign_write%'",
    );
    this.#broken.I5.push(...events.map((row) => String(row["what"])));
  }

  /** Transactions that stay prepared, as sentences. */
  async #untilDecided(): Promise<readonly string[]> {
    const endMs = performance.now() + DECIDED_TIMEOUT_MS;
    for (;;) {
      const left: string[] = [];
      for (const database of this.fleet.databases) {
        const rows = await this.fleet.query(
          database,
          "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
        );
        left.push(
          ...rows.map((row) => `${database} has transaction ${String(row["gid"])} prepared`),
        );
      }
      if (left.length === 0 || performance.now() > endMs) return left;
      await sleep(POLL_MS);
    }
  }
}
