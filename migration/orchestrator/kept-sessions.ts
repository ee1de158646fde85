/**
 * Sessions that are open already when statements are held back: each step of a cutover takes those
 * that the one before it has given back, and no client waits until a server has made a new one.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";

export class KeptSessions {
  readonly #idle = new Map<DatabaseName, BackendConnection[]>();
  #isKeeping = false;

  /** From now on, until `end`, what is given back is kept. */
  begin(): void {
    this.#isKeeping = true;
  }

  end(): void {
    this.#isKeeping = false;
    for (const connection of [...this.#idle.values()].flat()) connection.close();
    this.#idle.clear();
  }

  /** Undefined where none is there. */
  take(database: DatabaseName): BackendConnection | undefined {
    for (;;) {
      const connection = this.#idle.get(database)?.pop();
      if (connection === undefined || !connection.isBroken) return connection;
    }
  }

  /** One that is in the middle of something is closed. */
  giveBack(database: DatabaseName, connection: BackendConnection): void {
    if (!this.#isKeeping || !connection.isClean) connection.close();
    else this.#idle.set(database, [...(this.#idle.get(database) ?? []), connection]);
  }
}
