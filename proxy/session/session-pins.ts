/**
 * What of a session's state has to stay on a backend, and when it is over: session-level
 * advisory locks and temporary objects. The backend is the session's own for that long.
 *
 * Whether anything is left, the server alone knows (a lock that was not granted, a transaction
 * that was rolled back, ON COMMIT DROP), so it is asked, between transactions, after each
 * statement that may have made a difference.
 */
import type { Catalog } from "../../shardmap/catalog.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { PinReason } from "../execution/pinned-backend.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import type { SessionServices } from "./session-services.ts";
import type { Scope, SessionTransaction } from "./session-transaction.ts";

export interface PinningSession {
  readonly services: Pick<SessionServices, "topology" | "loadTemporary" | "log">;
  readonly backends: SessionBackends;
  readonly transaction: SessionTransaction;
  readonly withCatalog: <T>(
    signal: AbortSignal,
    use: (connection: BackendConnection) => Promise<T>,
  ) => Promise<T>;
}

/** Outside a transaction all advisory locks of a backend are the session's. */
const LEFT_QUERY = `SELECT
  EXISTS (SELECT FROM pg_catalog.pg_locks
           WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()),
  EXISTS (SELECT FROM pg_catalog.pg_class
           WHERE relnamespace = pg_catalog.pg_my_temp_schema())`;

/** In the order of the query's columns. */
const ASKED: readonly PinReason[] = ["advisory lock", "temporary object"];

/** A catalog with the session's temporary relations, and what it holds for. */
interface OwnCatalog {
  readonly base: Catalog;
  readonly scope: Scope;
  readonly catalog: Catalog;
}

export class SessionPins {
  readonly #session: PinningSession;
  /** What a reason stands for may be gone since the server was last asked. */
  #mayBeOver = false;
  #own: OwnCatalog | undefined;

  constructor(session: PinningSession) {
    this.#session = session;
  }

  get reasons(): ReadonlySet<PinReason> {
    return this.#session.backends.pinReasons;
  }

  /** Names may mean the session's own tables, so nothing about them is everyone's. */
  get hasTemporaryObjects(): boolean {
    return this.reasons.has("temporary object");
  }

  /** No reason holds, and none is to be asked after. */
  get areNone(): boolean {
    return !this.#mayBeOver && this.reasons.size === 0;
  }

  get #catalogDatabase(): DatabaseName {
    return this.#session.services.topology().map.catalog;
  }

  /** Before a statement that makes, changes or ends such state runs, so that it runs there. */
  async pin(reason: PinReason, signal: AbortSignal): Promise<void> {
    const { backends, transaction, withCatalog } = this.#session;
    this.#mayBeOver = true;
    this.#own = undefined;
    const open = transaction.current?.transaction;
    if (open === undefined) {
      await withCatalog(signal, async (connection) => backends.pin(connection, reason));
      return;
    }
    const participant = await open.join(this.#catalogDatabase, signal, "none");
    backends.pin(participant.connection, reason);
    participant.cannotPrepare = true;
  }

  /** The schema has changed: what depends on it may be gone from pg_temp as well. */
  schemaChanged(): void {
    this.#mayBeOver = true;
    this.#own = undefined;
  }

  /** Between transactions, before the client is told that the session is ready. Never rejects. */
  async review(): Promise<void> {
    const { backends, transaction, services } = this.#session;
    if (!this.#mayBeOver || transaction.current !== undefined) return;
    this.#mayBeOver = false;
    this.#own = undefined;
    if (!ASKED.some((reason) => this.reasons.has(reason))) return;
    try {
      for (const reason of await this.#gone()) await backends.unpin(reason);
    } catch (error) {
      // Cancelled, or past the session's own statement_timeout: asked again after the next statement.
      this.#mayBeOver = true;
      services.log.debug({ err: error }, "a session's backend cannot be asked what it holds");
    }
  }

  async #gone(): Promise<readonly PinReason[]> {
    const { backends } = this.#session;
    const connection = await backends.acquire(this.#catalogDatabase, new AbortController().signal);
    try {
      const { rows } = await connection.query(LEFT_QUERY);
      return ASKED.filter((_, index) => rows[0]?.[index] === "f");
    } finally {
      backends.release(connection);
    }
  }

  /**
   * `base`, with the session's temporary relations where it has any. What is made in a
   * transaction is there until its scope ends: then it is read again.
   */
  async catalogOver(base: Catalog, signal: AbortSignal): Promise<Catalog> {
    if (!this.hasTemporaryObjects) return base;
    const { services, transaction, withCatalog } = this.#session;
    const { scope } = transaction;
    const own = this.#own;
    if (own?.base === base && (own.scope === scope || !this.#mayBeOver)) return own.catalog;
    const catalog = await withCatalog(signal, async (connection) => {
      // A statement prepared before may mean another table by the same name.
      await connection.query("DEALLOCATE ALL");
      connection.prepared.clear();
      return services.loadTemporary(connection, base);
    });
    this.#own = { base, scope, catalog };
    return catalog;
  }

  /** DISCARD ALL, and the session's end. */
  async end(): Promise<void> {
    this.#own = undefined;
    await this.#session.backends.unpinAll();
  }
}
