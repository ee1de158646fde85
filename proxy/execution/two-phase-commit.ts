/**
 * Commits a transaction that wrote to several databases: all of it, or nothing, whichever
 * process dies. commit-record.ts says why.
 *
 *     participants  ── PREPARE ──┐
 *     coordinator                └── record + COMMIT ──┐   the decision
 *     participants                                     └── COMMIT PREPARED
 *
 * Before the decision every failure rolls everything back. After it, what does not answer is
 * finished later (in-doubt.ts). A coordinator that does not answer leaves the outcome open:
 * the client is told so with 08007, never "committed" and never "rolled back".
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { BackendError, UNKNOWN_SETTINGS } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import {
  COMMIT_DURABLY,
  COMMIT_RECORD_EXISTS,
  CREATE_COMMIT_RECORD,
  forgetCommitted,
  insertCommitted,
  preparedName,
} from "./commit-record.ts";
import type { GlobalTransaction } from "./commit-record.ts";
import { commitPrepared } from "./in-doubt.ts";
import type { InDoubt, InDoubtBackends } from "./in-doubt.ts";
import { leaveRole, leaveRoleForGood } from "./session-role.ts";
import { COMMIT_RECORDS_FORGOTTEN_AT_ONCE } from "../../base/limits.ts";

export interface Writer {
  readonly database: DatabaseName;
  readonly connection: BackendConnection;
}

export interface Committing {
  /** The coordinator first. */
  readonly writers: readonly Writer[];
  /** They run as another role than the connections' user, or may. */
  readonly isOtherRole: boolean;
}

const TOO_FEW_PREPARED_TRANSACTIONS = "55000";

export class TwoPhaseCommit {
  readonly #backends: InDoubtBackends;
  readonly #inDoubt: InDoubt;
  readonly #randomId: () => string;
  /** Databases that have the record's table, or where it is being made. */
  readonly #ready = new Map<DatabaseName, Promise<void>>();
  readonly #finished = new Map<DatabaseName, string[]>();
  #count = 0;

  /** `randomId` gives text unique over all proxies and restarts; a counter is added to it. */
  constructor(backends: InDoubtBackends, inDoubt: InDoubt, randomId: () => string) {
    this.#backends = backends;
    this.#inDoubt = inDoubt;
    this.#randomId = randomId;
  }

  /**
   * The writers are inside their transactions; afterwards all are idle, or broken. Throws the
   * error that kept it from committing, or `transaction_in_doubt` where nobody can know.
   */
  async commit({ writers, isOtherRole }: Committing, signal: AbortSignal): Promise<void> {
    const [coordinator, ...participants] = writers;
    if (coordinator === undefined) return;
    await refuseAborted(writers);
    this.#count += 1;
    const transaction = {
      id: `${this.#randomId()}-${this.#count}`,
      coordinator: coordinator.database,
    };
    try {
      if (isOtherRole) await leaveRoles(writers);
      await this.#whenReady(coordinator, signal);
    } catch (error) {
      await Promise.all(writers.map(({ connection }) => rollback(connection)));
      throw error;
    }
    await prepareAll(transaction, coordinator, participants, isOtherRole);
    await decideCommit(transaction, coordinator, participants);
    await this.#finish(transaction, participants);
  }

  /**
   * The table is made before it is needed, outside of any client's transaction and over a
   * connection that is none of the pool's (OwnBackends): the pool's may all be in transactions
   * that come to wait for it. Clients that need it at once make it once.
   */
  async #whenReady({ database, connection }: Writer, signal: AbortSignal): Promise<void> {
    const known = this.#ready.get(database);
    if (known !== undefined) return known;
    const { rows } = await connection.query(COMMIT_RECORD_EXISTS);
    const isThere = rows[0]?.[0] === "t";
    const ready =
      this.#ready.get(database) ??
      (isThere ? Promise.resolve() : this.#createRecordTable(database, signal));
    this.#ready.set(database, ready);
    try {
      await ready;
    } catch (error) {
      this.#ready.delete(database);
      throw error;
    }
  }

