/** SHOW DATABASES, POOLS and STATS: the databases of the map, and the connections to each. */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import type { PoolStats, ServerReport } from "../backend/pool-stats.ts";
import type { Config } from "../config/config.ts";
import type { ClientReport } from "../session/client-report.ts";
import { serverId, waitText } from "../session/session-status.ts";
import type { ConsoleSources } from "./console-sources.ts";
import { column, show } from "./show.ts";
import { serverHost } from "./show-clients.ts";
import { totalsOf } from "./statistics.ts";
import type { PoolGrowth, PoolTotals } from "./statistics.ts";

interface PoolRow {
  readonly name: DatabaseName;
  readonly address: BackendAddress;
  readonly stats: PoolStats;
  readonly servers: readonly ServerReport[];
  /** Clients that use or keep a connection of it. */
  readonly clients: readonly ClientReport[];
  readonly waiting: readonly ClientReport[];
  readonly cancelling: readonly ClientReport[];
  readonly isPaused: boolean;
  readonly isCatalog: boolean;
  readonly placements: number;
  readonly config: Config;
}

function poolRows(sources: ConsoleSources): readonly PoolRow[] {
  const { catalog, colocations, groups } = sources.map();
  const clients = sources.clients();
  const servers = Map.groupBy(sources.servers(), ({ connection }) => connection.database);
  const placements = [...colocations.values()].flatMap((colocation) => colocation.placements);
  return [...sources.pools()].flatMap(([name, stats]): PoolRow[] => {
    const address = sources.address(name);
    if (address === undefined) return [];
    const own = servers.get(name) ?? [];
    const ids = new Set(own.map(({ connection }) => serverId(connection)));
    const isOwn = (id: string): boolean => ids.has(id);
    const waits = new Set([
      waitText({ for: "connection", database: name }),
      waitText({ for: "resume", database: name }),
    ]);
    return [
      {
        name,
        address,
        stats,
        servers: own,
        clients: clients.filter((client) => client.servers.some(isOwn)),
        waiting: clients.filter(({ waits_for: reason }) => reason !== null && waits.has(reason)),
        cancelling: clients.filter((client) => client.cancelling.some(isOwn)),
        isPaused: sources.isPaused(name),
        isCatalog: name === catalog,
        placements: [...placements, ...groups.values()].filter(({ database }) => database === name)
          .length,
        config: sources.config,
      },
    ];
  });
}

const POOL_MODE = column<PoolRow>(
  "pool_mode",
  "text",
  "`transaction`, which is the only one.",
  () => "transaction",
);

export const SHOW_DATABASES = show<PoolRow>({
  name: "databases",
  isOfEachWorker: true,
  help: "The databases of the shard map.",
  rows: poolRows,
  columns: [
    column("name", "text", "Its name in the map.", ({ name }) => name),
    column("host", "text", "The server's host, or its socket's directory.", ({ address }) =>
      serverHost(address),
    ),
    column("port", "integer", "The server's port.", ({ address }) => address.server.port),
    column("database", "text", "The database's name in the server.", (row) => row.address.database),
    column("force_user", "text", "The role of all connections to it.", (row) => row.address.user),
    column("pool_size", "integer", "Connections at most.", ({ stats }) => stats.sizeMax),
    column(
      "server_lifetime",
      "integer",
      "Seconds after which a connection is closed.",
      ({ config }) => Math.round(config.pool.lifetime_ms / 1_000),
    ),
    POOL_MODE,
    column("max_connections", "integer", "As `pool_size`.", ({ stats }) => stats.sizeMax),
    column("current_connections", "integer", "Open connections.", ({ servers }) => servers.length),
    column(
      "current_client_connections",
      "integer",
      "Clients that use or keep one.",
      ({ clients }) => clients.length,
    ),
    column("paused", "integer", "1 after PAUSE, until RESUME.", ({ isPaused }) => Number(isPaused)),
    column("catalog", "integer", "1 for the catalog database.", (row) => Number(row.isCatalog)),
    column(
      "placements",
      "integer",
      "Placements of colocations, and groups, that live there.",
      ({ placements }) => placements,
    ),
    column(
      "circuit_open",
      "integer",
      "1 while new transactions on it are refused, since it fails what it is asked.",
      ({ stats }) => Number(stats.isOpen),
    ),
  ],
});

const inState = (state: ServerReport["state"]) => (row: PoolRow) =>
  row.servers.filter((server) => server.state === state).length;

