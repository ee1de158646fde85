/**
 * A client's transaction over however many databases it touches.
 *
 * A database joins when a statement first needs it: BEGIN with the client's modes, then the
 * settings and savepoints made so far, so that it stands where the others stand. Commit is
 * one phase where one database was written to, and two phases where several were.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { SnapshotNeed } from "../../planner/physical-plan.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";
import { UNKNOWN_SETTINGS } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Participant } from "./participant.ts";
import { SingleCommit } from "./single-commit.ts";
import type { SessionBackends } from "./session-backends.ts";
import { notInDatabase } from "./session-role.ts";
import {
  beginStatement,
  changedModes,
  isOfOneSnapshot,
  modeNames,
  refuseInSubtransaction,
  setTransaction,
} from "./transaction-modes.ts";
import { commitOne, coordinatorFirst, endReader, rollback } from "./two-phase-commit.ts";
import type { TwoPhaseCommit } from "./two-phase-commit.ts";

interface Savepoint {
  readonly name: string;
  readonly settingsCount: number;
  readonly modes: TransactionModes;
}

/** `error`: where it was not committed, or may not have been; `none`: nothing was to be. */
export type PartEnded = (error: unknown, kind: "none" | "single") => void;

export type CommitKind = "none" | "single" | "two-phase";

export class Transaction {
  readonly #backends: SessionBackends;
  readonly #twoPhase: TwoPhaseCommit;
  readonly #catalog: DatabaseName;
  readonly #participants = new Map<DatabaseName, Participant>();
  /** SET statements in order, replayed for a database that joins later. */
  readonly #settings: string[] = [];
  readonly #savepoints: Savepoint[] = [];
  #modes: TransactionModes;
  /** It has changed who the session is, or may have. */
  #changesRole = false;

  constructor(
    backends: SessionBackends,
    twoPhase: TwoPhaseCommit,
    modes: TransactionModes,
    catalog: DatabaseName,
  ) {
    this.#catalog = catalog;
    this.#backends = backends;
    this.#twoPhase = twoPhase;
    this.#modes = modes;
  }

