/**
 * When a server that refused a connection is asked again: after a pause that grows with each
 * failure in a row, so that one that is down is not hammered, and one that is back is found
 * soon. It knows nothing of connections.
 */
import { POOL_RECONNECT_MS_MAX, POOL_RECONNECT_MS_MIN } from "../../base/limits.ts";

export class ReconnectPause {
  readonly #onOver: () => void;
  #failuresInRow = 0;
  #endsAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `onOver`: somebody was told to wait, and need not any more. */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** The last attempt failed: the next is made by one connection alone. */
  get hasFailed(): boolean {
    return this.#failuresInRow > 0;
  }

  succeeded(): void {
    this.#failuresInRow = 0;
  }

  failed(): void {
    this.#failuresInRow += 1;
    const pauseMs = POOL_RECONNECT_MS_MIN * 2 ** (this.#failuresInRow - 1);
    this.#endsAt = performance.now() + Math.min(POOL_RECONNECT_MS_MAX, pauseMs);
  }

  /** Whether to try now; where not, `onOver` is called once it may be. */
  mayTry(): boolean {
    const leftMs = this.#endsAt - performance.now();
    if (leftMs <= 0) return true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#onOver();
    }, leftMs);
    return false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
