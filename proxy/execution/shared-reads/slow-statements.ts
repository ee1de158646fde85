/**
 * Statements that others are not to be sent behind since those would wait: how long each has taken
 * lately, and how much it has answered. On a shared connection a statement is known by its plan's `Sharing`, in
 * one client's pipeline by its plan; each is one for all that differ in their key alone.
 */
import { SHARED_READ_ANSWER_BYTES, SHARED_READ_SLOW_FOR_MS } from "../../../base/limits.ts";

interface Pace {
  /** Of the last ones, the newer the more. */
  meanMs: number;
  /** Until then nothing is sent behind it. */
  slowUntil: number;
}

/** What the newest of them counts. One that is slow by far is enough; a moment's trouble of the machine is not. */
const NEWEST_SHARE = 1 / 8;

export class SlowStatements {
  readonly #paces = new WeakMap<object, Pace>();
  readonly #slowMs: number;

  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  isSlow(statement: object, now: number): boolean {
    const pace = this.#paces.get(statement);
    return pace !== undefined && now < pace.slowUntil;
  }

  observe(statement: object, ms: number, answerBytes: number, now: number): void {
    const pace = this.#paceOf(statement);
    pace.meanMs += (ms - pace.meanMs) * NEWEST_SHARE;
    if (pace.meanMs <= this.#slowMs && answerBytes <= SHARED_READ_ANSWER_BYTES) return;
    pace.meanMs = 0;
    pace.slowUntil = now + SHARED_READ_SLOW_FOR_MS;
  }

  #paceOf(statement: object): Pace {
    const known = this.#paces.get(statement);
    if (known !== undefined) return known;
    const pace = { meanMs: 0, slowUntil: 0 };
    this.#paces.set(statement, pace);
    return pace;
  }
}
