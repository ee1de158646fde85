/**
 * One connection to the database that holds the control schema, and transactions on it. Who
 * opens it says when it is closed; a lost one is opened anew, never mended.
 */
import {
  CONTROL_ANSWER_TIMEOUT_MS,
  CONTROL_CONNECT_TIMEOUT_MS,
  CONTROL_STATEMENT_TIMEOUT_MS,
} from "../base/limits.ts";
import { databaseName } from "../base/ids.ts";
import type { DatabaseName } from "../base/ids.ts";
import { SqlError } from "../base/sql-error.ts";
import type { ErrorId } from "../base/sql-error.ts";
import { describeAddress } from "../proxy/backend/backend-address.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { firstError } from "../proxy/backend/connect-error.ts";

export type Row = readonly (string | null)[];

/** What errors call the database where its name in a map is not known. */
const CONTROL_DATABASE = databaseName("control");

const SESSION_SETTINGS = new Map([
  ["application_name", "colonnade control"],
  ["statement_timeout", String(CONTROL_STATEMENT_TIMEOUT_MS)],
  ["idle_in_transaction_session_timeout", "10s"],
  ["search_path", "pg_catalog"],
  ["synchronous_commit", "on"],
]);

const CONNECT_REMEDIES: Partial<Readonly<Record<ErrorId, string>>> = {
  backend_rejected:
    "Correct the user, password or database of --control, or the server's roles and pg_hba.conf.",
  backend_unavailable:
    "Check that --control names a server that runs and that the network lets you reach it.",
  backend_starting: "Try again once the server takes connections.",
  backend_tls_failed: "Compare sslmode and sslrootcert of --control with the server's certificate.",
  backend_settings_refused: "Check that --control names a PostgreSQL server, and no pooler.",
  backend_protocol_violation: "Check that --control names a PostgreSQL server.",
};

/**
 * In terms of `--control`, which is no URL of a shard map. Without its cause, whose words are in
 * this message: a log would say them twice. What is no failure to connect is given back as it is.
 */
export function controlConnectError(address: BackendAddress, error: unknown): unknown {
  const hint = error instanceof SqlError ? CONNECT_REMEDIES[error.id] : undefined;
  if (!(error instanceof SqlError) || hint === undefined) return error;
  const first = firstError(error.cause);
  const reason = first instanceof Error ? first.message : error.message;
  return new SqlError(error.id, `the control schema's database cannot be reached: ${reason}`, {
    detail: `The address is ${describeAddress(address)}.`,
    hint,
  });
}

export class ControlDatabase implements Disposable {
  readonly connection: BackendConnection;
  /** Of a transaction that has asked nothing yet: it begins with what it asks first, in one round trip. */
  #begin = "";

  /** Of `--control`. Rejects with a SqlError that names the address and the remedy. */
  static async open(address: BackendAddress, signal?: AbortSignal): Promise<ControlDatabase> {
    try {
      return await ControlDatabase.openNamed(CONTROL_DATABASE, address, signal);
    } catch (error) {
      throw controlConnectError(address, error);
    }
  }

  /** The same of a database of a shard map, whose URL is where the remedy is then. */
  static async openNamed(
    database: DatabaseName,
    address: BackendAddress,
    signal?: AbortSignal,
  ): Promise<ControlDatabase> {
    const connection = await BackendConnection.open(address, {
      database,
      connectTimeoutMs: CONTROL_CONNECT_TIMEOUT_MS,
      settings: SESSION_SETTINGS,
      signal,
    });
    return new ControlDatabase(connection);
  }

  constructor(connection: BackendConnection) {
    this.connection = connection;
  }

  /** Rows of all statements in order; several statements are one transaction. Without a signal it waits for CONTROL_ANSWER_TIMEOUT_MS. */
  async query(sql: string, signal?: AbortSignal): Promise<readonly Row[]> {
    const deadline = signal ?? AbortSignal.timeout(CONTROL_ANSWER_TIMEOUT_MS);
    const begin = this.#begin;
    this.#begin = "";
    try {
      return (await this.connection.query(begin + sql, deadline)).rows;
    } catch (error) {
      if (signal !== undefined || error !== deadline.reason) throw error;
      throw new SqlError(
        "backend_lost",
        `the control schema's database has not answered within ${CONTROL_ANSWER_TIMEOUT_MS / 1000} s`,
        {
          detail: `The address is ${describeAddress(this.connection.address)}. Whether it did what it was asked is not known.`,
          hint: "Look at the server and the network to it, then at what colonnade control status says.",
          cause: error,
        },
      );
    }
  }

  /** Commits what `work` did, or nothing of it where it throws. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    this.#begin = "BEGIN; ";
    try {
      const result = await work();
      if (this.#begin === "") await this.query("COMMIT");
      return result;
    } catch (error) {
      // The first reason is the one to tell; a connection that cannot even roll back is lost.
      if (this.#begin === "" && !this.connection.isBroken)
        await this.query("ROLLBACK").catch(() => this.connection.destroy());
      throw error;
    } finally {
      this.#begin = "";
    }
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}