export const SHOW_POOLS = show<PoolRow>({
  name: "pools",
  isOfEachWorker: true,
  help: "The pool of each database: who uses it, who waits for it.",
  rows: poolRows,
  columns: [
    column("database", "text", "The database's name in the map.", ({ name }) => name),
    column("user", "text", "The role of its connections.", ({ address }) => address.user),
    column(
      "cl_active",
      "integer",
      "Clients that use or keep a connection of it. Idle clients belong to no database.",
      ({ clients }) => clients.length,
    ),
    column(
      "cl_waiting",
      "integer",
      "Clients that wait for a connection, or for RESUME.",
      ({ waiting }) => waiting.length,
    ),
    column(
      "cl_active_cancel_req",
      "integer",
      "Clients whose cancel request is on its way to the server.",
      ({ cancelling }) => cancelling.length,
    ),
    column("sv_active", "integer", "Lent connections.", inState("active")),
    column(
      "sv_being_canceled",
      "integer",
      "Connections that are given up, and whose statement is being cancelled.",
      inState("being_canceled"),
    ),
    column("sv_idle", "integer", "Connections that can be lent at once.", inState("idle")),
    column(
      "sv_used",
      "integer",
      "Connections idle for so long that they are asked before they are lent.",
      inState("used"),
    ),
    column("sv_tested", "integer", "Connections that are being asked.", inState("tested")),
    column("sv_login", "integer", "Connections being opened.", ({ stats }) => stats.opening),
    column(
      "maxwait",
      "integer",
      "Whole seconds that the first in the queue for a connection has waited.",
      ({ stats }) => Math.floor(stats.longestWaitMs / 1_000),
    ),
    column("maxwait_us", "integer", "Microseconds of that beyond whole seconds.", ({ stats }) =>
      Math.floor((stats.longestWaitMs % 1_000) * 1_000),
    ),
    POOL_MODE,
    column(
      "sv_pinned",
      "integer",
      "Connections that clients keep between transactions.",
      ({ stats }) => stats.pinned,
    ),
    column(
      "sv_limit",
      "integer",
      "Connections that new transactions may use at once.",
      ({ stats }) => stats.limit,
    ),
    column(
      "cl_refused",
      "bigint",
      "Statements refused a connection so far, for whatever reason.",
      ({ stats }) => stats.shedEarly + stats.shedFull + stats.shedOpen + stats.waitTimeouts,
    ),
  ],
});

interface StatsRow {
  readonly name: DatabaseName;
  readonly totals: PoolTotals;
  readonly growth: PoolGrowth;
}

const US_PER_MS = 1_000;

const total = (name: string, help: string, value: (totals: PoolTotals) => number) =>
  column<StatsRow>(`total_${name}`, "bigint", help, ({ totals }) => Math.round(value(totals)));

const perSecond = (name: string, help: string, value: (growth: PoolGrowth) => number) =>
  column<StatsRow>(`avg_${name}`, "bigint", help, ({ growth }) =>
    quotient(value(growth), growth.seconds),
  );

const each = (
  name: string,
  help: string,
  value: (growth: PoolGrowth) => number,
  of: (growth: PoolGrowth) => number,
) =>
  column<StatsRow>(`avg_${name}`, "bigint", help, ({ growth }) =>
    quotient(value(growth), of(growth)),
  );

function quotient(value: number, by: number): number {
  return by === 0 ? 0 : Math.round(value / by);
}

export const SHOW_STATS = show<StatsRow>({
  name: "stats",
  isOfEachWorker: true,
  help: "What each database was asked, since the proxy started (or the database's address changed) and, as averages, over the last whole minute.",
  rows: ({ pools, statistics }) =>
    [...pools()].map(([name, stats]) => ({
      name,
      totals: totalsOf(stats),
      growth: statistics.growth(name),
    })),
  columns: [
    column("database", "text", "The database's name in the map.", ({ name }) => name),
    total(
      "xact_count",
      "Transactions that ended there, autocommitted statements included.",
      (totals) => totals.transactions,
    ),
    total(
      "query_count",
      "Requests that it answered: each statement of a pipeline is one, though they share a round trip, and so are BEGIN, COMMIT and the proxy's own.",
      (totals) => totals.requests,
    ),
    total("server_assignment_count", "Times a connection was lent.", (totals) => totals.acquired),
    total("received", "Bytes of requests, sent to the server.", (totals) => totals.sentBytes),
    total("sent", "Bytes of answers, received from the server.", (totals) => totals.receivedBytes),
    total(
      "xact_time",
      "Microseconds that connections were lent.",
      (totals) => totals.lentMs * US_PER_MS,
    ),
    total(
      "query_time",
      "Microseconds in which an answer was outstanding.",
      (totals) => totals.busyMs * US_PER_MS,
    ),
    total(
      "wait_time",
      "Microseconds that statements waited for a connection.",
      (totals) => totals.waitedMs * US_PER_MS,
    ),
    perSecond("xact_count", "Transactions a second.", (growth) => growth.transactions),
    perSecond("query_count", "Requests a second.", (growth) => growth.requests),
    perSecond("server_assignment_count", "Lendings a second.", (growth) => growth.acquired),
    perSecond("recv", "Bytes of requests a second.", (growth) => growth.sentBytes),
    perSecond("sent", "Bytes of answers a second.", (growth) => growth.receivedBytes),
    each(
      "xact_time",
      "Microseconds a lending.",
      (growth) => growth.lentMs * US_PER_MS,
      (growth) => growth.acquired,
    ),
    each(
      "query_time",
      "Microseconds a request.",
      (growth) => growth.busyMs * US_PER_MS,
      (growth) => growth.requests,
    ),
    each(
      "wait_time",
      "Microseconds waited for each lending.",
      (growth) => growth.waitedMs * US_PER_MS,
      (growth) => growth.acquired,
    ),
  ],
});
