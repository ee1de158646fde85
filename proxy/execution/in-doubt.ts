/**
 * Finds prepared parts that their proxy did not finish, reads the coordinator's record and
 * finishes them. Any proxy may do so, for any other: the record decides, not the proxy.
 *
 * It also knows the parts that this proxy could not finish itself (a database died between
 * the decision and COMMIT PREPARED): until they are, the database is not read, so a client
 * that was told "committed" never sees the time before.
 */
import { IN_DOUBT_AGE_MS, IN_DOUBT_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { decide, parsePreparedName, preparedName } from "./commit-record.ts";
import type { GlobalTransaction } from "./commit-record.ts";
import { deleteRecords, readFinishable } from "./record-sweep.ts";

export interface InDoubtBackends {
  acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection>;
  release(connection: BackendConnection): void;
  has(database: DatabaseName): boolean;
}

export interface Resolution {
  readonly preparedName: string;
  /** `undecided`: its coordinator cannot be asked, or is committing just now; the next pass tries again. */
  readonly outcome: "committed" | "rolled back" | "undecided";
}

export interface PreparedPart {
  /** See preparedName; another's may begin alike. */
  readonly name: string;
  /** Since PREPARE TRANSACTION, by the server's clock. */
  readonly ageMs: number;
}

/** A part of a transaction that is decided as committed, and that its database has not been told to commit. */
export interface UnfinishedPart {
  readonly transaction: GlobalTransaction;
  readonly participant: DatabaseName;
}

export class InDoubt {
  readonly #backends: InDoubtBackends;
  readonly #tellOthers: (part: UnfinishedPart) => Promise<void>;
  readonly #unfinished = new Map<DatabaseName, Map<string, GlobalTransaction>>();

  /** `tellOthers`: those who serve the same clients, which cannot tell whom they ask. */
  constructor(
    backends: InDoubtBackends,
    tellOthers: (part: UnfinishedPart) => Promise<void> = async () => undefined,
  ) {
    this.#backends = backends;
    this.#tellOthers = tellOthers;
  }

  /** The participant did not answer COMMIT PREPARED. Nobody is told of the commit before this resolves. */
  async addUnfinished(part: UnfinishedPart): Promise<void> {
    this.adoptUnfinished(part);
    await this.#tellOthers(part);
  }

  get unfinished(): readonly UnfinishedPart[] {
    return [...this.#unfinished].flatMap(([participant, parts]) =>
      [...parts.values()].map((transaction) => ({ transaction, participant })),
    );
  }

  /** One that another has left. */
  adoptUnfinished({ transaction, participant }: UnfinishedPart): void {
    const parts = this.#unfinished.get(participant) ?? new Map<string, GlobalTransaction>();
    parts.set(preparedName(transaction, participant), transaction);
    this.#unfinished.set(participant, parts);
  }

  hasUnfinished(database: DatabaseName): boolean {
    return this.#unfinished.has(database);
  }

  /** Finishes what this proxy left open on a database; throws when that is still not possible. */
  async finish(database: DatabaseName, connection: BackendConnection): Promise<void> {
    const parts = this.#unfinished.get(database);
    if (parts === undefined) return;
    for (const name of parts.keys()) {
      await commitPrepared(connection, name);
      parts.delete(name);
    }
    if (parts.size === 0) this.#unfinished.delete(database);
  }

  /** One pass over one database: every part of ours older than IN_DOUBT_AGE_MS is decided. */
  async recover(database: DatabaseName, signal: AbortSignal): Promise<readonly Resolution[]> {
    const found = await this.list(database, signal);
    const resolutions: Resolution[] = [];
    for (const { name, ageMs } of found) {
      if (ageMs < IN_DOUBT_AGE_MS) continue;
      const resolution = await this.#resolve(database, name, signal);
      if (resolution !== undefined) resolutions.push(resolution);
    }
    return resolutions;
  }

  /** Every part of ours that is prepared in the database now, of commits under way as well. */
  list(database: DatabaseName, signal: AbortSignal): Promise<readonly PreparedPart[]> {
    return this.#with(database, signal, (connection) => listPrepared(connection, signal));
  }

  /** One backend at a time: two passes that each held one and waited for the other's would never end. */
  async #with<T>(
    database: DatabaseName,
    signal: AbortSignal,
    use: (connection: BackendConnection) => Promise<T>,
  ): Promise<T> {
    const connection = await this.#backends.acquire(database, signal);
    try {
      return await use(connection);
    } finally {
      this.#backends.release(connection);
    }
  }

  /** Undefined where somebody else finished the part meanwhile. */
  async #resolve(
    database: DatabaseName,
    name: string,
    signal: AbortSignal,
  ): Promise<Resolution | undefined> {
    const parsed = parsePreparedName(name);
    if (parsed === undefined || !this.#backends.has(parsed.transaction.coordinator)) {
      return { preparedName: name, outcome: "undecided" };
    }
    const committed = await this.#decision(parsed.transaction, signal).catch(() => undefined);
    if (committed === undefined) return { preparedName: name, outcome: "undecided" };
    const wasThere = await this.#with(database, signal, (connection) =>
      committed
        ? commitPrepared(connection, name, signal)
        : rollbackPrepared(connection, name, signal),
    );
    if (!wasThere) return undefined;
    return { preparedName: name, outcome: committed ? "committed" : "rolled back" };
  }

  /**
   * Deletes the records that nobody can ask for any more. Those of the database's own commits that
   * went well are gone already (TwoPhaseCommit.forgetFinished): what is left is of proxies that died.
   */
  async sweepRecords(coordinator: DatabaseName, signal: AbortSignal): Promise<void> {
    const records = await this.#with(coordinator, signal, (connection) =>
      readFinishable(connection, signal),
    );
    if (records === undefined) return;
    const unfinished = new Set<string>();
    for (const participant of new Set(records.flatMap(({ participants }) => participants))) {
      // A database that cannot be asked may hold a part of each.
      const parts = this.#backends.has(participant)
        ? await this.list(participant, signal).catch(() => undefined)
        : undefined;
      for (const { id, participants } of records) {
        const isOpen = parts?.some(({ name }) => parsePreparedName(name)?.transaction.id === id);
        if (participants.includes(participant) && isOpen !== false) unfinished.add(id);
      }
    }
    const finished = records.map(({ id }) => id).filter((id) => !unfinished.has(id));
    await this.#with(coordinator, signal, (connection) =>
      deleteRecords(connection, finished, signal),
    );
  }

  #decision(transaction: GlobalTransaction, signal: AbortSignal): Promise<boolean> {
    return this.#with(transaction.coordinator, signal, async (coordinator) => {
      const [insert, select] = decide(transaction);
      await coordinator.query(
        `SET lock_timeout = ${IN_DOUBT_LOCK_TIMEOUT_MS}; ${insert}; RESET lock_timeout`,
        signal,
      );
      const { rows } = await coordinator.query(select ?? "", signal);
      const committed = rows[0]?.[0];
      if (committed === undefined || committed === null) {
        throw new SqlError(
          "transaction_in_doubt",
          `no decision is recorded for transaction ${transaction.id}`,
        );
      }
      return committed === "t";
    });
  }
}

