/**
 * Runs one migration: claims its row under a new epoch, does what the state machine lists for the
 * state that is stored, and stores what follows from what it sees. It keeps no state of its own:
 * killed at any moment, another one reads the row and does the same.
 *
 *     row ──effects──▶ work on servers ──observations──▶ machine ──step──▶ row, by compare-and-set
 *      ▲                                                   ▲
 *      └──────────── commands of operators ────────────────┘   (stored by other processes)
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  FLEET_RENEW_INTERVAL_MS,
  MIGRATION_CUTOVER_POLL_MS,
  MIGRATION_POLL_MS,
  MIGRATION_RETRY_MS,
} from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { raiseRevision } from "../../control/control-schema.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { findHold } from "../../control/holds.ts";
import { LeaseWatch } from "../../control/lease-watch.ts";
import { controlNowMs, migrationVersion, readMigration } from "../../control/migration-store.ts";
import type { Stored } from "../../control/migration-store.ts";
import { step } from "../machine.ts";
import { effectsOf } from "../machine/effects.ts";
import type { Effect } from "../machine/effects.ts";
import type { Observation } from "../machine/events.ts";
import { isTrafficHeld } from "../machine/life.ts";
import type { Migration } from "../machine/life.ts";
import { perform } from "./effects.ts";
import { failureOf } from "./failures.ts";
import { nextMap } from "./next-map.ts";
import type { NextMap } from "./next-map.ts";
import type { Scene } from "./scene.ts";
import { Streams } from "./streams.ts";
import { withSignal } from "../with-signal.ts";
import { storeStep } from "./transition.ts";
import type { MigrationRow } from "./transition.ts";

/** What whoever runs it tells people. */
export type Report = (what: {
  readonly migration: string;
  readonly state: string;
  readonly because: string;
}) => void;

export type Ending =
  /** There is nothing left to do: completed or cancelled. */
  | { readonly kind: "over"; readonly state: string }
  /** Another orchestrator has claimed it. */
  | { readonly kind: "superseded" };

