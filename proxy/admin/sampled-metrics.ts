/**
 * Metrics that are read off the parts once a second rather than told by them: pools, the
 * plan cache, the parser. It knows no part, only functions that say how each stands.
 */
import { GAUGE_INTERVAL_MS } from "../../base/limits.ts";
import type { Metrics } from "../../base/metrics.ts";

export interface SampledParts {
  readonly pools: () => ReadonlyMap<
    string,
    {
      readonly idle: number;
      readonly used: number;
      readonly opening: number;
      readonly waiting: number;
      readonly limit: number;
      readonly isOpen: boolean;
      readonly waitTimeouts: number;
      readonly shedEarly: number;
      readonly shedOpen: number;
      readonly shedFull: number;
    }
  >;
  /** Sessions that keep a backend, by reason. */
  readonly pinned: () => ReadonlyMap<string, number>;
  readonly plans: () => {
    readonly hits: number;
    readonly misses: number;
    readonly evictions: number;
    readonly texts: number;
  };
  readonly parserInstances: () => number;
}

export class SampledMetrics {
  readonly #parts: SampledParts;
  readonly #metrics: Metrics;
  /** What each counter stood at when it was last read. */
  readonly #counted = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: SampledParts, metrics: Metrics) {
    this.#parts = parts;
    this.#metrics = metrics;
  }

  start(): void {
    this.#read();
    this.#timer = setInterval(() => this.#read(), GAUGE_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(): void {
    const metrics = this.#metrics;
    for (const [database, pool] of this.#parts.pools()) {
      const { idle, used, opening, waiting, limit, isOpen } = pool;
      metrics.set("colonnade_backends", { database, state: "idle" }, idle);
      metrics.set("colonnade_backends", { database, state: "busy" }, used);
      metrics.set("colonnade_backends", { database, state: "connecting" }, opening);
      metrics.set("colonnade_pool_waiters", { database }, waiting);
      metrics.set("colonnade_pool_limit", { database }, limit);
      metrics.set("colonnade_circuit_open", { database }, Number(isOpen));
      const refused = {
        overload: pool.shedEarly,
        queue: pool.shedFull,
        deadline: pool.waitTimeouts,
        circuit: pool.shedOpen,
      };
      for (const [reason, count] of Object.entries(refused)) {
        const by = this.#since(`refused ${reason} ${database}`, count);
        metrics.increment("colonnade_pool_refused_total", { database, reason }, by);
      }
    }
    for (const [reason, count] of this.#parts.pinned())
      metrics.set("colonnade_pinned_sessions", { reason }, count);
    const { hits, misses, evictions, texts } = this.#parts.plans();
    const lookups = "colonnade_plan_cache_lookups_total";
    metrics.increment(lookups, { result: "hit" }, this.#since("hits", hits));
    metrics.increment(lookups, { result: "miss" }, this.#since("misses", misses));
    metrics.increment(
      "colonnade_plan_cache_evictions_total",
      {},
      this.#since("evictions", evictions),
    );
    metrics.set("colonnade_plan_cache_entries", {}, texts);
    const instances = this.#parts.parserInstances();
    metrics.increment("colonnade_parser_instances_total", {}, this.#since("instances", instances));
  }

  #since(counter: string, value: number): number {
    const before = this.#counted.get(counter) ?? 0;
    this.#counted.set(counter, value);
    // A pool that has replaced another counts from the start.
    return value < before ? value : value - before;
  }
}
