/**
 * Where a statement's temporary tables live: one backend of the catalog database, inside a
 * transaction block, and how they are gone from it when the statement is over.
 *
 *     outside a transaction    a block of its own, rolled back: no WAL is waited for, and what was
 *                              only there to be read leaves nothing. One snapshot for all it reads.
 *     inside one               the transaction's own backend, so that the statement sees what the
 *                              transaction has written; the tables are dropped right after it
 *     inside a READ ONLY one   a block beside it, since no table may be made there. Nothing was
 *                              written that it could miss, or the statement is refused.
 */
import type { DatabaseName } from "../../../base/ids.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import type { SessionBackends } from "../session-backends.ts";
import type { Participant } from "../participant.ts";
import type { Transaction } from "../transaction.ts";
import { rollback } from "../two-phase-commit.ts";
import { dropTables } from "./temporary-table.ts";

export interface GatherBlock {
  readonly connection: BackendConnection;
  /** The client's transaction has it, and sees its own writes through it. */
  readonly participant: Participant | undefined;
  /** The catalog database's own rows are read by it; else they are copied like any other's. */
  readonly readsCatalog: boolean;
  /** What makes the block, to be sent with the first statement in it. */
  readonly prologue: readonly string[];
  /** Of the tables made so far, by the names they have at the time. */
  readonly tables: Set<string>;
  /** Afterwards none of the tables is left, or the transaction they are in has failed. */
  close(): Promise<void>;
}

export interface GatherBlockOptions {
  /** `write`: a function of the statement may write, which a read-only transaction must refuse. */
  readonly access: "read" | "write";
  /** The session's own temporary tables, which are on its pinned backend alone. */
  readonly usesOwnTables: boolean;
  readonly backends: SessionBackends;
  readonly catalog: DatabaseName;
  readonly signal: AbortSignal;
}

export async function openGatherBlock(
  transaction: Transaction | undefined,
  options: GatherBlockOptions,
): Promise<GatherBlock> {
  if (transaction === undefined) return await openOwnBlock([], true, options);
  if (transaction.modes.readOnly !== true) return await joinBlock(transaction, options);
  refuseReadOnly(transaction, options);
  return await openOwnBlock(transaction.settings, false, options);
}

/** `settings`: SET statements that the statement must run under. */
async function openOwnBlock(
  settings: readonly string[],
  readsCatalog: boolean,
  { usesOwnTables, backends, catalog, signal }: GatherBlockOptions,
): Promise<GatherBlock> {
  // The client's own temporary tables may have the names of those to be made.
  const connection = usesOwnTables
    ? await backends.acquire(catalog, signal)
    : await backends.acquireUnpinned(catalog, signal);
  const close = async (): Promise<void> => {
    if (connection.pendingReadyForQuery === 0) await rollback(connection);
    backends.release(connection);
  };
  // The session's default may be a read-only transaction.
  const prologue = ["BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE", ...settings];
  return { connection, participant: undefined, readsCatalog, prologue, tables: new Set(), close };
}

/** PREPARE TRANSACTION is refused from here on, so this database has to commit last: see Participant. */
async function joinBlock(
  transaction: Transaction,
  { catalog, signal }: GatherBlockOptions,
): Promise<GatherBlock> {
  const participant = await transaction.join(catalog, signal);
  const { connection } = participant;
  participant.cannotPrepare = true;
  const tables = new Set<string>();
  const close = async (): Promise<void> => {
    const isUsable =
      connection.pendingReadyForQuery === 0 && connection.transactionStatus === "inTransaction";
    if (tables.size > 0 && isUsable && !connection.isBroken)
      await connection.query(dropTables([...tables]));
  };
  return { connection, participant, readsCatalog: true, prologue: [], tables, close };
}

/** A block beside the transaction has another snapshot, does not see what it has written, and is not read-only. */
function refuseReadOnly(
  transaction: Transaction,
  { access, usesOwnTables, catalog }: GatherBlockOptions,
): void {
  const { isolation } = transaction.modes;
  const hasWritten = transaction.participants.some(
    ({ database, wrote }) => database === catalog && wrote !== "no",
  );
  const reason =
    access === "write"
      ? "The statement may write, and temporary tables beside the transaction would let it."
      : usesOwnTables
        ? "The statement uses temporary tables of the session, which temporary tables beside the transaction could not meet."
        : hasWritten
          ? `The transaction has written to database "${catalog}", and temporary tables beside it would not see that.`
          : isolation === "repeatable read" || isolation === "serializable"
            ? `The transaction's isolation level is ${isolation}, and temporary tables beside it would see another snapshot.`
            : undefined;
  if (reason === undefined) return;
  throw new SqlError(
    "gather_read_only",
    "cannot gather rows in temporary tables in a read-only transaction",
    { detail: reason },
  );
}
