/**
 * How a session sees names and settings: as everyone does, or as its open transaction has
 * changed them, with its own temporary relations; and which backend of the catalog database
 * can tell. It runs none of the client's statements.
 */
import { invariant } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { describe } from "../execution/describe.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import type { SettingsScript } from "../execution/session-settings.ts";
import type { DrawingBackends } from "./generated-values.ts";
import { readEnvironment } from "./environment.ts";
import type { Environment } from "./environment.ts";
import type { SessionServices } from "./session-services.ts";
import type { SessionTransaction } from "./session-transaction.ts";
import type { SessionSettings } from "./settings.ts";

export interface SeeingSession {
  readonly services: Pick<
    SessionServices,
    "catalogTrust" | "environments" | "loadCatalog" | "refreshCatalog" | "topology"
  >;
  readonly settings: SessionSettings;
  readonly backends: SessionBackends;
  readonly transaction: SessionTransaction;
  /** The catalog with the session's temporary relations, where it has any. */
  readonly withTemporary: (catalog: Catalog, signal: AbortSignal) => Promise<Catalog>;
}

type Use<T> = (connection: BackendConnection) => Promise<T>;

export class SessionView {
  readonly #session: SeeingSession;
  #plannedMap: ShardMap | undefined;

  constructor(session: SeeingSession) {
    this.#session = session;
  }

  /** The open transaction has changed tables or settings, which nobody else sees yet. */
  get isOwn(): boolean {
    const open = this.#session.transaction.current;
    return open !== undefined && (open.changesCatalog || open.pendingSettings.length > 0);
  }

  /** What it names may be otherwise for everyone else. */
  get hasOwnCatalog(): boolean {
    return this.isOwn || this.#session.transaction.current?.catalog !== undefined;
  }

  /** Statements run as another role than the connections' user, or may. */
  get isOtherRole(): boolean {
    const { settings, transaction } = this.#session;
    return transaction.current?.transaction.isOtherRole ?? settings.script.isOtherRole;
  }

  /** Of everyone's catalog. */
  get catalogEpoch(): number {
    return this.#session.services.topology().catalog.epoch;
  }

  /** The catalog as it is now, unless it is another already than the one of this epoch. */
  async lookAgain(epoch: number): Promise<void> {
    if (this.catalogEpoch === epoch) await this.#session.services.refreshCatalog();
  }

  /**
   * DDL of others that is in force is in the catalog afterwards. What the transaction sees by itself it
   * reads again: it may have locked what others would have to read.
   */
  async confirmCatalog(): Promise<void> {
    const { services, transaction } = this.#session;
    const open = transaction.current;
    if (!services.catalogTrust.isDoubted || open?.isFailed === true) return;
    if (open?.changesCatalog === true) open.catalog = undefined;
    else if (open?.catalog === undefined) await services.catalogTrust.confirm();
  }

  /** The next plan may have to wait until the catalog database can tell how tables are now. */
  get isCatalogDoubted(): boolean {
    return this.#session.services.catalogTrust.isDoubted;
  }

  /** Of the last context: what was planned with it may run with no other. */
  get plannedMap(): ShardMap | undefined {
    return this.#plannedMap;
  }

