/**
 * Statements that are not for a shared connection since those behind them would wait: how long each
 * has taken lately, and how much it has answered. A statement is known by its plan's `Sharing`, which is one
 * for all that differ in their key alone.
 */
import {
  SHARED_READ_ANSWER_BYTES,
  SHARED_READ_SLOW_FOR_MS,
  SHARED_READ_SLOW_MS,
} from "../../../base/limits.ts";
import type { Sharing } from "../../../planner/logical-plan.ts";

interface Pace {
  /** Of the last ones, the newer the more. */
  meanMs: number;
  /** Until then it is not shared. */
  slowUntil: number;
}

/** What the newest of them counts. One that is slow by far is enough; a moment's trouble of the machine is not. */
const NEWEST_SHARE = 1 / 8;

export class SlowStatements {
  readonly #paces = new WeakMap<Sharing, Pace>();

  isSlow(sharing: Sharing, now: number): boolean {
    const pace = this.#paces.get(sharing);
    return pace !== undefined && now < pace.slowUntil;
  }

  observe(sharing: Sharing, ms: number, answerBytes: number, now: number): void {
    const pace = this.#paceOf(sharing);
    pace.meanMs += (ms - pace.meanMs) * NEWEST_SHARE;
    if (pace.meanMs <= SHARED_READ_SLOW_MS && answerBytes <= SHARED_READ_ANSWER_BYTES) return;
    pace.meanMs = 0;
    pace.slowUntil = now + SHARED_READ_SLOW_FOR_MS;
  }

  #paceOf(sharing: Sharing): Pace {
    const known = this.#paces.get(sharing);
    if (known !== undefined) return known;
    const pace = { meanMs: 0, slowUntil: 0 };
    this.#paces.set(sharing, pace);
    return pace;
  }
}
