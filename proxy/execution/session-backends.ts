/**
 * Backends as one session gets them: with its settings applied, and only of databases that
 * show every transaction this proxy has reported as committed.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { InDoubt, InDoubtBackends } from "./in-doubt.ts";
import type { SettingsScript } from "./session-settings.ts";

/** A tag no session has: the next one sets its settings anew. */
export const UNKNOWN_SETTINGS = "\0unknown";

export class SessionBackends {
  readonly #backends: InDoubtBackends;
  readonly #inDoubt: InDoubt;
  readonly #settings: () => SettingsScript;
  /** What the session holds now, each with a cancel request that is on its way to it. */
  readonly #lent = new Map<BackendConnection, Promise<void> | undefined>();

  constructor(backends: InDoubtBackends, inDoubt: InDoubt, settings: () => SettingsScript) {
    this.#backends = backends;
    this.#inDoubt = inDoubt;
    this.#settings = settings;
  }

  async acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    const connection = await this.#backends.acquire(database, signal);
    this.#lent.set(connection, undefined);
    try {
      if (this.#inDoubt.hasUnfinished(database)) await this.#inDoubt.finish(database, connection);
      await this.#applySettings(connection);
      return connection;
    } catch (error) {
      this.release(connection);
      throw error;
    }
  }

  /**
   * Idle connections go back to their pool; any other is closed by it, which rolls back. One
   * that a cancel request is on its way to waits for it, so that it can hit nobody else.
   */
  release(connection: BackendConnection): void {
    const cancelling = this.#lent.get(connection);
    this.#lent.delete(connection);
    if (cancelling === undefined) this.#backends.release(connection);
    else void cancelling.finally(() => this.#backends.release(connection));
  }

  /** Asks every server that runs something for this session to stop it. Their answers tell what came of it. */
  cancel(): void {
    for (const [connection, cancelling] of this.#lent) {
      if (cancelling !== undefined || connection.pendingReadyForQuery === 0 || connection.isBroken)
        continue;
      this.#lent.set(
        connection,
        // A server that cannot be asked may hang for good: its connection is given up.
        connection.cancel().catch(() => connection.destroy()),
      );
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
