/**
 * Backends for the proxy's own work, which clients may be waiting for: a pool's idle connection
 * where there is one, and else a new one outside of it. A transaction in doubt holds locks that
 * all of a pool may come to wait for, and its recovery must not queue behind them.
 *
 * Callers keep few at once: nothing here bounds how many are open.
 */
import { BACKEND_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { BackendConnection } from "./backend-connection.ts";
import type { Backends } from "./backends.ts";
import { isCanceled, resetSettings } from "./reset-settings.ts";

export class OwnBackends {
  readonly #backends: Backends;
  readonly #opened = new Set<BackendConnection>();

  constructor(backends: Backends) {
    this.#backends = backends;
  }

  has(database: DatabaseName): boolean {
    return this.#backends.has(database);
  }

  /** With no settings but the server's own. Rejects as Backends.acquire does. */
  async acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    const idle = this.#backends.tryAcquire(database);
    if (idle === undefined) return await this.#open(database, signal);
    try {
      await resetSettings(idle, signal);
      return idle;
    } catch (error) {
      this.release(idle);
      if (isCanceled(error)) return await this.#open(database, signal);
      throw error;
    }
  }

  async #open(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    const address = this.#backends.address(database);
    if (address === undefined)
      throw new SqlError("pool_closed", `database "${database}" is not in the shard map`);
    const connection = await BackendConnection.open(address, {
      database,
      signal,
      connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
    });
    this.#opened.add(connection);
    return connection;
  }

  /** As `acquire`, by the name that pools have for it: catalogs are read while sessions that hold a pool's connections wait. */
  acquireOwn(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    return this.acquire(database, signal);
  }

  release(connection: BackendConnection): void {
    if (this.#opened.delete(connection)) connection.close();
    else this.#backends.release(connection);
  }
}
