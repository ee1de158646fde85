/**
 * What all sessions of a process share. Made by the root; a session owns none of it.
 */
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { PriorityRules } from "../execution/claimant.ts";
import type { OidTranslation } from "../execution/fragment-request.ts";
import type { Holds } from "../execution/holds.ts";
import type { GlobalSequences } from "../execution/global-sequences.ts";
import type { InDoubt } from "../execution/in-doubt.ts";
import type { LockHolders } from "../execution/lock-holders.ts";
import type { Pauses } from "../execution/pauses.ts";
import type { PinnableBackends } from "../execution/session-pools.ts";
import type { TwoPhaseCommit } from "../execution/two-phase-commit.ts";
import type { Notifications } from "../notifications/notifications.ts";
import type { AnnouncedDdl } from "./ddl-commit.ts";
import type { DescriptionCache } from "./description-cache.ts";
import type { EnvironmentCache } from "./environment.ts";
import type { ReadSharing } from "./read-sharing.ts";
import type { StatementPlanner } from "./statement-planner.ts";

/** One consistent view of map and catalog. Replaced as a whole, never changed. */
export interface Topology {
  readonly map: ShardMap;
  readonly catalog: Catalog;
  readonly translations: { of(database: DatabaseName): OidTranslation };
}

export interface CatalogTrust {
  readonly isDoubted: boolean;
  /** The catalog is, when it resolves, as it was at some time after the call. Rejects with `catalog_unconfirmed`. */
  confirm(): Promise<void>;
  /** The catalog was loaded after the announced DDL of this id was over. */
  settle(id: string): void;
}

export interface SessionServices {
  readonly topology: () => Topology;
  /**
   * DDL is about to commit by this transaction of the catalog database, or has committed by none.
   * Resolves once no proxy of the fleet takes its catalog for certain, and this one has the map in
   * force, which stays so up to the end; undefined where there is no fleet. Rejects where that cannot be had.
   */
  readonly announceDdl: (transaction: string | undefined) => Promise<AnnouncedDdl | undefined>;
  /** Whether DDL may be under way, by others or in this proxy, that the catalog lacks. */
  readonly catalogTrust: CatalogTrust;
  /** Loads the catalog again, after DDL has committed. */
  readonly refreshCatalog: () => Promise<void>;
  /** Tells those who serve the same clients that the session has changed tables. */
  readonly catalogChanged: () => Promise<void>;
  /** The catalog as an open transaction sees it, its own DDL included. */
  readonly loadCatalog: (connection: BackendConnection) => Promise<Catalog>;
  /** `base` with the temporary relations of the session whose backend this is, as the schema "pg_temp". */
  readonly loadTemporary: (connection: BackendConnection, base: Catalog) => Promise<Catalog>;
  readonly backends: PinnableBackends;
  readonly priorities: PriorityRules;
  readonly inDoubt: InDoubt;
  readonly twoPhase: TwoPhaseCommit;
  /** Where sessions that hold several backends are found by the deadlock detector. */
  readonly holders: LockHolders;
  readonly pauses: Pauses;
  readonly holds: Holds;
  readonly sequences: GlobalSequences;
  readonly notifications: Notifications;
  readonly planner: StatementPlanner;
  readonly descriptions: DescriptionCache;
  readonly environments: EnvironmentCache;
  /** Of the server's configuration: what a startup packet's own leaves unsaid. */
  readonly configuredDateStyle: string;
  /** `gen_random_uuid()` where the proxy must know the value before the server does. */
  readonly randomUuid: () => string;
  /** Row bytes one statement may gather in temporary tables of the catalog database. */
  readonly databaseGatherBytesMax: number;
  /** What direct-path.ts does is done by it; off, everything goes the long way. */
  readonly isDirectPathOn: boolean;
  readonly readSharing: ReadSharing;
  readonly log: Log;
  readonly metrics: Metrics;
}
