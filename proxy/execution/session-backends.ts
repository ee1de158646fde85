/**
 * Backends as one session gets them: with its settings applied, and only of databases that
 * show every transaction this proxy has reported as committed.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { InDoubt, InDoubtBackends } from "./in-doubt.ts";
import type { LockHolder, LockHolders } from "./lock-holders.ts";
import type { SettingsScript } from "./session-settings.ts";

/** A tag no session has: the next one sets its settings anew. */
export const UNKNOWN_SETTINGS = "\0unknown";

const QUERY_CANCELED = "57014";

export class SessionBackends implements LockHolder {
  readonly #backends: InDoubtBackends;
  readonly #inDoubt: InDoubt;
  readonly #settings: () => SettingsScript;
  readonly #holders: LockHolders;
  /** What the session holds now, each with a cancel request that is on its way to it. */
  readonly #lent = new Map<BackendConnection, Promise<void> | undefined>();
  #holdNumber = 0;
  /** Why the proxy itself has cancelled what runs. */
  #deadlock: SqlError | undefined;

  constructor(
    backends: InDoubtBackends,
    inDoubt: InDoubt,
    settings: () => SettingsScript,
    holders: LockHolders,
  ) {
    this.#backends = backends;
    this.#inDoubt = inDoubt;
    this.#settings = settings;
    this.#holders = holders;
  }

  get holdNumber(): number {
    return this.#holdNumber;
  }

  get held(): Iterable<BackendConnection> {
    return this.#lent.keys();
  }

  async acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    const connection = await this.#backends.acquire(database, signal);
    this.#lend(connection);
    try {
      if (this.#inDoubt.hasUnfinished(database)) await this.#inDoubt.finish(database, connection);
      await this.#applySettings(connection);
      return connection;
    } catch (error) {
      this.release(connection);
      throw error;
    }
  }

  #lend(connection: BackendConnection): void {
    if (this.#lent.size === 0) {
      this.#holdNumber = this.#holders.nextHoldNumber();
      this.#deadlock = undefined;
    }
    this.#lent.set(connection, undefined);
    if (this.#lent.size === 2) this.#holders.add(this);
  }

  /**
   * Idle connections go back to their pool; any other is closed by it, which rolls back. One
   * that a cancel request is on its way to waits for it, so that it can hit nobody else.
   */
  release(connection: BackendConnection): void {
    const cancelling = this.#lent.get(connection);
    this.#lent.delete(connection);
    if (this.#lent.size === 1) this.#holders.delete(this);
    if (cancelling === undefined) this.#backends.release(connection);
    else void cancelling.finally(() => this.#backends.release(connection));
  }

  breakDeadlock(error: SqlError): void {
    this.cancel();
    this.#deadlock = error;
  }

  /** What ended a statement: the deadlock, where the server knows only that it was to cancel. */
  causeOf(error: unknown): unknown {
    const deadlock = this.#deadlock;
    if (deadlock === undefined || !(error instanceof BackendError)) return error;
    if (error.fields.C !== QUERY_CANCELED) return error;
    this.#deadlock = undefined;
    return deadlock;
  }

  /** Asks every server that runs something for this session to stop it. Their answers tell what came of it. */
  cancel(): void {
    this.#deadlock = undefined;
    for (const [connection, cancelling] of this.#lent) {
      if (cancelling !== undefined || connection.pendingReadyForQuery === 0 || connection.isBroken)
        continue;
      const cancelled = connection
        .cancel()
        // A server that cannot be asked may hang for good: its connection is given up.
        .catch(() => connection.destroy())
        .finally(() => {
          if (this.#lent.get(connection) === cancelled) this.#lent.set(connection, undefined);
        });
      this.#lent.set(connection, cancelled);
    }
  }

  async #applySettings(connection: BackendConnection): Promise<void> {
    const { tag, sql } = this.#settings();
    if (connection.sessionTag === tag) return;
    const isFresh = connection.sessionTag === "";
    connection.sessionTag = UNKNOWN_SETTINGS;
    const script = isFresh ? sql : `RESET ALL; ${sql}`;
    if (script !== "") await connection.query(script);
    connection.sessionTag = tag;
  }
}
