/**
 * How a session that uses nothing else waits for a connection, in the pool's queue with others: it is
 * called back, with no promise in between. One serves a session for all its statements.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Claim } from "../backend/claim.ts";
import type { Taker, Waiting } from "../backend/wait-queue.ts";
import type { PinnableBackends, SessionTaker } from "./session-pools.ts";
import type { SessionWaits } from "./session-waits.ts";

/** What is waited for. */
interface Awaited {
  readonly database: DatabaseName;
  readonly taker: SessionTaker;
}

export class ReadyWait implements Taker<BackendConnection> {
  readonly #waits: SessionWaits;
  /** Makes it the session's, where it is ready for it as it is. */
  readonly #lendReady: (connection: BackendConnection) => boolean;
  #awaited: Awaited | undefined;
  #waiting: Waiting | undefined;

  constructor(waits: SessionWaits, lendReady: (connection: BackendConnection) => boolean) {
    this.#waits = waits;
    this.#lendReady = lendReady;
  }

  /** Calls back once, perhaps before it returns. Throws what is refused at once. */
  join(
    backends: PinnableBackends,
    database: DatabaseName,
    claim: Claim,
    taker: SessionTaker,
  ): void {
    const awaited = { database, taker };
    this.#awaited = awaited;
    this.#waits.begin(database);
    try {
      const waiting = backends.join(database, this, claim);
      // Who was called back at once may wait again, for the next.
      if (this.#awaited === awaited) this.#waiting = waiting;
    } catch (error) {
      if (this.#awaited === awaited) this.#over();
      throw error;
    }
  }

  /** Nobody is told. */
  leave(): void {
    this.#waiting?.leave();
    this.#over();
  }

  given(connection: BackendConnection): void {
    const taker = this.#over();
    if (this.#lendReady(connection)) taker?.lent(connection);
    else taker?.offered(connection);
  }

  refused(error: unknown): void {
    this.#over()?.refused(error);
  }

  #over(): SessionTaker | undefined {
    const awaited = this.#awaited;
    if (awaited === undefined) return undefined;
    this.#awaited = undefined;
    this.#waiting = undefined;
    this.#waits.end(awaited.database);
    return awaited.taker;
  }
}
