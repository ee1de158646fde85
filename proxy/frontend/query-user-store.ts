/**
 * Users whose secrets a query gives, pg_authid's for example. Answers are kept for a moment,
 * those for unknown users too, so that a storm of logins is not a storm of queries.
 */
import { USER_SECRET_TTL_MS, USER_SECRETS_MAX } from "../../base/limits.ts";
import { parseStoredSecret } from "./user-store.ts";
import type { StoredSecret, UserStore } from "./user-store.ts";

export interface QueryUserStoreOptions {
  /** The secret's text, null for an unknown user. Ends by a deadline of its own; a rejection fails the login with its error. */
  readonly query: (user: string) => Promise<string | null>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

interface Entry {
  readonly expiresAt: number;
  readonly secret: Promise<StoredSecret | undefined>;
}

export class QueryUserStore implements UserStore {
  readonly #options: QueryUserStoreOptions;
  /** In the order of insertion, which is the order of expiry. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: QueryUserStoreOptions) {
    this.#options = options;
  }

  lookup(user: string): Promise<StoredSecret | undefined> {
    const now = this.#options.now();
    const known = this.#entries.get(user);
    if (known !== undefined && now < known.expiresAt) return known.secret;

    const entry: Entry = { expiresAt: now + USER_SECRET_TTL_MS, secret: this.#query(user) };
    this.#entries.delete(user);
    this.#evictOldest();
    this.#entries.set(user, entry);
    // A failure is no answer: the next login asks again.
    entry.secret.catch(() => {
      if (this.#entries.get(user) === entry) this.#entries.delete(user);
    });
    return entry.secret;
  }

  async #query(user: string): Promise<StoredSecret | undefined> {
    const text = await this.#options.query(user);
    return text === null ? undefined : parseStoredSecret(text);
  }

  #evictOldest(): void {
    if (this.#entries.size < USER_SECRETS_MAX) return;
    for (const user of this.#entries.keys()) {
      this.#entries.delete(user);
      return;
    }
  }
}
