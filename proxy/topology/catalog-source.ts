/**
 * Loads the catalog snapshot that statements are planned with, from the catalog database in
 * one transaction. When to load again is the caller's to know.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { CATALOG_LOAD_TIMEOUT_MS } from "../../base/limits.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import * as queries from "./catalog-queries.ts";
import { buildCatalog } from "./catalog-build.ts";
import type { CatalogRows } from "./catalog-build.ts";
import { ViewTexts } from "./view-texts.ts";

/**
 * In a transaction of its own, or inside the one that is open, whose uncommitted DDL it then
 * sees and which it leaves as it was. Rejects with BackendError or a connection's error.
 */
export async function loadCatalog(
  connection: BackendConnection,
  epoch: number,
  signal?: AbortSignal,
  readViews?: ReadViews,
): Promise<Catalog> {
  const rows = await inSnapshot(connection, signal, (ask) => readCatalogRows(ask, readViews));
  return buildCatalog(rows, epoch);
}

export type Ask = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** A savepoint's rollback undoes SET LOCAL, so that an open transaction keeps its settings. */
const SCOPES = {
  own: {
    begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    end: "COMMIT",
    abort: "ROLLBACK",
  },
  nested: {
    begin: "SAVEPOINT colonnade_catalog",
    end: "ROLLBACK TO SAVEPOINT colonnade_catalog; RELEASE SAVEPOINT colonnade_catalog",
    abort: "ROLLBACK TO SAVEPOINT colonnade_catalog; RELEASE SAVEPOINT colonnade_catalog",
  },
} as const;

/** Runs catalog queries with the settings they expect; see `loadCatalog` for what is around them. */
export async function inSnapshot<T>(
  connection: BackendConnection,
  signal: AbortSignal | undefined,
  read: (ask: Ask) => Promise<T>,
): Promise<T> {
  const scope = connection.transactionStatus === "idle" ? SCOPES.own : SCOPES.nested;
  await connection.query(scope.begin, signal);
  try {
    await connection.query(queries.CATALOG_READ_SETTINGS, signal);
    const result = await read(async (sql) => (await connection.query(sql, signal)).rows);
    await connection.query(scope.end, signal);
    return result;
  } catch (error) {
    // A connection that cannot roll back is closed, which rolls back too.
    await connection.query(scope.abort, signal).catch(() => connection.destroy());
    throw error;
  }
}

/** The rows of VIEWS_QUERY, otherwise than by it. */
export type ReadViews = (ask: Ask) => Promise<CatalogRows["views"]>;

const printAll: ReadViews = (ask) => ask(queries.VIEWS_QUERY);

export async function readCatalogRows(ask: Ask, readViews = printAll): Promise<CatalogRows> {
  return {
    database: await ask(queries.DATABASE_QUERY),
    schemas: await ask(queries.SCHEMAS_QUERY),
    relations: await ask(queries.RELATIONS_QUERY),
    views: await readViews(ask),
    columns: await ask(queries.COLUMNS_QUERY),
    sequences: await ask(queries.SEQUENCES_QUERY),
    uniqueKeys: await ask(queries.UNIQUE_KEYS_QUERY),
    foreignKeys: await ask(queries.FOREIGN_KEYS_QUERY),
    triggers: await ask(queries.TRIGGERS_QUERY),
    types: await ask(queries.TYPES_QUERY),
    functions: await ask(queries.FUNCTIONS_QUERY),
    hiddenCalls: await ask(queries.HIDDEN_CALLS_QUERY),
    collations: await ask(queries.COLLATIONS_QUERY),
    redefinedComparisons: await ask(queries.REDEFINED_COMPARISONS_QUERY),
  };
}

/** The pools, as far as loading needs them. */
export interface CatalogBackends {
  acquireOwn(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection>;
  release(connection: BackendConnection): void;
}

export class CatalogSource {
  readonly #backends: CatalogBackends;
  readonly #viewTexts = new ViewTexts();
  #epoch = 0;
  #running: Promise<Catalog> | undefined;
  #following: Promise<Catalog> | undefined;

  constructor(backends: CatalogBackends) {
    this.#backends = backends;
  }

  /**
   * A catalog that shows everything committed before the call. Calls share a load that has
   * not begun; one that has begun may have its snapshot already and serves no newcomer.
   */
  load(database: DatabaseName): Promise<Catalog> {
    if (this.#following !== undefined) return this.#following;
    const previous = this.#running;
    if (previous === undefined) return this.#start(database);
    this.#following = previous
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined;
        return this.#start(database);
      });
    return this.#following;
  }

  /** For a catalog that was read otherwise: no other has this epoch. */
  nextEpoch(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  #start(database: DatabaseName): Promise<Catalog> {
    const running = this.#loadOnce(database, this.nextEpoch()).finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #loadOnce(database: DatabaseName, epoch: number): Promise<Catalog> {
    const signal = AbortSignal.timeout(CATALOG_LOAD_TIMEOUT_MS);
    const connection = await this.#backends.acquireOwn(database, signal);
    try {
      return await loadCatalog(connection, epoch, signal, (ask) => this.#viewTexts.read(ask));
    } finally {
      this.#backends.release(connection);
    }
  }
}