  get participants(): readonly Participant[] {
    return [...this.#participants.values()];
  }

  /** The one whose time is the transaction's. */
  get firstDatabase(): DatabaseName | undefined {
    return this.#participants.keys().next().value;
  }

  get wroteToCatalog(): boolean {
    const participant = this.#participants.get(this.#catalog);
    return participant !== undefined && participant.wrote !== "no";
  }

  get modes(): TransactionModes {
    return this.#modes;
  }

  /** As they were at the innermost savepoint; undefined without one. */
  get savepointModes(): TransactionModes | undefined {
    return this.#savepoints.at(-1)?.modes;
  }

  /** SET statements in order, for a backend that has to read as the transaction's own do. */
  get settings(): readonly string[] {
    return this.#settings;
  }

  has(database: DatabaseName): boolean {
    return this.#participants.has(database);
  }

  /** The database's backend, inside the transaction; joins it where it is not. */
  async join(
    database: DatabaseName,
    signal: AbortSignal,
    need: SnapshotNeed = "own",
  ): Promise<Participant> {
    this.refuseWhenLost();
    if (need === "own") this.#refuseSecondSnapshot(database);
    // The first to take a snapshot has fixed the transaction's, whatever it reads.
    const hasSnapshot = need === "own" || (need === "any" && this.snapshotDatabase === undefined);
    const present = this.#participants.get(database);
    if (present !== undefined) {
      present.hasSnapshot ||= hasSnapshot;
      return present;
    }
    const connection = await this.#acquire(database, signal);
    const participant: Participant = {
      database,
      connection,
      wrote: "no",
      cannotPrepare: this.#backends.isPinned(connection),
      hasSnapshot,
    };
    this.#participants.set(database, participant);
    try {
      await connection.query(this.#joinScript());
    } catch (error) {
      throw this.#changesRole ? notInDatabase(database, error) : error;
    }
    return participant;
  }

  /**
   * The database's part, where it is the only one and at rest in its transaction: a statement may
   * be put to it as it is, with no snapshot and no part of another database to look after.
   */
  onlyPart(database: DatabaseName): Participant | undefined {
    const part = this.#participants.get(database);
    if (part === undefined || this.#participants.size > 1) return undefined;
    const { isBroken, hasArrived, pendingReadyForQuery, transactionStatus } = part.connection;
    const isQuiet = !isBroken && !hasArrived && pendingReadyForQuery === 0;
    const isAtRest = isQuiet && transactionStatus === "inTransaction";
    return isAtRest && !isOfOneSnapshot(this.#modes.isolation) ? part : undefined;
  }

  /** What a first database begins with, where its first statement may be sent together with that; undefined where not. */
  get beginAhead(): string | undefined {
    const isPlain = this.#savepoints.length === 0 && this.#settings.length === 0;
    if (!isPlain || this.#participants.size > 0 || isOfOneSnapshot(this.#modes.isolation))
      return undefined;
    return beginStatement(this.#modes);
  }

  /** The first database's part, on a backend that is the session's: its BEGIN (`beginAhead`) is the caller's to send. */
  joinFirst(connection: BackendConnection): Participant {
    const { database } = connection;
    const cannotPrepare = this.#backends.isPinned(connection);
    const part: Participant = {
      database,
      connection,
      wrote: "no",
      cannotPrepare,
      hasSnapshot: true,
    };
    this.#participants.set(database, part);
    return part;
  }

  /** The only part there is, at rest, where nothing but its own COMMIT ends it; undefined where not. */
  get partToCommit(): Participant | undefined {
    const isPlain = this.#savepoints.length === 0 && this.#settings.length === 0;
    const database = this.firstDatabase;
    return isPlain && database !== undefined ? this.onlyPart(database) : undefined;
  }

  /** Commits a `partToCommit`; afterwards the transaction is over, also where that fails. Calls back once. */
  commitPart(part: Participant, ended: PartEnded): void {
    const kind = part.wrote === "no" ? "none" : "single";
    SingleCommit.start(part, (error) => {
      this.#participants.clear();
      this.#backends.release(part.connection);
      ended(error, kind);
    });
  }

  /** Who is stopped since others wait for its connections gives them back before its client is told. */
  async #acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    try {
      return await this.#backends.acquire(database, signal);
    } catch (error) {
      const isDeadlock = error instanceof SqlError && error.id === "deadlock_detected";
      const isAtRest = this.participants.every(
        ({ connection }) => connection.pendingReadyForQuery === 0,
      );
      if (isDeadlock && isAtRest && this.#savepoints.length === 0) await this.#end();
      throw error;
    }
  }

  /**
   * Throws where a database's part is gone, and its server has rolled it back: what is done from
   * here on, in whichever database, would not be of the transaction that the client is in.
   */
  refuseWhenLost(): void {
    this.#refuseLost(() => true);
  }

  #refuseLost(concerns: (participant: Participant) => boolean): void {
    for (const participant of this.#participants.values())
      if (participant.connection.isBroken && concerns(participant))
        throw participant.connection.loss();
  }

  /**
   * The one database whose tables the transaction may use, since a statement has taken its snapshot
   * there: one for all of it is what its isolation level promises, and two databases have two.
   * Undefined where there is none yet, or the level promises no such thing.
   */
  get snapshotDatabase(): DatabaseName | undefined {
    if (!isOfOneSnapshot(this.#modes.isolation)) return undefined;
    return this.participants.find(({ hasSnapshot }) => hasSnapshot)?.database;
  }

  #refuseSecondSnapshot(database: DatabaseName): void {
    const first = this.snapshotDatabase;
    if (first === undefined || first === database) return;
    throw new SqlError(
      "snapshot_over_databases",
      `a transaction at isolation level ${this.#modes.isolation} cannot use database "${database}" after "${first}"`,
    );
  }

  #joinScript(): string {
    let modes = this.#savepoints[0]?.modes ?? this.#modes;
    let applied = 0;
    const script = [beginStatement(modes)];
    const upTo = (settingsCount: number, now: TransactionModes): void => {
      script.push(...this.#settings.slice(applied, settingsCount));
      const changed = modeNames(changedModes(modes, now));
      if (changed.length > 0) script.push(setTransaction(changed));
      [applied, modes] = [settingsCount, now];
    };
    for (const savepoint of this.#savepoints) {
      upTo(savepoint.settingsCount, savepoint.modes);
      script.push(`SAVEPOINT ${quoteIdentifier(savepoint.name)}`);
    }
    upTo(this.#settings.length, this.#modes);
    return script.join("; ");
  }

  /** A SET that ran on every participant; later ones get it when they join. */
  addSetting(sql: string, changesRole: boolean): void {
    this.#settings.push(sql);
    this.#changesRole ||= changesRole;
  }

  /** What it does may be done as another role than the connections' user. */
  get isOtherRole(): boolean {
    return this.#changesRole || this.#backends.isOtherRole;
  }

  /** SET TRANSACTION, or a BEGIN inside it: for the databases that are in and those that join. */
  async changeModes(modes: TransactionModes): Promise<void> {
    if (modes.readOnly === true) await this.#refuseWhenWritten();
    if (this.#savepoints.length > 0) refuseInSubtransaction(this.#modes, modes);
    const names = modeNames(modes);
    if (names.length > 0) await this.#onAll(setTransaction(names));
    this.#modes = {
      isolation: modes.isolation ?? this.#modes.isolation,
      readOnly: modes.readOnly ?? this.#modes.readOnly,
      deferrable: modes.deferrable ?? this.#modes.deferrable,
    };
  }

  /** What decides a commit in two phases is a row, which a read-only transaction cannot write. */
  async #refuseWhenWritten(): Promise<void> {
    if (this.#modes.readOnly === true) return;
    await this.#askWhetherWritten();
    const writers = this.participants.filter(({ wrote }) => wrote !== "no");
    const [first, second] = writers;
    if (first === undefined || second === undefined) return;
    throw new SqlError(
      "read_only_after_writes",
      `a transaction that has written to databases "${first.database}" and "${second.database}" cannot become read-only`,
    );
  }

  /** SET CONSTRAINTS ALL, in the client's words: for the databases that are in and those that join. */
  async setConstraints(sql: string): Promise<void> {
    await this.#onAll(sql);
    this.#settings.push(sql);
  }

  async savepoint(name: string): Promise<void> {
    await this.#onAll(`SAVEPOINT ${quoteIdentifier(name)}`);
    this.#savepoints.push({ name, settingsCount: this.#settings.length, modes: this.#modes });
  }

  async release(name: string): Promise<void> {
    const index = this.#findSavepoint(name);
    await this.#onAll(`RELEASE SAVEPOINT ${quoteIdentifier(name)}`);
    // A subtransaction ends with the mode that it began with (CommitSubTransaction in xact.c).
    const { readOnly } = this.#savepoints[index]?.modes ?? this.#modes;
    this.#modes = { ...this.#modes, readOnly };
    this.#savepoints.length = index;
  }

  async rollbackTo(name: string): Promise<void> {
    const index = this.#findSavepoint(name);
    await this.#onAll(`ROLLBACK TO SAVEPOINT ${quoteIdentifier(name)}`);
    const savepoint = this.#savepoints[index];
    this.#settings.length = savepoint?.settingsCount ?? 0;
    this.#modes = savepoint?.modes ?? this.#modes;
    this.#savepoints.length = index + 1;
  }

  #findSavepoint(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (index === -1) throw new SqlError("savepoint_unknown", `savepoint "${name}" does not exist`);
    return index;
  }

  async #onAll(sql: string): Promise<void> {
    this.refuseWhenLost();
    const results = await Promise.allSettled(
      this.participants.map(({ connection }) => connection.query(sql)),
    );
    // Only once all have answered: none may be used while its answer is outstanding.
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Commits everything or nothing. Afterwards the transaction is over, also when it throws. */
  async commit(signal: AbortSignal): Promise<CommitKind> {
    try {
      // COMMIT is not sent where the answer is known. A part that has only read loses nothing.
      this.#refuseLost(({ wrote }) => wrote !== "no");
      await this.#askWhetherWritten();
      const writers = this.participants.filter(({ wrote }) => wrote !== "no");
      const readers = this.participants.filter(({ wrote }) => wrote === "no");
      const [only] = writers;
      if (writers.length > 1)
        await this.#twoPhase.commit(
          { writers: coordinatorFirst(writers, this.#catalog), isOtherRole: this.isOtherRole },
          signal,
        );
      else if (only !== undefined) await commitOne(only, "COMMIT");
      for (const reader of readers) await endReader(reader);
      return writers.length > 1 ? "two-phase" : only === undefined ? "none" : "single";
    } finally {
      await this.#end();
    }
  }

  /** A transaction that has no id has written nothing, whatever its statements were. */
  async #askWhetherWritten(): Promise<void> {
    const unsure = this.participants.filter(({ wrote }) => wrote === "maybe");
    if (unsure.length === 0 || this.participants.filter(({ wrote }) => wrote !== "no").length < 2)
      return;
    await Promise.all(
      unsure.map(async (participant) => {
        const { rows } = await participant.connection.query(
          "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL",
        );
        participant.wrote = rows[0]?.[0] === "t" ? "no" : "yes";
      }),
    );
  }

  /**
   * After an error, before the client ends the transaction: as in PostgreSQL, what the
   * transaction, or its last savepoint, has locked is free at once, in every database.
   */
  async fail(): Promise<void> {
    const savepoint = this.#savepoints.at(-1);
    const sql =
      savepoint === undefined
        ? "ROLLBACK"
        : `ROLLBACK TO SAVEPOINT ${quoteIdentifier(savepoint.name)}`;
    const open = this.participants.filter(
      ({ connection }) =>
        !connection.isBroken &&
        connection.pendingReadyForQuery === 0 &&
        connection.transactionStatus === "inTransaction",
    );
    await Promise.all(
      open.map(({ connection }) => connection.query(sql).catch(() => connection.destroy())),
    );
  }

  async rollback(): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<void> {
    await Promise.all(
      this.participants.map(async ({ connection }) => {
        await rollback(connection);
        if (this.#settings.length > 0) connection.sessionTag = UNKNOWN_SETTINGS;
        this.#backends.release(connection);
      }),
    );
    this.#participants.clear();
  }
}
