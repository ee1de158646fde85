/**
 * How the direct path waits for a connection: in the pool's queue, called back with no promise in
 * between. What is more than waiting (settings to be made, a pause, a transaction's part to be
 * finished) is done as the long way does it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import type { SessionTaker } from "../execution/session-pools.ts";

/** One of both is called, once for each `start`. */
export interface Awaiting {
  /** The connection is the session's, and ready. */
  ready(connection: BackendConnection): void;
  failed(error: unknown): void;
}

export class DirectWait implements SessionTaker {
  readonly #backends: SessionBackends;
  readonly #awaiting: Awaiting;
  #isWaiting = false;
  #adopting: AbortController | undefined;

  constructor(backends: SessionBackends, awaiting: Awaiting) {
    this.#backends = backends;
    this.#awaiting = awaiting;
  }

  start(database: DatabaseName): void {
    this.#isWaiting = true;
    try {
      if (this.#backends.join(database, this)) return;
      this.#isWaiting = false;
      void this.#settle((signal) => this.#backends.acquire(database, signal));
    } catch (error) {
      this.refused(error);
    }
  }

  /** Whoever waits is told so. */
  cancel(): void {
    const canceled = new SqlError("query_canceled", "canceling statement due to user request");
    this.#adopting?.abort(canceled);
    if (!this.#isWaiting) return;
    this.#backends.leave();
    this.refused(canceled);
  }

  lent(connection: BackendConnection): void {
    this.#isWaiting = false;
    this.#awaiting.ready(connection);
  }

  offered(connection: BackendConnection): void {
    this.#isWaiting = false;
    void this.#settle((signal) => this.#backends.adopt(connection, signal));
  }

  refused(error: unknown): void {
    this.#isWaiting = false;
    this.#awaiting.failed(error);
  }

  async #settle(acquire: (signal: AbortSignal) => Promise<BackendConnection>): Promise<void> {
    const { signal } = (this.#adopting = new AbortController());
    let connection: BackendConnection;
    try {
      connection = await acquire(signal);
      // Cancelled before there was anything that a server could be asked to stop.
      if (signal.aborted) this.#backends.release(connection);
      signal.throwIfAborted();
    } catch (error) {
      this.#adopting = undefined;
      return this.refused(error);
    }
    this.#adopting = undefined;
    this.lent(connection);
  }
}
