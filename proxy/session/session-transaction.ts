/**
 * A session's transaction status, as PostgreSQL's xact.c keeps it: none, implicit (a query
 * string of several statements, a pipeline up to its Sync) or explicit; and whether it failed.
 *
 * SETs inside it are pending until it commits.
 */
import { invariant } from "../../base/invariant.ts";
import { SAVEPOINTS_PER_TRANSACTION_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { SettingPlan, TransactionModes } from "../../planner/session-plan.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { CommitKind, Transaction, PartEnded } from "../execution/transaction.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import type { Environment } from "./environment.ts";
import type { ListenAction, Listening } from "./listening.ts";
import { isOtherRole } from "./settings.ts";
import type { SessionSettings } from "./settings.ts";

export const NO_MODES: TransactionModes = {
  isolation: undefined,
  readOnly: undefined,
  deferrable: undefined,
};

/** DDL that was planned for a map is about to commit. */
export type PrepareDdl = (map: ShardMap, transaction: Transaction) => Promise<void>;

interface OpenTransaction {
  readonly transaction: Transaction;
  /** The modes that the transaction before it has handed on by AND CHAIN. */
  readonly chained: TransactionModes;
  isExplicit: boolean;
  isFailed: boolean;
  /** Its own DDL: the catalog is loaded again when it commits. */
  changesCatalog: boolean;
  /** What its DDL was planned for: under another map its tables would be looked for elsewhere. */
  ddlMap: ShardMap | undefined;
  /** The catalog as this transaction sees it; undefined while that is everyone's. */
  catalog: Catalog | undefined;
  /** What it stands on until its first SET. To end it, no database needs to be asked. */
  readonly outerEnvironment: Environment;
  /** Undefined until asked for, and after each SET. */
  environment: Environment | undefined;
  readonly pendingSettings: SettingPlan[];
  /** LISTEN and UNLISTEN in order, done at its commit. */
  readonly listenActions: ListenAction[];
  readonly savepoints: OpenSavepoint[];
  /** What a ROLLBACK TO undoes a part of, from the last BEGIN or savepoint on. */
  scope: Scope;
}

/**
 * What AND CHAIN hands on: the modes as they are, whatever the defaults have become. At an error
 * PostgreSQL undoes the modes that BEGIN and SET TRANSACTION have set since the innermost savepoint,
 * or since the transaction began, and not those that it was handed itself.
 */
export function modesToChain({
  transaction,
  chained,
  isFailed,
}: OpenTransaction): TransactionModes {
  if (isFailed) return transaction.savepointModes ?? chained;
  const { isolation = "read committed", readOnly = false, deferrable } = transaction.modes;
  return { isolation, readOnly, deferrable };
}

interface OpenSavepoint {
  readonly name: string;
  readonly settingsCount: number;
  readonly listenCount: number;
  readonly environment: Environment | undefined;
  readonly scope: Scope;
}

/** A subtransaction, as far as portals are concerned: those made in one that is undone are gone. */
export interface Scope {
  readonly outer: Scope | undefined;
  isUndone: boolean;
}

export function isUndone(scope: Scope): boolean {
  for (let each: Scope | undefined = scope; each !== undefined; each = each.outer)
    if (each.isUndone) return true;
  return false;
}

export interface Ended {
  readonly outcome: "COMMIT" | "ROLLBACK";
  readonly commitKind: CommitKind;
  readonly changedCatalog: boolean;
}

export class SessionTransaction {
  readonly #open: (modes: TransactionModes) => Transaction;
  readonly #settings: SessionSettings;
  readonly #listening: Listening;
  #current: OpenTransaction | undefined;
  #scope: Scope = { outer: undefined, isUndone: false };
  /** The client may have been told of settings that are others now. */
  mayHaveChangedSettings = false;
  /** What has to be read before a transaction that has not failed commits; what it throws, fails it. */
  beforeCommit: (signal: AbortSignal) => Promise<void> = async () => undefined;
  /** Nothing of a transaction is open any more. */
  afterEnd: () => void = () => undefined;
  /** The catalog database was written to: by NOTIFY perhaps, or a trigger that notifies. */
  mayHaveNotified = false;

  constructor(
    open: (modes: TransactionModes) => Transaction,
    settings: SessionSettings,
    listening: Listening,
  ) {
    this.#open = open;
    this.#settings = settings;
    this.#listening = listening;
  }

  get current(): OpenTransaction | undefined {
    return this.#current;
  }

  /** Channels; what the open transaction adds is not among them yet. */
  get listening(): readonly string[] {
    return this.#listening.channels;
  }

  /** Where a portal made now belongs. */
  get scope(): Scope {
    return this.#current?.scope ?? this.#scope;
  }

  get isExplicit(): boolean {
    return this.#current?.isExplicit ?? false;
  }

  get isFailed(): boolean {
    return this.#current?.isFailed ?? false;
  }

  /** What ReadyForQuery says: an implicit transaction is over by then. */
  get status(): TransactionStatus {
    if (this.#current === undefined) return "idle";
    return this.#current.isFailed ? "failed" : "inTransaction";
  }

  /** Also where a database's part of it is gone, though none of its statements has met that. */
  refuseWhenFailed(): void {
    if (this.#current?.isFailed !== true) {
      this.#current?.transaction.refuseWhenLost();
      return;
    }
    throw new SqlError(
      "transaction_failed",
      "current transaction is aborted, commands ignored until end of transaction block",
    );
  }

  /** `chained`: the modes that it has from the transaction before it, by AND CHAIN. */
  begin(
    modes: TransactionModes,
    isExplicit: boolean,
    outerEnvironment: Environment,
    chained: TransactionModes,
  ): Transaction {
    const transaction = this.#open(modes);
    this.#current = {
      transaction,
      chained,
      isExplicit,
      isFailed: false,
      changesCatalog: false,
      ddlMap: undefined,
      catalog: undefined,
      outerEnvironment,
      environment: undefined,
      pendingSettings: [],
      listenActions: [],
      savepoints: [],
      scope: this.#scope,
    };
    return transaction;
  }

  /** An error inside a transaction fails it; outside there is nothing to fail. */
  fail(): void {
    const open = this.#current;
    if (open === undefined) return;
    open.isFailed = true;
    // PostgreSQL undoes the SETs of the innermost subtransaction at the error, not at its end.
    const savepoint = open.savepoints.at(-1);
    this.#undoSettings(open, savepoint?.settingsCount ?? 0, savepoint?.environment);
  }

  #undoSettings(
    open: OpenTransaction,
    settingsCount: number,
    environment: Environment | undefined,
  ): void {
    if (open.pendingSettings.length > settingsCount) this.mayHaveChangedSettings = true;
    open.pendingSettings.length = settingsCount;
    open.environment = environment;
  }

  addSetting(plan: SettingPlan, sql: string): void {
    if (this.#current === undefined) return;
    const changesRole = isOtherRole([plan.name]);
    this.#current.transaction.addSetting(sql, changesRole);
    this.#current.pendingSettings.push(plan);
    this.#current.environment = undefined;
    // It says which views the role that has read it may read.
    if (changesRole) this.#current.catalog = undefined;
    this.mayHaveChangedSettings = true;
  }

  addListenAction(action: ListenAction): void {
    this.#current?.listenActions.push(action);
  }

  async savepoint(name: string): Promise<void> {
    const open = this.#explicit("SAVEPOINT");
    if (open.savepoints.length >= SAVEPOINTS_PER_TRANSACTION_MAX) {
      throw new SqlError(
        "too_many_savepoints",
        `a transaction may hold ${SAVEPOINTS_PER_TRANSACTION_MAX} savepoints`,
      );
    }
    await open.transaction.savepoint(name);
    const { environment, scope } = open;
    open.savepoints.push({
      name,
      settingsCount: open.pendingSettings.length,
      listenCount: open.listenActions.length,
      environment,
      scope,
    });
    open.scope = { outer: scope, isUndone: false };
  }

  async release(name: string): Promise<void> {
    const open = this.#explicit("RELEASE SAVEPOINT");
    await open.transaction.release(name);
    const index = open.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    open.scope = open.savepoints[index]?.scope ?? open.scope;
    open.savepoints.length = index;
  }

  async rollbackTo(name: string): Promise<void> {
    const open = this.#explicit("ROLLBACK TO SAVEPOINT");
    await open.transaction.rollbackTo(name);
    const index = open.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    const savepoint = open.savepoints[index];
    invariant(savepoint !== undefined, "the transaction has found the savepoint");
    this.#undoSettings(open, savepoint.settingsCount, savepoint.environment);
    open.listenActions.length = savepoint.listenCount;
    open.savepoints.length = index + 1;
    undoScopes(open.scope, savepoint.scope);
    open.scope = { outer: savepoint.scope, isUndone: false };
    open.isFailed = false;
    open.catalog = undefined;
  }

  #explicit(command: string): OpenTransaction {
    if (this.#current === undefined || !this.#current.isExplicit) {
      throw new SqlError("no_transaction", `${command} can only be used in transaction blocks`);
    }
    return this.#current;
  }

  /**
   * Commits, or rolls back what has failed. Whatever it throws, the transaction is over. `prepareDdl`
   * may keep DDL from committing; nothing but the commit is done after it.
   */
  async end(signal: AbortSignal, prepareDdl: PrepareDdl = async () => undefined): Promise<Ended> {
    try {
      return await this.#end(signal, prepareDdl);
    } finally {
      this.afterEnd();
    }
  }

  /**
   * As `end`, where one database has to be asked for its COMMIT, and nothing has to be done before or after: no
   * settings, channels, cursors or DDL. Calls back once; false where it is for `end` to do.
   */
  commitPart(ended: PartEnded): boolean {
    const open = this.#current;
    if (open === undefined || !isOfStatementsAlone(open)) return false;
    const part = open.transaction.partToCommit;
    if (part === undefined) return false;
    this.#close();
    this.mayHaveNotified ||= open.transaction.wroteToCatalog;
    open.transaction.commitPart(part, (error, kind) => {
      this.afterEnd();
      ended(error, kind);
    });
    return true;
  }

  #close(): void {
    this.#current = undefined;
    this.#scope.isUndone = true;
    this.#scope = { outer: undefined, isUndone: false };
  }

  async #end(signal: AbortSignal, prepareDdl: PrepareDdl): Promise<Ended> {
    const open = this.#current;
    if (open?.isFailed === false) await this.#prepareCommit(open, signal, prepareDdl);
    this.#close();
    if (open === undefined) return NOTHING_ENDED;
    if (open.pendingSettings.length > 0) this.mayHaveChangedSettings = true;
    if (open.isFailed) {
      await open.transaction.rollback();
      return { outcome: "ROLLBACK", commitKind: "none", changedCatalog: false };
    }
    this.mayHaveNotified ||= open.transaction.wroteToCatalog;
    const commitKind = await this.#commit(open, signal);
    for (const plan of open.pendingSettings) applySetting(this.#settings, plan);
    return { outcome: "COMMIT", commitKind, changedCatalog: open.changesCatalog };
  }

  async #prepareCommit(
    { ddlMap, transaction }: OpenTransaction,
    signal: AbortSignal,
    prepareDdl: PrepareDdl,
  ): Promise<void> {
    try {
      await this.beforeCommit(signal);
      if (ddlMap !== undefined) await prepareDdl(ddlMap, transaction);
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** The server listens before the commit: none that is notified after its answer is missed. */
  async #commit(
    { transaction, listenActions }: OpenTransaction,
    signal: AbortSignal,
  ): Promise<CommitKind> {
    if (listenActions.length === 0) return transaction.commit(signal);
    let channels: ReadonlySet<string>;
    try {
      channels = await this.#listening.prepare(listenActions, signal);
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
    try {
      const commitKind = await transaction.commit(signal);
      this.#listening.adopt(channels);
      return commitKind;
    } catch (error) {
      this.#listening.abandon(channels);
      throw error;
    }
  }

  async rollback(): Promise<Ended> {
    this.fail();
    return this.end(new AbortController().signal);
  }
}

/** Of an explicit transaction that has not failed: it has run statements about rows, and nothing else. */
function isOfStatementsAlone(open: OpenTransaction): boolean {
  return (
    open.isExplicit &&
    !open.isFailed &&
    !open.changesCatalog &&
    open.pendingSettings.length === 0 &&
    open.listenActions.length === 0
  );
}

/** A released savepoint's scope lies inside of the one it was released into, and goes with it. */
function undoScopes(inner: Scope, outermost: Scope): void {
  for (let each: Scope | undefined = inner; each !== undefined; each = each.outer) {
    if (each === outermost) return;
    each.isUndone = true;
  }
}

const NOTHING_ENDED: Ended = {
  outcome: "COMMIT",
  commitKind: "none",
  changedCatalog: false,
};

export function applySetting(
  settings: SessionSettings,
  { action, name, scope, sql }: SettingPlan,
): void {
  if (scope === "local") return;
  if (name === undefined) settings.resetAll();
  else if (action === "reset") settings.reset(name);
  else settings.set(name, sql);
}
