/** Joins the console to the parts of a proxy. The root gives the parts. */
import { hostname } from "node:os";
import type { DatabaseName } from "../../base/ids.ts";
import { CONSOLE_CLIENTS_MAX } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { PlanCache } from "../../planner/plan-cache.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { Backends } from "../backend/backends.ts";
import type { Config } from "../config/config.ts";
import type { Holds } from "../execution/holds.ts";
import type { InDoubtReport } from "../execution/in-doubt-report.ts";
import type { LockHolders } from "../execution/lock-holders.ts";
import type { Pauses } from "../execution/pauses.ts";
import type { Sessions } from "../session/sessions.ts";
import { Console, CONSOLE_DATABASE } from "./console.ts";
import type { ConsoleSources, FleetView, ProcessFacts, ProxyState } from "./console-sources.ts";
import type { WorkerPlace } from "./other-workers.ts";
import { Statistics } from "./statistics.ts";

export interface ConsoleParts {
  readonly process: Omit<ProcessFacts, "hostname" | "pid" | "worker" | "startedAt">;
  readonly config: Config;
  readonly map: () => ShardMap;
  readonly backends: Backends;
  readonly sessions: Sessions;
  readonly plans: PlanCache;
  readonly pauses: Pauses;
  readonly holds: Holds;
  readonly holders: LockHolders;
  readonly fleet: FleetView | undefined;
  readonly inDoubt: () => Promise<InDoubtReport>;
  readonly state: () => ProxyState;
  /** Undefined where the map is not from a file. */
  readonly reload: (() => Promise<void>) | undefined;
  readonly drain: () => void;
  readonly place: WorkerPlace;
  readonly log: Log;
}

/** A door beside the clients' own, as proxy/frontend takes one, and what ends with the proxy. */
export interface OpenConsole {
  readonly database: string;
  readonly admit: (user: string) => void;
  readonly sessions: Console;
  readonly clientsMax: number;
  readonly fullHint: string;
  readonly statistics: Statistics;
}

export function openConsole(parts: ConsoleParts): OpenConsole {
  const { config, backends, sessions, pauses, holders } = parts;
  const statistics = new Statistics(() => backends.stats());
  const databases = (): readonly DatabaseName[] => [...parts.map().databases.keys()];
  const startedAt = new Date();
  const console = new Console({
    users: config.console,
    sources: {
      process: {
        ...parts.process,
        hostname: hostname(),
        pid: process.pid,
        worker: parts.place.index + 1,
        startedAt,
      },
      config,
      map: parts.map,
      address: (database) => backends.address(database),
      pools: () => backends.stats(),
      servers: () => backends.servers(),
      clients: () => sessions.list(),
      plans: () => parts.plans.entries(),
      inDoubt: parts.inDoubt,
      holds: parts.holds,
      fleet: parts.fleet,
      isPaused: (database) => pauses.isPaused(database),
      state: parts.state,
      statistics,
    } satisfies ConsoleSources,
    operated: {
      databases,
      pauses,
      holders,
      pauseWaitMs: config.pool.pause_wait_ms,
      sessions,
      closeIdle: (database) => backends.closeIdle(database),
      reload: parts.reload,
      drain: parts.drain,
    },
    others: parts.place.others,
    log: parts.log,
  });
  return {
    database: CONSOLE_DATABASE,
    admit: (user) => console.admit(user),
    sessions: console,
    clientsMax: CONSOLE_CLIENTS_MAX,
    fullHint: `The admin console takes ${CONSOLE_CLIENTS_MAX} connections at once: close one, or end one with KILL from another.`,
    statistics,
  };
}
