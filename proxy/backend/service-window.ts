/**
 * What a pool's server has done of late: how many were served and how many it failed, and how
 * long serving took, over a window that slides in steps. It reads no clock, and keeps the same few
 * numbers however much happens.
 */
import { SERVICE_WINDOW_MS, SERVICE_WINDOW_STEPS } from "../../base/limits.ts";

const STEP_MS = SERVICE_WINDOW_MS / SERVICE_WINDOW_STEPS;

export class ServiceWindow {
  readonly #served = new Float64Array(SERVICE_WINDOW_STEPS);
  readonly #servedMs = new Float64Array(SERVICE_WINDOW_STEPS);
  readonly #failed = new Float64Array(SERVICE_WINDOW_STEPS);
  /** The number of the step that is being written. */
  #step = 0;

  recordServed(now: number, ms: number): void {
    const at = this.#slideTo(now);
    this.#served[at] = (this.#served[at] ?? 0) + 1;
    this.#servedMs[at] = (this.#servedMs[at] ?? 0) + ms;
  }

  recordFailed(now: number, count: number): void {
    const at = this.#slideTo(now);
    this.#failed[at] = (this.#failed[at] ?? 0) + count;
  }

  totals(now: number): { readonly served: number; readonly failed: number } {
    this.#slideTo(now);
    return { served: sum(this.#served), failed: sum(this.#failed) };
  }

  /**
   * How long one was served, on average of the last `samplesMin` and who was served in the same
   * steps: a server that has become slow is known for it within a step or two, however much it
   * had served before. Undefined where the window has not as many.
   */
  meanServedMs(now: number, samplesMin: number): number | undefined {
    const newest = this.#slideTo(now) + SERVICE_WINDOW_STEPS;
    let [served, servedMs] = [0, 0];
    for (let back = 0; back < SERVICE_WINDOW_STEPS; back += 1) {
      const at = (newest - back) % SERVICE_WINDOW_STEPS;
      served += this.#served[at] ?? 0;
      servedMs += this.#servedMs[at] ?? 0;
      if (served >= samplesMin) return servedMs / served;
    }
    return undefined;
  }

  clear(): void {
    for (const each of [this.#served, this.#servedMs, this.#failed]) each.fill(0);
  }

  /** Forgets the steps that the window has left, and gives the place of the one that `now` is in. */
  #slideTo(now: number): number {
    const step = Math.floor(now / STEP_MS);
    const passed = Math.min(step - this.#step, SERVICE_WINDOW_STEPS);
    for (let back = 0; back < passed; back += 1) {
      const at = (step - back) % SERVICE_WINDOW_STEPS;
      this.#served[at] = 0;
      this.#servedMs[at] = 0;
      this.#failed[at] = 0;
    }
    if (passed > 0) this.#step = step;
    return this.#step % SERVICE_WINDOW_STEPS;
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
