/**
 * What clients say of themselves, kept once: most of a proxy's clients come as the same few users, with
 * the same settings, to the same address. What is not met for long is forgotten, and kept again then.
 */
import { FRONTEND_IDENTITIES_MAX } from "../../base/limits.ts";

export interface Said {
  readonly user: string;
  readonly database: string;
  readonly settings: ReadonlyMap<string, string>;
  /** Where the client has come to. */
  readonly localAddress: string;
}

export class Identities {
  readonly #known = new Map<string, Said>();

  /** The same object for the same words. */
  same(said: Said): Said {
    const { user, database, settings, localAddress } = said;
    const key = JSON.stringify([user, database, localAddress, ...settings]);
    const known = this.#known.get(key) ?? said;
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size > FRONTEND_IDENTITIES_MAX)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    return known;
  }
}
