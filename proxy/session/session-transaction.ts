/**
 * A session's transaction status, as PostgreSQL's xact.c keeps it: none, implicit (a query
 * string of several statements, a pipeline up to its Sync) or explicit; and whether it failed.
 *
 * SETs inside it are pending until it commits.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { SettingPlan, TransactionModes } from "../../planner/logical-plan.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import { Transaction } from "../execution/transaction.ts";
import type { CommitKind } from "../execution/transaction.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import type { Environment } from "./environment.ts";
import type { SessionSettings } from "./settings.ts";

export const NO_MODES: TransactionModes = {
  isolation: undefined,
  readOnly: undefined,
  deferrable: undefined,
};

interface OpenTransaction {
  readonly transaction: Transaction;
  isExplicit: boolean;
  isFailed: boolean;
  /** Its own DDL: the catalog is loaded again when it commits. */
  changesCatalog: boolean;
  /** The catalog as this transaction sees it; undefined while that is everyone's. */
  catalog: Catalog | undefined;
  /** Undefined until asked for, and after each SET. */
  environment: Environment | undefined;
  readonly pendingSettings: SettingPlan[];
  readonly savepoints: { readonly name: string; readonly settingsCount: number }[];
}

export interface Ended {
  readonly outcome: "COMMIT" | "ROLLBACK";
  readonly commitKind: CommitKind;
  readonly changedCatalog: boolean;
  readonly changedSettings: boolean;
}

export class SessionTransaction {
  readonly #open: (modes: TransactionModes) => Transaction;
  readonly #settings: SessionSettings;
  #current: OpenTransaction | undefined;

  constructor(open: (modes: TransactionModes) => Transaction, settings: SessionSettings) {
    this.#open = open;
    this.#settings = settings;
  }

  get current(): OpenTransaction | undefined {
    return this.#current;
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

  refuseWhenFailed(): void {
    if (this.#current?.isFailed !== true) return;
    throw new SqlError(
      "transaction_failed",
      "current transaction is aborted, commands ignored until end of transaction block",
    );
  }

  begin(modes: TransactionModes, isExplicit: boolean): Transaction {
    const transaction = this.#open(modes);
    this.#current = {
      transaction,
      isExplicit,
      isFailed: false,
      changesCatalog: false,
      catalog: undefined,
      environment: undefined,
      pendingSettings: [],
      savepoints: [],
    };
    return transaction;
  }

  /** An error inside a transaction fails it; outside there is nothing to fail. */
  fail(): void {
    if (this.#current !== undefined) this.#current.isFailed = true;
  }

  addSetting(plan: SettingPlan, sql: string): void {
    if (this.#current === undefined) return;
    this.#current.transaction.addSetting(sql);
    this.#current.pendingSettings.push(plan);
    this.#current.environment = undefined;
  }

  async savepoint(name: string): Promise<void> {
    const open = this.#explicit("SAVEPOINT");
    await open.transaction.savepoint(name);
    open.savepoints.push({ name, settingsCount: open.pendingSettings.length });
  }

  async release(name: string): Promise<void> {
    const open = this.#explicit("RELEASE SAVEPOINT");
    await open.transaction.release(name);
    open.savepoints.length = open.savepoints.findLastIndex((savepoint) => savepoint.name === name);
  }

  async rollbackTo(name: string): Promise<void> {
    const open = this.#explicit("ROLLBACK TO SAVEPOINT");
    await open.transaction.rollbackTo(name);
    const index = open.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    open.pendingSettings.length = open.savepoints[index]?.settingsCount ?? 0;
    open.savepoints.length = index + 1;
    open.isFailed = false;
    open.environment = undefined;
    open.catalog = undefined;
  }

  #explicit(command: string): OpenTransaction {
    if (this.#current === undefined || !this.#current.isExplicit) {
      throw new SqlError("no_transaction", `${command} can only be used in transaction blocks`);
    }
    return this.#current;
  }

  /** Commits, or rolls back what has failed. Whatever it throws, the transaction is over. */
  async end(signal: AbortSignal): Promise<Ended> {
    const open = this.#current;
    this.#current = undefined;
    if (open === undefined) return NOTHING_ENDED;
    const changedSettings = open.pendingSettings.length > 0;
    if (open.isFailed) {
      await open.transaction.rollback();
      return { outcome: "ROLLBACK", commitKind: "none", changedCatalog: false, changedSettings };
    }
    const commitKind = await open.transaction.commit(signal);
    for (const plan of open.pendingSettings) applySetting(this.#settings, plan);
    return { outcome: "COMMIT", commitKind, changedCatalog: open.changesCatalog, changedSettings };
  }

  async rollback(): Promise<Ended> {
    this.fail();
    return this.end(new AbortController().signal);
  }
}

const NOTHING_ENDED: Ended = {
  outcome: "COMMIT",
  commitKind: "none",
  changedCatalog: false,
  changedSettings: false,
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
