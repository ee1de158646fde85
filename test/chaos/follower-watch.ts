/**
 * Whether proxies follow: each that is whole, and to which all is whole that it needs, serves the version
 * in force soon. It looks at the control schema and at proxies past all lines, again and again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { ChaosFleet, ProxySlot } from "./fleet.ts";

/** What the issue asks. */
export const FOLLOWS_WITHIN_MS = 2_000;
const LOOK_MS = 50;
/** A proxy that follows does as much as so many looks: on a machine that has other work it has longer. */
const LOOKS_ALLOWED = 3;

interface Task {
  readonly version: number;
  /** When the version was in force and nothing was in the way, whichever was last. */
  readonly sinceMs: number;
  isOver: boolean;
  /** The longest of our own looks meanwhile, which are short where the machine has time. */
  lookMs: number;
}

export class FollowerWatch {
  readonly #fleet: ChaosFleet;
  readonly #faults: string[];
  readonly #tasks = new Map<ProxySlot, Task>();
  #client: pg.Client | undefined;
  #inForce: { readonly version: number; readonly seenMs: number } | undefined;
  /** How long proxies took, one for each version and each mending that was waited for. */
  readonly tookMs: number[] = [];

  constructor(fleet: ChaosFleet, faults: string[]) {
    this.#fleet = fleet;
    this.#faults = faults;
  }

  async run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const startMs = performance.now();
      await this.#readVersion();
      await Promise.all(this.#fleet.proxies.map((proxy) => this.#look(proxy)));
      const lookMs = performance.now() - startMs;
      for (const task of this.#tasks.values()) task.lookMs = Math.max(task.lookMs, lookMs);
      await sleep(LOOK_MS);
    }
    await this.#client?.end().catch(() => undefined);
  }

  async #readVersion(): Promise<void> {
    try {
      this.#client ??= await this.#fleet.control.connect("postgres", { query_timeout: 5_000 });
      const { rows } = await this.#client.query<{ v: string }>(
        "SELECT map_version AS v FROM colonnade.control",
      );
      const version = Number(rows[0]?.v);
      if (this.#inForce?.version !== version)
        this.#inForce = { version, seenMs: performance.now() };
    } catch {
      // Its server is down: then no proxy is expected to follow.
      await this.#client?.end().catch(() => undefined);
      this.#client = undefined;
    }
  }

  async #look(proxy: ProxySlot): Promise<void> {
    const { version, seenMs } = this.#inForce ?? { version: 0, seenMs: 0 };
    const wholeMs = this.#fleet.wholeSinceMs(proxy);
    if (wholeMs === undefined || version === 0) {
      this.#tasks.delete(proxy);
      return;
    }
    const sinceMs = Math.max(wholeMs, seenMs);
    const task = this.#taskOf(proxy, version, sinceMs);
    if (task.isOver) return;
    const askedMs = performance.now();
    const serves = await proxy.mapVersion().catch(() => undefined);
    // Something may have happened to it meanwhile.
    if (this.#fleet.wholeSinceMs(proxy) !== wholeMs) return;
    if (serves === version) {
      task.isOver = true;
      this.tookMs.push(Math.max(0, performance.now() - sinceMs));
    } else if (askedMs - sinceMs > FOLLOWS_WITHIN_MS + LOOKS_ALLOWED * task.lookMs) {
      task.isOver = true;
      this.#faults.push(
        `${proxy.name} serves version ${serves ?? "unknown"} and not ${version}, ${Math.round(askedMs - sinceMs)} ms after nothing was in its way`,
      );
    }
  }

  #taskOf(proxy: ProxySlot, version: number, sinceMs: number): Task {
    const present = this.#tasks.get(proxy);
    if (present?.version === version && present.sinceMs === sinceMs) return present;
    const task = { version, sinceMs, isOver: false, lookMs: 0 };
    this.#tasks.set(proxy, task);
    return task;
  }
}