interface Running {
  readonly isStream: boolean;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class Orchestration {
  readonly #scene: Scene;
  /** Where the row is stored: nothing else is asked on it meanwhile. */
  readonly #store: ControlDatabase;
  readonly #report: Report;
  readonly #streams: Streams;
  /** Of leases, from before a cutover on: a proxy that is dead by then is not waited for in the pause. */
  readonly #watch = new LeaseWatch();
  readonly #running = new Map<string, Running>();
  #observedMs = -Infinity;
  readonly #events: Observation[] = [];
  #arrival = Promise.withResolvers<void>();
  #row: MigrationRow;
  #isSuperseded = false;
  /** What no machine foresees: it ends the process's part in the migration. */
  #broken: unknown;
  /** Made before statements are held, so that no client waits for it. */
  #nextMap: NextMap | undefined;

  /** `row`: claimed under the scene's epoch. */
  constructor(scene: Scene, store: ControlDatabase, row: MigrationRow, report: Report) {
    this.#scene = scene;
    this.#store = store;
    this.#row = row;
    this.#report = report;
    this.#streams = new Streams(scene, {
      limits: () => this.#row.document.policy.throttle,
      tell: (because) =>
        this.#tell(because === undefined ? "copying goes on" : `copying waits: ${because}`),
    });
  }

  /** Rejects with the signal's reason, or where the control schema cannot be reached any more. */
  async run(signal: AbortSignal): Promise<Ending> {
    try {
      for (;;) {
        if (this.#isSuperseded) return { kind: "superseded" };
        const { state } = this.#row.document.life;
        if (state === "completed" || state === "cancelled") return { kind: "over", state };
        await this.#endHold();
        await this.#reconcile();
        await this.#look(signal);
      }
    } finally {
      for (const { stop } of this.#running.values()) stop.abort();
      await Promise.all([...this.#running.values()].map(({ ended }) => ended));
      this.#scene.kept.end();
    }
  }

  /** Until the row is another one: what is seen is held against it, and so are commands. */
  async #look(signal: AbortSignal): Promise<void> {
    const { version, document } = this.#row;
    const isUrgent = isTrafficHeld(document) || document.life.state === "retreating";
    while (this.#row.version === version && !this.#isSuperseded) {
      signal.throwIfAborted();
      if (this.#broken !== undefined) throw this.#broken;
      const event = this.#events.shift();
      if (event !== undefined) {
        await this.#advance(event);
        continue;
      }
      await this.#rest(isUrgent ? MIGRATION_CUTOVER_POLL_MS : MIGRATION_POLL_MS, signal);
      if (this.#events.length > 0) continue;
      if (!isUrgent) await this.#observeLeases();
      const { version: stored, nowMs } = await migrationVersion(this.#store, document.name);
      if (stored !== version) await this.#reload();
      else if (isUrgent) await this.#advance({ kind: "tick" }, nowMs);
    }
  }

  async #observeLeases(): Promise<void> {
    if (performance.now() - this.#observedMs < FLEET_RENEW_INTERVAL_MS) return;
    const proxies = await listProxies(this.#store);
    this.#observedMs = performance.now();
    this.#watch.observe(proxies, this.#observedMs);
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    this.#arrival = Promise.withResolvers<void>();
    const over = new AbortController();
    const pause = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
    try {
      await withSignal(Promise.race([this.#arrival.promise, pause]), signal);
    } finally {
      over.abort();
    }
  }

  /** One event. Where the row was changed meanwhile, it is held against the new one. */
  async #advance(event: Observation, seenMs?: number): Promise<void> {
    for (;;) {
      const nowMs = seenMs ?? (await controlNowMs(this.#store));
      const result = step(this.#row.document, event, nowMs);
      if (result.kind !== "moved") return;
      const stored = await this.#stored(result.migration, event);
      if (stored.kind === "stored") {
        this.#row = stored.migration;
        this.#tell(wordsOf(event));
        return;
      }
      // What is too late is ended by the next tick.
      if (stored.kind === "tooLate") return;
      await this.#reload();
      if (this.#isSuperseded) return;
    }
  }

  async #stored(after: Migration, event: Observation): Promise<Stored<Migration>> {
    const place = { row: this.#row, plan: this.#scene.plan };
    const what = wordsOf(event);
    const { life } = after;
    const isSwitch = life.state === "switched" && this.#row.document.life.state === "drained";
    if (!isSwitch) return await storeStep(this.#store, place, after, { what });
    try {
      this.#nextMap ??= await nextMap({ ...this.#scene, control: this.#store }, life.direction);
      const within = (): Promise<void> => this.#keepHold(after);
      return await storeStep(this.#store, place, after, { what, publish: this.#nextMap, within });
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      if (error.id === "hold_over") return { kind: "tooLate" };
      if (error.id !== "map_version_taken") throw error;
      this.#events.push({ kind: "failed", because: "server_refused", detail: error.message });
      return { kind: "tooLate" };
    }
  }

  /** The hold and the switch decide each other: see control/holds.ts. */
  async #keepHold({ name, policy }: Migration): Promise<void> {
    await this.#store.query(raiseRevision());
    const found = await findHold(this.#store, name);
    if (found === undefined) throw new SqlError("hold_over", `hold "${name}" is over`);
    await found.hold.keep(policy.pauseMs);
  }

  async #reload(): Promise<void> {
    const row = await readMigration<Migration>(this.#store, this.#row.document.name);
    if (BigInt(row.document.epoch) !== this.#scene.epoch) {
      this.#isSuperseded = true;
      return;
    }
    if (row.version === this.#row.version) return;
    this.#row = row;
    this.#tell("a command");
  }

  /** Statements go on as soon as the row says so. One that is only announced is for a cutover to come. */
  async #endHold(): Promise<void> {
    if (isTrafficHeld(this.#row.document)) return;
    this.#nextMap = undefined;
    this.#scene.kept.end();
    const found = await findHold(this.#store, this.#row.document.name);
    if (found?.isStarted === true) await found.hold.resume();
  }

  /** What is listed runs, and nothing else does. */
  async #reconcile(): Promise<void> {
    const { document } = this.#row;
    const effects = effectsOf(document);
    for (const effect of effects)
      if (effect.do === "stream") this.#streams.setArmed(effect.direction, effect.discarding);
    const { life, ticket } = document;
    const isAttempt =
      life.state === "pausing" || life.state === "fenced" || life.state === "drained";
    this.#streams.setAttempt(isAttempt ? { direction: life.direction, ticket } : undefined);
    const wanted = new Map(effects.map((effect) => [keyOf(effect, document), effect]));
    const stopped: Promise<void>[] = [];
    for (const [key, { stop, ended, isStream }] of this.#running) {
      if (wanted.has(key)) continue;
      stop.abort();
      // A stream may take its time to end; what else there is shares a connection, one after the other.
      if (isStream) continue;
      stopped.push(ended);
      this.#running.delete(key);
    }
    await Promise.all(stopped);
    for (const [key, effect] of wanted) {
      const running = this.#running.get(key);
      if (running?.stop.signal.aborted === true) await running.ended;
      if (running === undefined || running.stop.signal.aborted) this.#begin(key, effect);
    }
  }

  #begin(key: string, effect: Effect): void {
    const stop = new AbortController();
    const ended = this.#perform(effect, this.#row, stop.signal).catch((error: unknown) => {
      this.#broken ??= error;
      this.#arrival.resolve();
    });
    this.#running.set(key, { stop, ended, isStream: effect.do === "stream" });
  }

  /** Again and again where it fails: the machine stops what must not be tried any more. */
  async #perform(effect: Effect, row: MigrationRow, signal: AbortSignal): Promise<void> {
    const tell = (event: Observation): void => {
      if (signal.aborted) return;
      this.#events.push(event);
      this.#arrival.resolve();
    };
    const keepMap = (map: NextMap): void => {
      this.#nextMap = map;
    };
    const { name } = row.document;
    let told = "";
    while (!signal.aborted) {
      try {
        return await perform(effect, {
          scene: this.#scene,
          streams: this.#streams,
          watch: this.#watch,
          row,
          tell,
          keepMap,
          signal,
        });
      } catch (error) {
        if (signal.aborted) return;
        const failure = failureOf(error);
        if (failure.kind === "superseded") this.#isSuperseded = true;
        else if (failure.kind !== "away") tell(failure);
        this.#arrival.resolve();
        if (failure.detail !== told)
          this.#report({
            migration: name,
            state: row.document.life.state,
            because: failure.detail,
          });
        told = failure.detail;
      }
      await sleep(MIGRATION_RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #tell(because: string): void {
    const { name, life } = this.#row.document;
    this.#report({ migration: name, state: life.state, because });
  }
}

/** Streams go on from state to state; everything else is of the state that listed it. */
function keyOf(effect: Effect, { life }: Migration): string {
  return effect.do === "stream"
    ? `stream ${effect.direction}`
    : `${life.state} ${JSON.stringify(effect)}`;
}

/** For the log of the migration. */
function wordsOf(event: Observation): string {
  switch (event.kind) {
    case "setUp":
      return `set up: ${event.step}`;
    case "done":
      return `done: ${event.work}`;
    case "failed":
      return `${event.because}: ${event.detail}`;
    case "slotLost":
      return `slot lost: ${event.detail}`;
    case "tick":
      return "time is up";
    case "inspected":
      return event.errors.length === 0 ? "nothing stands in the way" : event.errors.join("; ");
    case "proxiesSeen":
      return "proxies have followed";
    case "markersSeen":
      return "every marker has arrived";
    default:
      return event.kind;
  }
}
