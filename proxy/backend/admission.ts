/**
 * Whether a pool takes on a new transaction: not where its server fails most of what it is asked
 * (the circuit is open then), nor where so many wait that this one would wait for longer than it
 * may, nor on more connections than the server is quick with. It says so at once, so that a slow
 * server's clients are told in time, and hold up nobody else meanwhile.
 *
 * It knows no connection and reads no clock: its pool tells it what happens. Transactions that hold
 * connections, and the proxy's own work, do not ask it.
 */
import { SERVICE_SAMPLES_MIN } from "../../base/limits.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { AdaptiveOptions } from "./concurrency-limit.ts";
import { ServiceWindow } from "./service-window.ts";

export interface BreakerOptions {
  /** Failures in the window before their share is looked at. */
  readonly failuresMin: number;
  /** Of all that was asked in the window. */
  readonly failedShare: number;
}

export interface AdmissionOptions {
  readonly size: number;
  readonly waitMs: number;
  /** Refuses at once who would only be refused after `waitMs`. */
  readonly shedsEarly: boolean;
  readonly adaptive: AdaptiveOptions | undefined;
  readonly breaker: BreakerOptions | undefined;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #window = new ServiceWindow();
  readonly #limit: ConcurrencyLimit;
  #isOpen = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#limit = new ConcurrencyLimit(options.size, options.adaptive);
  }

  /** Connections that may be lent while new transactions are taken on. */
  get limit(): number {
    return this.#limit.value;
  }

  /** New transactions are refused until `close`. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether `served` wants to know how long answers took. */
  get measuresAnswers(): boolean {
    return this.#limit.isAdaptive;
  }

  /** A connection came back whole. `answerMs` is the mean of its answers, `used` how many were lent. */
  served(now: number, lentMs: number, answerMs: number, used: number): void {
    // One that was kept for long says little of when the next comes back.
    this.#window.recordServed(now, Math.min(lentMs, this.#options.waitMs));
    this.#limit.record(now, answerMs, used);
  }

  /** Nobody was served of late. */
  isStalled(now: number): boolean {
    return this.#window.totals(now).served === 0;
  }

  /** The server could not be reached, or was lost, or nothing came of waiting for it. True where the circuit opens by it. */
  failed(now: number, count: number): boolean {
    const { breaker } = this.#options;
    if (breaker === undefined || count === 0) return false;
    this.#window.recordFailed(now, count);
    if (this.#isOpen) return false;
    const { served, failed } = this.#window.totals(now);
    this.#isOpen =
      failed >= breaker.failuresMin && failed >= breaker.failedShare * (served + failed);
    return this.#isOpen;
  }

  /** The server answers again. */
  close(): void {
    this.#isOpen = false;
    this.#window.clear();
  }

  /** How long one waits behind `ahead` others, in ms; undefined where too little is known. */
  expectedWaitMs(now: number, ahead: number): number | undefined {
    const servedMs = this.#window.meanServedMs(now, SERVICE_SAMPLES_MIN);
    return servedMs === undefined ? undefined : ((ahead + 1) * servedMs) / this.limit;
  }

  /** As `expectedWaitMs`, where it is longer than anybody is let wait. */
  hopelessWaitMs(now: number, ahead: number): number | undefined {
    if (!this.#options.shedsEarly) return undefined;
    const waitMs = this.expectedWaitMs(now, ahead);
    return waitMs !== undefined && waitMs > this.#options.waitMs ? waitMs : undefined;
  }
}
