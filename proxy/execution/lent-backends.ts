/**
 * The connections that one session uses now, each with a cancel request that is on its way to it. They
 * are none or one but for a scatter, and come and go with every statement: a Map would be made
 * anew every other time.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

interface Lent {
  readonly connection: BackendConnection;
  readonly cancelling: Promise<void>;
}

export class LentBackends {
  readonly #connections: BackendConnection[] = [];
  /** Of those that are asked to stop what they run. */
  readonly #cancels: Lent[] = [];

  get size(): number {
    return this.#connections.length;
  }

  get connections(): readonly BackendConnection[] {
    return this.#connections;
  }

  get cancelling(): readonly BackendConnection[] {
    return this.#cancels.map(({ connection }) => connection);
  }

  has(connection: BackendConnection): boolean {
    return this.#connections.includes(connection);
  }

  hasOf(database: DatabaseName): boolean {
    return this.#connections.some((each) => each.database === database);
  }

  add(connection: BackendConnection): void {
    if (!this.has(connection)) this.#connections.push(connection);
  }

  /** Gives the cancel request that is on its way to it. */
  delete(connection: BackendConnection): Promise<void> | undefined {
    const at = this.#connections.indexOf(connection);
    if (at >= 0) this.#connections.splice(at, 1);
    const request = this.cancelOf(connection);
    if (request !== undefined) this.cancelled(connection, request);
    return request;
  }

  cancelOf(connection: BackendConnection): Promise<void> | undefined {
    if (this.#cancels.length === 0) return undefined;
    return this.#cancels.find((each) => each.connection === connection)?.cancelling;
  }

  cancel(connection: BackendConnection, cancelling: Promise<void>): void {
    this.#cancels.push({ connection, cancelling });
  }

  /** The request has arrived, or been given up. One that was made since stays. */
  cancelled(connection: BackendConnection, cancelling: Promise<void>): void {
    const at = this.#cancels.findIndex(
      (each) => each.connection === connection && each.cancelling === cancelling,
    );
    if (at >= 0) this.#cancels.splice(at, 1);
  }
}
