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
  readonly isPaused: (database: DatabaseName) => boolean;
  readonly state: () => ProxyState;
  readonly statistics: Statistics;
}

export type ProxyState = "serving" | "not ready" | "draining";

export interface ProcessFacts {
  /** Of the package. */
  readonly version: string;
  /** The proxy's own, in the names of transactions it prepares. */
  readonly id: string;
  readonly hostname: string;
  readonly pid: number;
  readonly startedAt: Date;
  readonly ports: () => { readonly port: number; readonly adminPort: number | undefined };
}
