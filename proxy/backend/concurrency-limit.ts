/**
 * How many connections of a pool new transactions may use at once, found from how fast the server
 * answers: where it takes longer than it used to, fewer are put to it, and as it recovers, more.
 *
 * Once in a while, what the server's answers took since (their geometric mean, so that a report
 * among point reads does not count for a thousand of them) is held against what they usually take:
 *
 *     limit = limit * clamp(tolerance * usual / now, 1/2, 1) + sqrt(limit)
 *
 * which is the gradient of Netflix' concurrency-limits and of Envoy's adaptive concurrency. What
 * is usual follows a faster server at once and a slower one over minutes: a server that stays slow
 * gets its connections back. It reads no clock and knows no connection.
 */
import {
  CONCURRENCY_SAMPLES_MIN,
  CONCURRENCY_STEP_MS,
  CONCURRENCY_USUAL_DRIFT,
} from "../../base/limits.ts";

export interface AdaptiveOptions {
  readonly min: number;
  /** How many times longer than usual answers may take before fewer are asked for. */
  readonly tolerance: number;
}

export class ConcurrencyLimit {
  readonly #max: number;
  readonly #options: AdaptiveOptions | undefined;
  #limit: number;
  #usualMs: number | undefined;
  #logSum = 0;
  #samples = 0;
  #usedMost = 0;
  #stepEnds = 0;

  /** Without options it stays at its most. */
  constructor(max: number, options: AdaptiveOptions | undefined) {
    this.#max = max;
    this.#limit = max;
    this.#options = options;
  }

  get value(): number {
    return Math.floor(this.#limit);
  }

  get isAdaptive(): boolean {
    return this.#options !== undefined;
  }

  /** `answerMs`: what one answer took, the mean of a lending's. `used`: connections lent then. */
  record(now: number, answerMs: number, used: number): void {
    if (this.#options === undefined) return;
    this.#logSum += Math.log(Math.max(answerMs, 0.001));
    this.#samples += 1;
    this.#usedMost = Math.max(this.#usedMost, used);
    if (now < this.#stepEnds || this.#samples < CONCURRENCY_SAMPLES_MIN) return;
    this.#adapt(Math.exp(this.#logSum / this.#samples), this.#options);
    this.#stepEnds = now + CONCURRENCY_STEP_MS;
    [this.#logSum, this.#samples, this.#usedMost] = [0, 0, 0];
  }

  #adapt(nowMs: number, { min, tolerance }: AdaptiveOptions): void {
    const usualMs = (this.#usualMs ??= nowMs);
    const gradient = Math.min(1, Math.max(0.5, (tolerance * usualMs) / nowMs));
    const next = this.#limit * gradient + Math.sqrt(this.#limit);
    // What is not used says nothing of whether more would do.
    const isUsed = this.#usedMost * 2 >= this.value;
    if (next < this.#limit || isUsed)
      this.#limit = Math.min(this.#max, Math.max(Math.min(min, this.#max), next));
    this.#usualMs =
      nowMs < usualMs
        ? nowMs
        : usualMs * (1 - CONCURRENCY_USUAL_DRIFT) + nowMs * CONCURRENCY_USUAL_DRIFT;
  }
}
