/**
 * Databases that an operator has paused: transactions that are new to one wait here, those
 * that ran when it was paused go on. Where nothing is paused, a session pays for one comparison.
 *
 * It knows databases by their names, and transactions by their hold numbers (lock-holders.ts),
 * which grow; it lends nothing, and does not know who still uses a database.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";

export interface PausesOptions {
  /** How long one transaction waits. */
  readonly waitMs: number;
  readonly waitersMax: number;
}

interface Pause {
  /** Transactions with a lower hold number ran before it. */
  readonly holdNumber: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

export class Pauses {
  readonly #options: PausesOptions;
  readonly #paused = new Map<DatabaseName, Pause>();
  #waiting = 0;
  #closed: SqlError | undefined;

  constructor(options: PausesOptions) {
    this.#options = options;
  }

  /** Asked before `pass`, so that the usual case awaits nothing. */
  get isAny(): boolean {
    return this.#paused.size > 0;
  }

  isPaused(database: DatabaseName): boolean {
    return this.#paused.has(database);
  }

  /** False where it was paused already: then that pause stays what it was. */
  pause(database: DatabaseName, holdNumber: number): boolean {
    if (this.#paused.has(database) || this.#closed !== undefined) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#paused.set(database, { holdNumber, over: promise, end: resolve });
    return true;
  }

  /** Those who wait go on. A database that is not paused is left as it is. */
  resume(database: DatabaseName): void {
    const pause = this.#paused.get(database);
    this.#paused.delete(database);
    pause?.end();
  }

  get databases(): readonly DatabaseName[] {
    return [...this.#paused.keys()];
  }

  /** The proxy stops: those who wait are told so, and nothing is paused any more. */
  close(): void {
    this.#closed = new SqlError(
      "proxy_shutdown",
      "terminating connection due to administrator command",
    );
    for (const database of this.databases) this.resume(database);
  }

  /**
   * Resolves once a transaction may use the database. `holdNumber`: of one that holds backends
   * already; undefined for one that begins. Rejects with `database_paused` at the deadline or
   * where too many wait, or with the signal's reason.
   */
  async pass(
    database: DatabaseName,
    holdNumber: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    let deadline: AbortSignal | undefined;
    for (;;) {
      const pause = this.#paused.get(database);
      if (pause === undefined) return;
      if (holdNumber !== undefined && holdNumber < pause.holdNumber) return;
      if (this.#waiting >= this.#options.waitersMax)
        throw this.#refusal(database, "too many transactions wait for it");
      deadline ??= AbortSignal.timeout(this.#options.waitMs);
      this.#waiting += 1;
      try {
        await untilOver(pause.over, AbortSignal.any([signal, deadline]));
      } finally {
        this.#waiting -= 1;
      }
      signal.throwIfAborted();
      if (this.#closed !== undefined) throw this.#closed;
      if (deadline.aborted && this.#paused.has(database))
        throw this.#refusal(database, `it did not resume within ${this.#options.waitMs} ms`);
    }
  }

  #refusal(database: DatabaseName, detail: string): SqlError {
    return new SqlError("database_paused", `database "${database}" is paused`, {
      detail: `${detail[0]?.toUpperCase()}${detail.slice(1)}.`,
    });
  }
}

/** Resolves when either comes first. */
async function untilOver(over: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener("abort", stop, { once: true });
  });
  await Promise.race([over, aborted]);
  signal.removeEventListener("abort", stop);
}
