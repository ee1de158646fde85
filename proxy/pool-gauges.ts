/** Puts what the pools say of themselves into the metrics, once a second. */
import { GAUGE_INTERVAL_MS } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Backends } from "./backend/backends.ts";

export class PoolGauges {
  readonly #backends: Backends;
  readonly #metrics: Metrics;
  #timer: NodeJS.Timeout | undefined;

  constructor(backends: Backends, metrics: Metrics) {
    this.#backends = backends;
    this.#metrics = metrics;
  }

  start(): void {
    this.#timer = setInterval(() => this.#read(), GAUGE_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(): void {
    for (const [database, { idle, used, opening, waiting }] of this.#backends.stats()) {
      this.#metrics.set("colonnade_backends", { database, state: "idle" }, idle);
      this.#metrics.set("colonnade_backends", { database, state: "busy" }, used);
      this.#metrics.set("colonnade_backends", { database, state: "connecting" }, opening);
      this.#metrics.set("colonnade_pool_waiters", { database }, waiting);
    }
  }
}
