/** What one session waits for before it can go on, for operators and for who asks what it uses. */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendWait } from "./backend-use.ts";

export class SessionWaits {
  /** Databases whose connections it waits for; almost always none or one. */
  readonly #awaited: DatabaseName[] = [];
  #sinceMs = 0;
  #heldUp: BackendWait | undefined;

  get current(): BackendWait | undefined {
    const [database] = this.#awaited;
    return database === undefined
      ? this.#heldUp
      : { for: "connection", database, sinceMs: this.#sinceMs };
  }

  /** It waits for a connection to the database. */
  includes(database: DatabaseName): boolean {
    return this.#awaited.includes(database);
  }

  /** Waits for a connection from now on. */
  begin(database: DatabaseName): void {
    this.#awaited.push(database);
    this.#sinceMs = performance.now();
  }

  /** One that it has waited for is there, or will not be. */
  end(database: DatabaseName): void {
    this.#awaited.splice(this.#awaited.indexOf(database), 1);
  }

  /** Waits for RESUME, for as long as the promise is open. */
  async holdUp(database: DatabaseName, resumed: Promise<void>): Promise<void> {
    this.#heldUp = { for: "resume", database, sinceMs: performance.now() };
    try {
      await resumed;
    } finally {
      this.#heldUp = undefined;
    }
  }
}
