/**
 * The map and the catalog a proxy works with now: one immutable view, replaced as a whole.
 *
 * The catalog is loaded at start, after DDL through this proxy and, in a fleet, through others
 * (catalog-trust.ts), and when the catalog database says that somebody else changed it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { DatabaseName } from "../../base/ids.ts";
import {
  CATALOG_CONFIRM_TIMEOUT_MS,
  CATALOG_POLL_INTERVAL_MS,
  MAP_READ_WAIT_MS,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { ControlAnswer } from "../backend/control-answer.ts";
import { buildCatalog } from "./catalog-build.ts";
import { CATALOG_FINGERPRINT_QUERY, CATALOG_READ_SETTINGS } from "./catalog-queries.ts";
import { CatalogSource, readCatalogRows } from "./catalog-source.ts";
import type { CatalogBackends } from "./catalog-source.ts";
import { OidTranslations } from "./oid-translation.ts";
import { withTemporaryRelations } from "./temporary-relations.ts";

export interface TopologyView {
  readonly map: ShardMap;
  readonly catalog: Catalog;
  readonly translations: OidTranslations;
}

interface LoadedView {
  readonly view: TopologyView;
  /** As LiveTopology keeps it. */
  readonly fingerprint: string;
}

export interface LiveTopologyOptions {
  readonly log: Log;
  /** Called after each replacement. */
  readonly onChange: () => void;
  /** Rejects where it cannot be told that no newer map has been published. */
  readonly confirmMap: () => Promise<void>;
}

export class LiveTopology {
  readonly #backends: CatalogBackends;
  readonly #options: LiveTopologyOptions;
  readonly #source: CatalogSource;
  #refreshing: Promise<void> | undefined;
  #nextRefresh: Promise<void> | undefined;
  #current: TopologyView;
  /** Of the catalog database, as it was before the catalog was read; empty where it is to be read again. */
  #fingerprint: string;
  #isReachable = true;
  #timer: NodeJS.Timeout | undefined;
  #poll: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** Rejects where the catalog database, or any other with tables of the map, cannot be read. */
  static async load(
    map: ShardMap,
    backends: CatalogBackends,
    options: LiveTopologyOptions,
  ): Promise<LiveTopology> {
    const source = new CatalogSource(backends);
    const loaded = await loadView(map, source, backends);
    return new LiveTopology(loaded, source, backends, options);
  }

  private constructor(
    { view, fingerprint }: LoadedView,
    source: CatalogSource,
    backends: CatalogBackends,
    options: LiveTopologyOptions,
  ) {
    this.#current = view;
    this.#fingerprint = fingerprint;
    this.#source = source;
    this.#backends = backends;
    this.#options = options;
  }

  get current(): TopologyView {
    return this.#current;
  }

