/**
 * The OID translation of every database of a shard map. A database that cannot be reached
 * does not hold up the others: statements on it are refused until it has been read.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { CATALOG_LOAD_TIMEOUT_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { buildTypes } from "./catalog-build.ts";
import { COLUMN_NUMBERS_QUERY, RANGES_QUERY, TYPES_QUERY } from "./catalog-queries.ts";
import { inSnapshot } from "./catalog-source.ts";
import type { CatalogBackends } from "./catalog-source.ts";
import { matchOids } from "./oid-match.ts";
import type { DatabaseOids, DatabaseRelation } from "./oid-match.ts";
import type { OidTranslator } from "./oid-translator.ts";

/** For one map and one state of types and tables; replaced when either changes. */
export class OidTranslations {
  readonly #backends: CatalogBackends;
  readonly #map: ShardMap;
  readonly #catalog: Catalog;
  readonly #loaded = new Map<DatabaseName, OidTranslator>();
  readonly #loading = new Map<DatabaseName, Promise<void>>();
  /** Of before, of databases that are the same: used until they have been read again. */
  readonly #kept: ReadonlyMap<DatabaseName, OidTranslator>;

  /** As `loadAll` leaves them. */
  static async load(
    map: ShardMap,
    catalog: Catalog,
    backends: CatalogBackends,
  ): Promise<OidTranslations> {
    const translations = new OidTranslations(map, catalog, backends);
    await translations.loadAll();
    return translations;
  }

  /** Reads nothing yet: see `loadAll`. `kept`: of databases whose OIDs are known to be the same. */
  constructor(
    map: ShardMap,
    catalog: Catalog,
    backends: CatalogBackends,
    kept: ReadonlyMap<DatabaseName, OidTranslator> = new Map(),
  ) {
    this.#map = map;
    this.#catalog = catalog;
    this.#backends = backends;
    this.#kept = kept;
  }

  /** What `of` gives without throwing, of those databases. */
  known(isWanted: (database: DatabaseName) => boolean): ReadonlyMap<DatabaseName, OidTranslator> {
    return new Map([...this.#kept, ...this.#loaded].filter(([name]) => isWanted(name)));
  }

  /** Reads every database. Those that cannot be read now are read when they are first needed. */
  async loadAll(): Promise<void> {
    await Promise.allSettled([...this.#map.databases.keys()].map((name) => this.#loadOnce(name)));
  }

  /**
   * The database's translation. Throws `backend_starting` where it could not be read yet, and
   * has it read then: a database that was down at start-up serves soon after it is back.
   */
  of(database: DatabaseName): OidTranslator {
    const loaded = this.#loaded.get(database);
    if (loaded !== undefined) return loaded;
    // Whoever comes next finds it loaded, or is told again.
    this.#loadOnce(database).catch(() => undefined);
    const kept = this.#kept.get(database);
    if (kept !== undefined) return kept;
    throw new SqlError(
      "backend_starting",
      `types and tables of database "${database}" have not been read yet`,
    );
  }

  #loadOnce(database: DatabaseName): Promise<void> {
    let loading = this.#loading.get(database);
    if (loading === undefined) {
      loading = this.#load(database).finally(() => this.#loading.delete(database));
      this.#loading.set(database, loading);
    }
    return loading;
  }

  async #load(database: DatabaseName): Promise<void> {
    const signal = AbortSignal.timeout(CATALOG_LOAD_TIMEOUT_MS);
    const connection = await this.#backends.acquireOwn(database, signal);
    try {
      const own = await readDatabaseOids(connection, signal);
      this.#loaded.set(database, matchOids(this.#map, database, own, this.#catalog));
    } finally {
      this.#backends.release(connection);
    }
  }
}

async function readDatabaseOids(
  connection: BackendConnection,
  signal?: AbortSignal,
): Promise<DatabaseOids> {
  return await inSnapshot(connection, signal, async (ask) => {
    const byOid = buildTypes(await ask(TYPES_QUERY));
    const ranges = await ask(RANGES_QUERY);
    const relations = await ask(COLUMN_NUMBERS_QUERY);
    const rangeSubtypes = new Map(ranges.map(([oid, subtype]) => [Number(oid), Number(subtype)]));
    return { types: { byOid, rangeSubtypes }, relations: readRelations(relations) };
  });
}

/** Placements have the same columns many times over: each list of them is kept once. */
function readRelations(rows: readonly (readonly (string | null)[])[]): readonly DatabaseRelation[] {
  const lists = new Map<string, ReadonlyMap<string, number>>();
  return rows.map(([oid, schema, name, numbers]) => {
    const text = numbers ?? "{}";
    let columnNumbers = lists.get(text);
    if (columnNumbers === undefined) {
      columnNumbers = new Map(Object.entries(JSON.parse(text) as Record<string, number>));
      lists.set(text, columnNumbers);
    }
    return { oid: Number(oid), schema: schema ?? "", name: name ?? "", columnNumbers };
  });
}
