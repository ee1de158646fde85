/**
 * What the console shows of the parts of a proxy, each as the part itself tells it: the
 * console keeps no copy of anything. Given by the root, which knows the parts.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { CachedPlan } from "../../planner/plan-cache.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import type { PoolStats, ServerReport } from "../backend/pool-stats.ts";
import type { Config } from "../config/config.ts";
import type { Holds } from "../execution/holds.ts";
import type { InDoubtReport } from "../execution/in-doubt-report.ts";
import type { ClientReport } from "../session/client-report.ts";
import type { Statistics } from "./statistics.ts";

export interface ConsoleSources {
  readonly process: ProcessFacts;
  readonly config: Config;
  readonly map: () => ShardMap;
  readonly address: (database: DatabaseName) => BackendAddress | undefined;
  readonly pools: () => ReadonlyMap<DatabaseName, PoolStats>;
  readonly servers: () => readonly ServerReport[];
  /** The clients' sessions; the console's own are the console's to add. */
  readonly clients: () => readonly ClientReport[];
  readonly plans: () => Iterable<CachedPlan>;
  /** Never rejects. */
  readonly inDoubt: () => Promise<InDoubtReport>;
  readonly holds: Pick<Holds, "reports" | "leased" | "leaseMs">;
  /** Undefined for a proxy that follows no control schema. */
  readonly fleet: FleetView | undefined;
  readonly isPaused: (database: DatabaseName) => boolean;
  readonly state: () => ProxyState;
  readonly statistics: Statistics;
}

/** What the control schema says just now. Both reject where it cannot be asked. */
export interface FleetView {
  /** This proxy's id there, as `control status` has it. */
  readonly self: string;
  /** All but this one. */
  otherProxies(): Promise<readonly OtherProxy[]>;
  migrations(): Promise<readonly MigrationFacts[]>;
}

export interface OtherProxy {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly port: number;
  readonly version: string;
  readonly mapVersion: number;
  readonly startedAt: Date;
  readonly silentMs: number;
  /** Why it cannot follow; undefined where it does. */
  readonly problem: string | undefined;
}

export interface MigrationFacts {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  readonly epoch: number;
  readonly ticket: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

export type ProxyState = "serving" | "not ready" | "draining";

export interface ProcessFacts {
  /** Of the package. */
  readonly version: string;
  /** The proxy's own, in the names of transactions it prepares. */
  readonly id: string;
  readonly hostname: string;
  readonly pid: number;
  /** Among the processes that serve the address, from 1. */
  readonly worker: number;
  readonly startedAt: Date;
  readonly ports: () => { readonly port: number; readonly adminPort: number | undefined };
}