  /** Whether the catalog database answered when it was last asked. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  /**
   * Everything that was committed before the call is in the view after it. Who asks while the
   * catalog is being read shares the next reading with all others who do.
   */
  refresh(): Promise<void> {
    if (this.#refreshing === undefined) return this.#startRefresh();
    this.#nextRefresh ??= this.#refreshing
      .catch(() => undefined)
      .then(() => {
        this.#nextRefresh = undefined;
        return this.#startRefresh();
      });
    return this.#nextRefresh;
  }

  #startRefresh(): Promise<void> {
    const refreshing = this.#load().finally(() => {
      this.#refreshing = undefined;
    });
    this.#refreshing = refreshing;
    return refreshing;
  }

  async #load(): Promise<void> {
    const { map } = this.#current;
    const { view, fingerprint } = await loadView(map, this.#source, this.#backends);
    const catalog = await this.#confirmed(view.catalog, map);
    // A map that was replaced meanwhile has loaded its own view.
    if (this.#current.map !== map) return;
    this.#fingerprint = fingerprint;
    this.#replace({ ...view, catalog });
  }

  /**
   * A relation that is new, and not in the map, may be in a newer one: who made it may have followed that
   * before this proxy does. Nothing was published since where the map is confirmed after it was seen.
   */
  async #confirmed(catalog: Catalog, map: ShardMap): Promise<Catalog> {
    const unconfirmed = newRelations(this.#current.catalog, catalog, map);
    if (unconfirmed.size === 0) return catalog;
    try {
      await this.#options.confirmMap();
      return catalog;
    } catch (error) {
      this.#options.log.warn({ err: error }, "new tables are refused until the map is confirmed");
      return { ...catalog, unconfirmed };
    }
  }

  /**
   * `connectTo` makes the new map's databases reachable; it runs before they are read. A fleet may be
   * waiting, so databases that do not answer are not waited for: they are read when they do.
   */
  async replaceMap(map: ShardMap, connectTo: () => void): Promise<void> {
    connectTo();
    const read = await this.#readCatalog(map);
    const catalog = read === undefined ? this.#keptCatalog(map) : this.#unconfirmed(read, map);
    const translations = new OidTranslations(map, catalog, this.#backends, this.#keptFor(map));
    await Promise.race([translations.loadAll(), aMoment()]);
    // What the catalog database has told of itself is as good as the catalog that is kept.
    if (read === undefined) this.#current = { map, catalog, translations };
    else this.#replace({ map, catalog, translations });
  }

  /** Whoever hands over a map is asked for no other one meanwhile: the next look does. */
  #unconfirmed(catalog: Catalog, map: ShardMap): Catalog {
    return { ...catalog, unconfirmed: newRelations(this.#current.catalog, catalog, map) };
  }

  /** Of databases that are where they were, so that a slow one is served meanwhile as before. */
  #keptFor(map: ShardMap): ReturnType<OidTranslations["known"]> {
    const { map: before, translations } = this.#current;
    const isSame = (name: DatabaseName): boolean =>
      isDeepStrictEqual(map.databases.get(name)?.server, before.databases.get(name)?.server);
    return translations.known((name) => isSame(map.catalog) && isSame(name));
  }

  /** Undefined where the catalog database is the same and does not answer. */
  async #readCatalog(map: ShardMap): Promise<Catalog | undefined> {
    const loading = this.#source.load(map.catalog);
    if (map.catalog !== this.#current.map.catalog) return await loading;
    return await Promise.race([loading.catch(() => undefined), aMoment()]);
  }

  /** Until the next look. Its epoch tells of maps, too: what was prepared for the old one is prepared again. */
  #keptCatalog(map: ShardMap): Catalog {
    this.#options.log.warn({ mapVersion: map.version }, "a map is applied with the catalog in use");
    this.#fingerprint = "";
    return { ...this.#current.catalog, epoch: this.#source.nextEpoch() };
  }

  #replace(view: TopologyView): void {
    this.#current = view;
    this.#options.onChange();
  }

  /** The catalog as an open transaction of the catalog database sees it. Its settings are as before afterwards. */
  async loadInTransaction(connection: BackendConnection): Promise<Catalog> {
    await connection.query(`SAVEPOINT colonnade_catalog; ${CATALOG_READ_SETTINGS}`);
    const rows = await readCatalogRows(async (sql) => (await connection.query(sql)).rows);
    await connection.query(
      "ROLLBACK TO SAVEPOINT colonnade_catalog; RELEASE SAVEPOINT colonnade_catalog",
    );
    return buildCatalog(rows, this.#source.nextEpoch());
  }

  /** `base`, with the temporary relations of the session whose backend this is. */
  loadTemporary(connection: BackendConnection, base: Catalog): Promise<Catalog> {
    return withTemporaryRelations(connection, base, this.#source.nextEpoch());
  }

  startPolling(): void {
    this.#timer = setTimeout(() => {
      this.#poll = this.#lookNowAndThen().finally(() => {
        if (!this.#isStopped) this.startPolling();
      });
    }, CATALOG_POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#poll;
  }

  /** Everything that was committed before the call is in the view after it; it costs little where that is nothing. */
  async look(): Promise<void> {
    const { map } = this.#current;
    const fingerprint = await readFingerprint(map.catalog, this.#backends);
    if (fingerprint !== this.#fingerprint) await this.refresh();
  }

  /** What pg_xact_status says of a transaction of the catalog database; undefined where it does not know of it. */
  async transactionStatus(transaction: string): Promise<string | undefined> {
    const sql = `SELECT pg_catalog.pg_xact_status(${quoteLiteral(transaction)})`;
    try {
      const { rows } = await ask(this.#current.map.catalog, this.#backends, sql);
      return rows[0]?.[0] ?? undefined;
    } catch (error) {
      // A server that took over before it knew of the transaction has lost it.
      if (error instanceof BackendError && error.fields.C === INVALID_PARAMETER) return undefined;
      throw error;
    }
  }

  async #lookNowAndThen(): Promise<void> {
    try {
      // What could not be confirmed is asked for again.
      if (this.#current.catalog.unconfirmed.size > 0) await this.refresh();
      else await this.look();
      this.#isReachable = true;
    } catch (error) {
      if (this.#isReachable)
        this.#options.log.warn({ err: error }, "catalog database cannot be read");
      this.#isReachable = false;
    }
  }
}

/** Of a transaction id that is in the future. */
const INVALID_PARAMETER = "22023";

async function readFingerprint(database: DatabaseName, backends: CatalogBackends): Promise<string> {
  const { rows } = await ask(database, backends, CATALOG_FINGERPRINT_QUERY);
  return rows[0]?.join(" ") ?? "";
}

async function ask(
  database: DatabaseName,
  backends: CatalogBackends,
  sql: string,
): Promise<ControlAnswer> {
  const signal = AbortSignal.timeout(CATALOG_CONFIRM_TIMEOUT_MS);
  const connection = await backends.acquireOwn(database, signal);
  try {
    return await connection.query(sql, signal);
  } finally {
    backends.release(connection);
  }
}

/** OIDs of those that were not there before, or not confirmed, and that the map does not list. */
function newRelations(before: Catalog, now: Catalog, map: ShardMap): ReadonlySet<number> {
  const known = new Set<number>();
  for (const relations of before.relations.values())
    for (const { oid } of relations.values()) if (!before.unconfirmed.has(oid)) known.add(oid);
  const found = new Set<number>();
  for (const [schema, relations] of now.relations)
    for (const [name, { oid }] of relations) {
      const isListed = schema === map.canonicalSchema && map.tables.has(name);
      if (!isListed && !known.has(oid)) found.add(oid);
    }
  return found;
}

async function loadView(
  map: ShardMap,
  source: CatalogSource,
  backends: CatalogBackends,
): Promise<LoadedView> {
  const fingerprint = await readFingerprint(map.catalog, backends);
  const catalog = await source.load(map.catalog);
  const translations = await OidTranslations.load(map, catalog, backends);
  return { view: { map, catalog, translations }, fingerprint };
}

async function aMoment(): Promise<undefined> {
  return await sleep(MAP_READ_WAIT_MS, undefined, { ref: false });
}
