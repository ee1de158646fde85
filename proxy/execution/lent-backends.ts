/**
 * The connections that one session uses now, each with a cancel request that is on its way to it. They
 * are none or one but for a scatter, and come and go with every statement, so that one is kept without
 * anything being made for it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

interface Lent {
  readonly connection: BackendConnection;
  readonly cancelling: Promise<void>;
}

export class LentBackends {
  #first: BackendConnection | undefined;
  /** None where there is no first one. */
  #others: BackendConnection[] = [];
  /** Of those that are asked to stop what they run. */
  readonly #cancels: Lent[] = [];

  get size(): number {
    return this.#first === undefined ? 0 : 1 + this.#others.length;
  }

  get connections(): readonly BackendConnection[] {
    return this.#first === undefined ? [] : [this.#first, ...this.#others];
  }

  get cancelling(): readonly BackendConnection[] {
    return this.#cancels.map(({ connection }) => connection);
  }

  has(connection: BackendConnection): boolean {
    return this.#first === connection || this.#others.includes(connection);
  }

  hasOf(database: DatabaseName): boolean {
    return (
      this.#first?.database === database || this.#others.some((each) => each.database === database)
    );
  }

  add(connection: BackendConnection): void {
    if (this.#first === undefined) this.#first = connection;
    else if (!this.has(connection)) this.#others.push(connection);
  }

  /** Gives the cancel request that is on its way to it. */
  delete(connection: BackendConnection): Promise<void> | undefined {
    if (this.#first === connection) this.#first = this.#others.shift();
    else if (this.#others.length > 0)
      this.#others = this.#others.filter((each) => each !== connection);
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