  async #createRecordTable(database: DatabaseName, signal: AbortSignal): Promise<void> {
    const connection = await this.#backends.acquire(database, signal);
    try {
      await connection.query(CREATE_COMMIT_RECORD);
    } finally {
      await rollback(connection);
      this.#backends.release(connection);
    }
  }

  async #finish(transaction: GlobalTransaction, participants: readonly Writer[]): Promise<void> {
    const results = await Promise.allSettled(
      participants.map(({ database, connection }) =>
        commitPrepared(connection, preparedName(transaction, database)),
      ),
    );
    let isFinished = true;
    for (const [index, result] of results.entries()) {
      const participant = participants[index];
      if (result.status === "fulfilled" || participant === undefined) continue;
      isFinished = false;
      await this.#inDoubt.addUnfinished({ transaction, participant: participant.database });
    }
    if (isFinished) this.#rememberFinished(transaction);
  }

  #rememberFinished({ coordinator, id }: GlobalTransaction): void {
    const ids = this.#finished.get(coordinator) ?? [];
    ids.push(id);
    this.#finished.set(coordinator, ids);
  }

  hasFinished(database: DatabaseName): boolean {
    return (this.#finished.get(database)?.length ?? 0) > 0;
  }

  /** Deletes the records of finished transactions, some at once. Losing the list leaves rows, no wrong answer. */
  async forgetFinished(database: DatabaseName, connection: BackendConnection): Promise<void> {
    const ids = this.#finished.get(database)?.splice(0, COMMIT_RECORDS_FORGOTTEN_AT_ONCE) ?? [];
    if (ids.length > 0) await connection.query(forgetCommitted(ids));
  }
}

