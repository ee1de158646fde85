/**
 * One connection to the database that holds the control schema, and transactions on it. Who
 * opens it says when it is closed; a lost one is opened anew, never mended.
 */
import { CONTROL_CONNECT_TIMEOUT_MS } from "../base/limits.ts";
import { databaseName } from "../base/ids.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";

export type Row = readonly (string | null)[];

/** What errors call the database where its name in a map is not known. */
const CONTROL_DATABASE = databaseName("control");

const SESSION_SETTINGS = new Map([
  ["application_name", "colonnade control"],
  // Nothing here takes long: what does, waits for a lock that a dead client still holds.
  ["statement_timeout", "10s"],
  ["idle_in_transaction_session_timeout", "10s"],
  ["search_path", "pg_catalog"],
  ["synchronous_commit", "on"],
]);

export class ControlDatabase implements Disposable {
  readonly connection: BackendConnection;

  /** Rejects with a SqlError that names the address and the remedy. */
  static async open(address: BackendAddress, signal?: AbortSignal): Promise<ControlDatabase> {
    const connection = await BackendConnection.open(address, {
      database: CONTROL_DATABASE,
      connectTimeoutMs: CONTROL_CONNECT_TIMEOUT_MS,
      settings: SESSION_SETTINGS,
      signal,
    });
    return new ControlDatabase(connection);
  }

  constructor(connection: BackendConnection) {
    this.connection = connection;
  }

  /** Rows of all statements in order; several statements are one transaction. */
  async query(sql: string, signal?: AbortSignal): Promise<readonly Row[]> {
    return (await this.connection.query(sql, signal)).rows;
  }

  /** Commits what `work` did, or nothing of it where it throws. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.query("BEGIN");
    try {
      const result = await work();
      await this.query("COMMIT");
      return result;
    } catch (error) {
      // The first reason is the one to tell; a connection that cannot even roll back is lost.
      if (!this.connection.isBroken)
        await this.query("ROLLBACK").catch(() => this.connection.destroy());
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}