  get #catalogDatabase(): DatabaseName {
    return this.#session.services.topology().map.catalog;
  }

  /** Lends a backend of the catalog database: the transaction's own where it has one. */
  async withCatalog<T>(signal: AbortSignal, use: Use<T>): Promise<T> {
    const open = this.#session.transaction.current;
    const isJoined =
      open !== undefined && (this.isOwn || open.transaction.has(this.#catalogDatabase));
    return isJoined ? this.withOwnCatalog(signal, use) : this.withFreeCatalog(signal, use);
  }

  /** One that is outside the open transaction, if any. */
  async withFreeCatalog<T>(signal: AbortSignal, use: Use<T>): Promise<T> {
    const { backends } = this.#session;
    const connection = await backends.acquire(this.#catalogDatabase, signal);
    try {
      return await use(connection);
    } finally {
      backends.release(connection);
    }
  }

  /** One outside of any transaction, as the connection's user: for what is done for all clients. */
  async withOwnUser<T>(signal: AbortSignal, use: Use<T>): Promise<T> {
    const { backends } = this.#session;
    const connection = await backends.acquireOwn(this.#catalogDatabase, signal);
    try {
      return await use(connection);
    } finally {
      backends.release(connection);
    }
  }

  /** `seesOwn`: the open transaction has made sequences, perhaps. */
  sequences(seesOwn: boolean, signal: AbortSignal): DrawingBackends {
    const asSession = <T>(use: Use<T>): Promise<T> => this.withCatalog(signal, use);
    if (seesOwn) return { inside: asSession, outside: asSession, asked: undefined };
    return this.isOtherRole
      ? { inside: undefined, outside: (use) => this.withOwnUser(signal, use), asked: asSession }
      : {
          inside: undefined,
          outside: (use) => this.withFreeCatalog(signal, use),
          asked: undefined,
        };
  }

  /** The open transaction's own backend of the catalog database, which joins it where it has not. */
  async withOwnCatalog<T>(signal: AbortSignal, use: Use<T>): Promise<T> {
    const open = this.#session.transaction.current;
    invariant(open !== undefined, "a transaction is open");
    const participant = await open.transaction.join(this.#catalogDatabase, signal, "none");
    return use(participant.connection);
  }

  /**
   * Describes a statement in the open transaction, whose locks keep its tables as they are up to
   * its end; the transaction sees them as they are then. No other connection may be asked while
   * they are kept: what it asks may have to wait for DDL that waits for them.
   */
  async keepTables(sql: string, types: readonly number[], signal: AbortSignal): Promise<void> {
    const { services, transaction } = this.#session;
    await this.withOwnCatalog(signal, async (connection) => {
      await describe(connection, sql, types, { of: "statement" });
      const catalog = await services.loadCatalog(connection);
      if (transaction.current !== undefined) transaction.current.catalog = catalog;
    });
  }

  /** The statement that they were kept for has run: the next one sees tables as everyone does. */
  forgetKept(): void {
    const open = this.#session.transaction.current;
    if (open?.changesCatalog === false) open.catalog = undefined;
  }

  async environment(signal: AbortSignal): Promise<Environment> {
    const { services, settings, transaction } = this.#session;
    const open = transaction.current;
    if (open !== undefined && open.pendingSettings.length > 0) {
      open.environment ??= await this.withCatalog(signal, (connection) =>
        readEnvironment(connection),
      );
      return open.environment;
    }
    if (open !== undefined) return open.outerEnvironment;
    const { tag } = settings.script;
    const known = services.environments.get(tag);
    if (known !== undefined) return known;
    const environment = await this.withCatalog(signal, (connection) => readEnvironment(connection));
    services.environments.set(tag, environment);
    return environment;
  }

  rememberEnvironment(settingsTag: string, environment: Environment): void {
    this.#session.services.environments.set(settingsTag, environment);
  }

  /** What the client is to be told of its settings; undefined while a failed transaction hides them. */
  async environmentToTell(signal: AbortSignal): Promise<Environment | undefined> {
    const open = this.#session.transaction.current;
    const isHidden = open?.isFailed === true && open.pendingSettings.length > 0;
    return isHidden ? open.environment : this.environment(signal);
  }

  /** `planContext` outside a transaction, where all of it is known; undefined else. */
  contextNow(parameterTypes: readonly number[]): PlanContext | undefined {
    const environment = this.environmentNow;
    if (environment === undefined) return undefined;
    const { map, catalog } = this.#session.services.topology();
    return this.#context(map, catalog, environment, parameterTypes);
  }

  /** Of the session's own settings; undefined where it, or the catalog, would have to be asked for. */
  get environmentNow(): Environment | undefined {
    if (this.#session.services.catalogTrust.isDoubted) return undefined;
    return this.#session.services.environments.get(this.script.tag);
  }

  /** The same object as long as the settings are the same. */
  get script(): SettingsScript {
    return this.#session.settings.script;
  }

  /** One shape for all: plans are kept by it. */
  #context(
    map: ShardMap,
    catalog: Catalog,
    { searchPath, user, isConnectionsUser }: Environment,
    parameterTypes: readonly number[],
  ): PlanContext {
    const { listening } = this.#session.transaction;
    const isOtherRole = this.isOtherRole && !isConnectionsUser;
    return { map, catalog, searchPath, user, isOtherRole, parameterTypes, listening };
  }

  /** `namesNothing`: what is planned needs no catalog, and need not wait for one. */
  async planContext(
    parameterTypes: readonly number[],
    signal: AbortSignal,
    namesNothing = false,
  ): Promise<PlanContext> {
    const { services, transaction, withTemporary } = this.#session;
    if (services.catalogTrust.isDoubted && !namesNothing) await this.confirmCatalog();
    const { map, catalog } = services.topology();
    this.#plannedMap = map;
    const open = transaction.current;
    // All that a failed transaction still plans is its end, which names nothing.
    if (open?.isFailed === true) return { map, catalog, searchPath: [], user: "", parameterTypes };
    const environment = await this.environment(signal);
    if (open?.changesCatalog === true) {
      open.catalog ??= await this.withCatalog(signal, (connection) =>
        services.loadCatalog(connection),
      );
    }
    const own = await withTemporary(open?.catalog ?? catalog, signal);
    return this.#context(map, own, environment, parameterTypes);
  }
}