async function listPrepared(
  connection: BackendConnection,
  signal: AbortSignal,
): Promise<readonly PreparedPart[]> {
  const { rows } = await connection.query(
    `SELECT gid, pg_catalog.floor(1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - prepared))
     FROM pg_catalog.pg_prepared_xacts
     WHERE gid LIKE 'colonnade:%' AND database = pg_catalog.current_database()
     ORDER BY prepared`,
    signal,
  );
  return rows.map(([gid, ageMs]) => ({ name: gid ?? "", ageMs: Number(ageMs) }));
}

/**
 * Committing what somebody else committed already is no error, and then false. Recovery gives up
 * by the signal; a commit in progress waits.
 */
export async function commitPrepared(
  connection: BackendConnection,
  name: string,
  signal?: AbortSignal,
): Promise<boolean> {
  return await finishPrepared(connection, `COMMIT PREPARED ${quoteLiteral(name)}`, signal);
}

async function rollbackPrepared(
  connection: BackendConnection,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  return await finishPrepared(connection, `ROLLBACK PREPARED ${quoteLiteral(name)}`, signal);
}

const UNDEFINED_OBJECT = "42704";

async function finishPrepared(
  connection: BackendConnection,
  sql: string,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await connection.query(sql, signal);
    return true;
  } catch (error) {
    if (error instanceof BackendError && error.fields.C === UNDEFINED_OBJECT) return false;
    throw error;
  }
}
