/**
 * The three timeouts that end a session, counted as PostgreSQL counts them: over a client's idleness
 * and its transaction, whichever backends they use and whether they use any (postgres.c, PostgresMain;
 * xact.c, StartTransaction). Each server counts for itself as well, and may be first: what it says
 * then is the session's end, too.
 */
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";

/** In milliseconds; 0 for none. */
export interface TimeoutLimits {
  readonly idleSession: number;
  readonly idleInTransaction: number;
  readonly transaction: number;
}

const NO_LIMITS: TimeoutLimits = { idleSession: 0, idleInTransaction: 0, transaction: 0 };

export class SessionTimeouts {
  readonly #end: (error: SqlError) => void;
  readonly #isTransactionOpen: () => boolean;
  #limits = NO_LIMITS;
  #idle: NodeJS.Timeout | undefined;
  #transaction: NodeJS.Timeout | undefined;

  /** `isTransactionOpen`: one that has neither failed nor begun to commit; a lone statement has none, and its server counts. */
  constructor(end: (error: SqlError) => void, isTransactionOpen: () => boolean) {
    this.#end = end;
    this.#isTransactionOpen = isTransactionOpen;
  }

  /** None is counted, nor has to be. */
  get areNone(): boolean {
    return this.#limits === NO_LIMITS;
  }

  /** The settings are these from here on. */
  adopt(limits: TimeoutLimits): void {
    const before = this.#limits.transaction;
    const isAny = Object.values(limits).some((ms: number) => ms > 0);
    this.#limits = isAny ? limits : NO_LIMITS;
    if (limits.transaction === 0) this.#endTransaction();
    else if (before === 0 && this.#isTransactionOpen()) this.#beginTransaction();
  }

  /** The client is at its turn, and has been told so. */
  idle(status: TransactionStatus): void {
    if (this.#limits === NO_LIMITS) return;
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (status !== "inTransaction") this.#endTransaction();
    const { idleSession, idleInTransaction, transaction } = this.#limits;
    if (status === "idle") this.#startIdle(idleSession, idleSessionTimeout);
    else if (transaction === 0 || idleInTransaction < transaction)
      this.#startIdle(idleInTransaction, idleInTransactionTimeout);
  }

  #startIdle(ms: number, error: TimeoutError): void {
    if (ms > 0) this.#idle = setTimeout(() => this.#end(error()), ms);
  }

  /** The client has sent something. */
  busy(): void {
    if (this.#idle !== undefined) clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#limits.transaction > 0 && this.#transaction === undefined) this.#beginTransaction();
  }

  #beginTransaction(): void {
    clearTimeout(this.#transaction);
    this.#transaction = setTimeout(() => {
      if (this.#isTransactionOpen()) this.#end(transactionTimeout());
    }, this.#limits.transaction);
  }

  #endTransaction(): void {
    clearTimeout(this.#transaction);
    this.#transaction = undefined;
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#endTransaction();
    this.#limits = NO_LIMITS;
  }
}

/** `context`: the server's, of what it has ended. */
type TimeoutError = (context?: string) => SqlError;

const idleSessionTimeout: TimeoutError = (context) =>
  new SqlError("idle_session_timeout", "terminating connection due to idle-session timeout", {
    context,
  });

const idleInTransactionTimeout: TimeoutError = (context) =>
  new SqlError(
    "idle_in_transaction_session_timeout",
    "terminating connection due to idle-in-transaction timeout",
    { context },
  );

const transactionTimeout: TimeoutError = (context) =>
  new SqlError("transaction_timeout", "terminating connection due to transaction timeout", {
    context,
  });

const BY_SQLSTATE: ReadonlyMap<string, TimeoutError> = new Map([
  ["57P05", idleSessionTimeout],
  ["25P03", idleInTransactionTimeout],
  ["25P04", transactionTimeout],
]);

/**
 * The session's end, where the error says that a server has counted to it. Not where a commit has
 * lost its answer by it: what became of that is all there is to tell.
 */
export function endedByTimeout(error: unknown): SqlError | undefined {
  if (!(error instanceof SqlError)) return undefined;
  if (error.id === "pinned_backend_lost") return endedByTimeout(error.cause);
  if (error.id !== "backend_lost" || !(error.cause instanceof BackendError)) return undefined;
  const { C: sqlstate = "", W: context } = error.cause.fields;
  return BY_SQLSTATE.get(sqlstate)?.(context);
}
