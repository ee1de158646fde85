/**
 * A backend that one session keeps between its transactions, because state of the session lives
 * on it that PostgreSQL keeps nowhere else; and how that state is gone from it before
 * another session gets it.
 *
 * It knows reasons by their names alone: what each stands for, and when it is over, is known
 * to those who give and withdraw it.
 */
import { PINNED_CLEANING_TIMEOUT_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

export const PIN_REASONS = ["temporary object", "advisory lock"] as const;

export type PinReason = (typeof PIN_REASONS)[number];

export class PinnedBackend {
  readonly connection: BackendConnection;
  readonly reasons = new Set<PinReason>();
  readonly #lost = new AbortController();
  #cancelling: Promise<void> | undefined;
  #isOver = false;

  constructor(connection: BackendConnection, onLost: (error: SqlError) => void) {
    this.connection = connection;
    void connection.ended.then(() => this.lose());
    this.lost.addEventListener("abort", () => onLost(lostError(connection)), { once: true });
  }

  /** Aborted, with the error for the client, when the backend is gone before it was given back. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Its state is gone, or nobody can know what it is. */
  lose(): void {
    if (!this.#isOver) this.#lost.abort(lostError(this.connection));
  }

  /** A cancel request that has been sent must have arrived before another statement runs here. */
  waitFor(cancelling: Promise<void> | undefined): void {
    this.#cancelling = cancelling;
  }

  async settled(): Promise<void> {
    await this.#cancelling;
    this.#cancelling = undefined;
  }

  /**
   * Afterwards it is as a new one, or closed: DISCARD ALL drops temporary tables, cursors,
   * settings, prepared statements and currval()s, and unlocks what is locked. Never rejects.
   */
  async clean(): Promise<void> {
    this.#isOver = true;
    const { connection } = this;
    try {
      await this.settled();
      await connection.query("DISCARD ALL", AbortSignal.timeout(PINNED_CLEANING_TIMEOUT_MS));
      connection.prepared.clear();
      connection.sessionTag = "";
    } catch {
      connection.destroy();
    }
  }
}

function lostError(connection: BackendConnection): SqlError {
  return new SqlError(
    "pinned_backend_lost",
    `the connection to database "${connection.database}" that held the session's state was lost`,
    { cause: connection.isBroken ? connection.loss() : undefined },
  );
}