async function leaveRoles(writers: readonly Writer[]): Promise<void> {
  const results = await Promise.allSettled(writers.map(({ connection }) => leaveRole(connection)));
  // Only once all have answered: none may be used while its answer is outstanding.
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** A statement that failed has aborted one of them, as PREPARE or COMMIT would say by their tags. */
async function refuseAborted(writers: readonly Writer[]): Promise<void> {
  const aborted = writers.find(({ connection }) => connection.transactionStatus === "failed");
  if (aborted === undefined) return;
  await Promise.all(writers.map(({ connection }) => rollback(connection)));
  throw new SqlError(
    "transaction_aborted",
    `database "${aborted.database}" had aborted the transaction`,
  );
}

/** Its part is prepared, whatever becomes of the connection: what follows tells of a lost one. */
async function keepDurable(connection: BackendConnection): Promise<void> {
  connection.sessionTag = UNKNOWN_SETTINGS;
  await connection.query("SET synchronous_commit = on").catch(() => connection.destroy());
}

async function prepareAll(
  transaction: GlobalTransaction,
  coordinator: Writer,
  participants: readonly Writer[],
  isOtherRole: boolean,
): Promise<void> {
  const results = await Promise.allSettled(
    participants.map(async ({ database, connection }) => {
      const { tag, rows } = await connection.query(
        `${COMMIT_DURABLY}; PREPARE TRANSACTION ${quoteLiteral(preparedName(transaction, database))}`,
      );
      if (tag !== "PREPARE TRANSACTION")
        throw new SqlError(
          "transaction_aborted",
          `database "${database}" had aborted the transaction`,
        );
      // COMMIT PREPARED is to be as durable: once it is answered, the record is forgotten.
      if (rows.length > 0) await keepDurable(connection);
      // It is prepared, whatever becomes of the connection: a lost one is told by what follows.
      if (isOtherRole) await leaveRoleForGood(connection).catch(() => connection.destroy());
    }),
  );
  const failed = results.findIndex(({ status }) => status === "rejected");
  const failure = results[failed];
  if (failure === undefined || failure.status !== "rejected") return;

  await Promise.all([
    rollback(coordinator.connection),
    ...participants.map(async ({ database, connection }, index) => {
      if (results[index]?.status === "rejected") await rollback(connection);
      else await rollbackPreparedOrLeave(connection, preparedName(transaction, database));
    }),
  ]);
  throw worded(failure.reason, participants[failed]?.database);
}

/** A prepared part that cannot be rolled back now is rolled back by recovery: no record says it committed. */
async function rollbackPreparedOrLeave(connection: BackendConnection, name: string): Promise<void> {
  await connection
    .query(`ROLLBACK PREPARED ${quoteLiteral(name)}`)
    .catch(() => connection.destroy());
}

function worded(reason: unknown, database: DatabaseName | undefined): unknown {
  if (reason instanceof BackendError && reason.fields["C"] === TOO_FEW_PREPARED_TRANSACTIONS) {
    return new SqlError(
      "prepared_transactions_disabled",
      `database "${database}" cannot take part in a transaction over several databases: ${reason.fields["M"]}`,
      { cause: reason },
    );
  }
  return reason;
}

async function decideCommit(
  transaction: GlobalTransaction,
  coordinator: Writer,
  participants: readonly Writer[],
): Promise<void> {
  try {
    const names = participants.map(({ database }) => database);
    await commitOne(coordinator, `${insertCommitted(transaction, names)}; COMMIT`);
  } catch (error) {
    if (error instanceof SqlError && error.id === "transaction_in_doubt") {
      for (const { connection } of participants) connection.destroy();
    } else {
      await Promise.all(
        participants.map(({ database, connection }) =>
          rollbackPreparedOrLeave(connection, preparedName(transaction, database)),
        ),
      );
    }
    throw decidedBefore(error, coordinator.database);
  }
}

/** Whoever recovers takes a commit that lasts too long for one that died, and has recorded so. */
function decidedBefore(error: unknown, database: DatabaseName): unknown {
  if (!(error instanceof BackendError)) return error;
  const { C: sqlstate, s: schema, t: table } = error.fields;
  if (sqlstate !== UNIQUE_VIOLATION || schema !== "colonnade" || table !== "commit_record")
    return error;
  return new SqlError(
    "transaction_aborted",
    `the transaction took too long to commit in database "${database}", and was rolled back`,
    { cause: error },
  );
}

const UNIQUE_VIOLATION = "23505";

/**
 * Commits in one phase. An ErrorResponse says that it did not happen; silence, and a
 * connection that ends (a server that stops while it waits for a synchronous standby has
 * committed and says so with a FATAL), say nothing: the outcome is unknown.
 */
export async function commitOne({ database, connection }: Writer, sql: string): Promise<void> {
  let tag: string;
  try {
    ({ tag } = await connection.query(sql));
  } catch (error) {
    if (error instanceof BackendError) {
      await rollback(connection);
      throw error;
    }
    throw commitLost(database, error);
  }
  if (tag !== "COMMIT") throw notCommitted(database);
}

/** Nothing says whether it has committed. */
export function commitLost(database: DatabaseName, cause: unknown): SqlError {
  return new SqlError(
    "transaction_in_doubt",
    `connection to database "${database}" was lost while the transaction was committing`,
    { cause },
  );
}

/** A server rolls back what has failed, whatever it is asked. */
export function notCommitted(database: DatabaseName): SqlError {
  return new SqlError("transaction_aborted", `database "${database}" had aborted the transaction`);
}

/**
 * The first of several writers commits last, in one phase, together with the record that decides
 * for the others, which are prepared. Who it is makes no difference, but for
 * one that cannot be prepared. There is at most one of those: rows are gathered, and backends
 * pinned, in the catalog database alone. So are notifications sent, which PostgreSQL does not
 * prepare either, and of which the proxy knows nothing where a trigger sends them. Were there two,
 * after a reload of the map has named another, PREPARE TRANSACTION of the second would be refused,
 * and everything rolled back.
 */
export function coordinatorFirst<Part extends Writer & { readonly cannotPrepare: boolean }>(
  writers: readonly Part[],
  catalog: DatabaseName,
): readonly Part[] {
  const rank = ({ database, cannotPrepare }: Part) =>
    cannotPrepare ? 0 : database === catalog ? 1 : 2;
  return writers.toSorted((left, right) => rank(left) - rank(right));
}

/** Nothing was written, so a reader that cannot commit has lost nothing. */
export async function endReader({ connection }: Writer): Promise<void> {
  await connection.query("COMMIT").catch(() => connection.destroy());
}

/** Ends a transaction that must not commit. A connection that cannot say so is destroyed, which rolls back too. */
export async function rollback(connection: BackendConnection): Promise<void> {
  if (connection.isBroken || connection.transactionStatus === "idle") return;
  await connection.query("ROLLBACK").catch(() => connection.destroy());
}
