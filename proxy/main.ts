/**
 * Puts one proxy process together: the only place that knows all its parts. What is decided
 * here is who gets whom; how each part works is its own matter.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseName } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { DRAIN_POLL_MS, PAUSED_WAITERS_MAX } from "../base/limits.ts";
import { loadParser, parserInstancesMade } from "../planner/parse.ts";
import { LiteralTemplates } from "../planner/literal-templates.ts";
import { PlanCache } from "../planner/plan-cache.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { startAdminHttp } from "./admin/http.ts";
import type { AdminSources } from "./admin/http.ts";
import { SampledMetrics } from "./admin/sampled-metrics.ts";
import { parseBackendAddress } from "./backend/backend-address.ts";
import { Backends } from "./backend/backends.ts";
import { OwnBackends } from "./backend/own-backends.ts";
import { readSessionDefaults } from "./backend/session-defaults.ts";
import type { Config } from "./config/config.ts";
import { poolSettings } from "./config/pool-settings.ts";
import type { FleetView } from "./console/console-sources.ts";
import { openConsole } from "./console/open-console.ts";
import { ALONE } from "./console/other-workers.ts";
import type { WorkerPlace } from "./console/other-workers.ts";
import type { OpenConsole } from "./console/open-console.ts";
import { DeadlockDetector } from "./execution/deadlock-detector.ts";
import { GlobalSequences } from "./execution/global-sequences.ts";
import { InDoubt } from "./execution/in-doubt.ts";
import { reportInDoubt } from "./execution/in-doubt-report.ts";
import { Notifications } from "./notifications/notifications.ts";
import { Holds } from "./execution/holds.ts";
import { LockHolders } from "./execution/lock-holders.ts";
import { Pauses } from "./execution/pauses.ts";
import { namesOfPlacement } from "./execution/placement-use.ts";
import { Recovery } from "./execution/recovery.ts";
import { heed } from "./execution/worker-news.ts";
import { TwoPhaseCommit } from "./execution/two-phase-commit.ts";
import { Listener } from "./frontend/listener.ts";
import { authenticationPolicy, consolePolicy, tlsOptions } from "./client-policies.ts";
import type { SecretSource } from "./client-policies.ts";
import type { RunningProxy } from "./running-proxy.ts";
import { DescriptionCache } from "./session/description-cache.ts";
import { EnvironmentCache } from "./session/environment.ts";
import { ReadSharing } from "./session/read-sharing.ts";
import { Sessions } from "./session/sessions.ts";
import { StatementPlanner } from "./session/statement-planner.ts";
import { CatalogTrust } from "./topology/catalog-trust.ts";
import { ALONE as WITHOUT_FLEET } from "./topology/in-fleet.ts";
import type { InFleet } from "./topology/in-fleet.ts";
import { LiveTopology } from "./topology/live-topology.ts";
import { refuseLeavingRows, refuseOlder } from "./topology/map-replacement.ts";
import { backendAddresses } from "./topology/backend-addresses.ts";

export interface ProxyOptions {
  readonly map: ShardMap;
  readonly config: Config;
  /** URLs of the databases that the map calls embedded. */
  readonly embedded?: ReadonlyMap<DatabaseName, string>;
  /** Ports that win over the config's; 0 takes a free one. */
  readonly port?: number | undefined;
  readonly adminPort?: number | undefined;
  /** Of the package, as the admin console tells it. */
  readonly version: string;
  /** Reads the map's file again and calls `reload` with it: for RELOAD of the admin console. */
  readonly readMapAgain?: (() => Promise<void>) | undefined;
  /** What the admin console tells of the fleet; undefined where there is none. */
  readonly fleet?: FleetView | undefined;
  /** What a fleet does for its proxies; undefined where there is none. */
  readonly inFleet?: InFleet;
  /** Serves nothing until it is told what its fleet demands: see RunningProxy.holds. */
  readonly waitsForFleet?: boolean;
  /** Among several processes of one address, which has an admin interface elsewhere; undefined where it is alone. */
  readonly place?: WorkerPlace;
  /** Once all is read that a start needs: nobody is kept waiting yet. */
  readonly beforeListening?: () => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Rejects where the catalog database cannot be read or an address cannot be listened on; nothing is left open then. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  await loadParser();
  const { config, log, metrics } = options;
  const embedded = new Map(
    [...(options.embedded ?? [])].map(([name, url]) => [name, parseBackendAddress(url)] as const),
  );
  const { catalog } = options.map;
  const addresses = backendAddresses(options.map, embedded);
  const { settings, configuredDateStyle } = await readSessionDefaults(catalog, addresses);
  const backends = new Backends(addresses, {
    pool: { ...poolSettings(config), settings },
    drainMs: config.drain_ms,
  });
  let isDraining = false;
  const drainRequest = Promise.withResolvers<void>();
  const parts = await openParts({ ...options, configuredDateStyle }, backends, {
    isDraining: () => isDraining,
    requestDrain: drainRequest.resolve,
  }).catch(async (error: unknown) => {
    await backends.close();
    throw error;
  });
  const { listener, admin, sessions, topology, recovery, deadlocks, gauges, notifications } = parts;
  let closing: Promise<void> | undefined;
  const close = async () => {
    isDraining = true;
    sessions.end();
    parts.pauses.close();
    parts.holds.close();
    parts.console.sessions.end();
    parts.console.statistics.stop();
    await Promise.all([listener.close(), admin?.close(), recovery.stop(), topology.stop()]);
    gauges.stop();
    notifications.stop();
    await deadlocks.stop();
    await backends.close();
  };
  log.info(
    { port: listener.port, adminPort: admin?.port, mapVersion: options.map.version },
    "listening",
  );
  return {
    port: listener.port,
    ...(admin && { adminPort: admin.port }),
    ...parts.toOthers,
    ready: () => !isDraining,
    drainRequested: drainRequest.promise,
    holds: parts.holds,
    catalogTrust: parts.catalogTrust,
    reload: async (map, { hasMovedRows } = { hasMovedRows: false }) => {
      refuseOlder(topology.current, map);
      if (!hasMovedRows) refuseLeavingRows(topology.current, map);
      const next = backendAddresses(map, embedded);
      await topology.replaceMap(map, () => backends.update(next));
      notifications.look();
      metrics.set("colonnade_map_version", {}, map.version);
    },
    drain: async (ms) => {
      isDraining = true;
      listener.stopAccepting();
      parts.pauses.close();
      sessions.drain(Math.min(config.drain_spread_ms, ms / 2));
      const end = performance.now() + ms;
      // Who is being let in, or has not read yet why it is sent away, would only see a reset.
      while (listener.clientCount > 0 && performance.now() < end) await sleep(DRAIN_POLL_MS);
      await (closing ??= close());
    },
    close: () => (closing ??= close()),
  };
}

interface Draining {
  readonly isDraining: () => boolean;
  readonly requestDrain: () => void;
}

interface StartOptions extends ProxyOptions {
  readonly configuredDateStyle: string;
}

/** What a proxy consists of; nothing of it listens or runs by itself yet. */
async function makeParts(
  { map, config, log, metrics, ...options }: StartOptions,
  backends: Backends,
) {
  const own = new OwnBackends(backends);
  const { place = ALONE } = options;
  const inDoubt = new InDoubt(own, (part) => place.tell({ kind: "unfinished", part }));
  const sequences = new GlobalSequences(() => place.tell({ kind: "sequences" }));
  const processId = randomBytes(8).toString("hex");
  const twoPhase = new TwoPhaseCommit(own, inDoubt, () => processId);
  const environments = new EnvironmentCache();
  const { inFleet = WITHOUT_FLEET } = options;
  const topology = await LiveTopology.load(map, own, {
    log,
    confirmMap: inFleet.confirmMap,
    onChange: () => environments.clear(),
  });
  const refreshCatalog = () => topology.refresh();
  const catalogTrust = trustOf({ ...options, log, metrics }, { topology, sequences });
  place.onNews((news) => heed(news, { inDoubt, sequences, refreshCatalog, log }));
  const databases = () => [...topology.current.map.databases.keys()];
  const recovery = new Recovery({ inDoubt, twoPhase, backends: own, databases, log, metrics });
  const holders = new LockHolders();
  const pauses = new Pauses({
    waitMs: config.pool.pause_wait_ms,
    waitersMax: PAUSED_WAITERS_MAX,
  });
  const holds = holdsOf(options, { log, metrics }, topology);
  const shared = { holders, backends, topology, proxy: processId };
  const deadlocks = deadlocksOf(shared, { log, metrics });
  const notifications = openNotifications({ log, metrics }, backends, topology);
  const plans = new PlanCache();
  const templates = config.fast_path.templates ? new LiteralTemplates() : undefined;
  const sessions = new Sessions({
    topology: () => topology.current,
    announceDdl: inFleet.announceDdl,
    catalogTrust,
    refreshCatalog,
    catalogChanged: () => place.tell({ kind: "catalog" }),
    loadCatalog: (connection) => topology.loadInTransaction(connection),
    loadTemporary: (connection, base) => topology.loadTemporary(connection, base),
    backends,
    priorities: config.priorities,
    inDoubt,
    twoPhase,
    holders,
    pauses,
    holds,
    sequences,
    notifications,
    planner: new StatementPlanner(plans, templates),
    descriptions: new DescriptionCache(),
    environments,
    configuredDateStyle: options.configuredDateStyle,
    randomUuid: randomUUID,
    databaseGatherBytesMax: config.gather.database_bytes,
    isDirectPathOn: config.fast_path.relay,
    readSharing: new ReadSharing(config.multiplexed_reads, { backends, metrics }),
    log,
    metrics,
  });
  const process = { version: options.version, id: processId };
  const inDoubtNow = () => reportInDoubt(inDoubt, databases());
  const made = { process, inDoubt, topology, catalogTrust, recovery, holders, pauses, holds };
  return { ...made, deadlocks, notifications, plans, templates, sessions, inDoubtNow };
}

function deadlocksOf(
  {
    topology,
    ...shared
  }: {
    readonly holders: LockHolders;
    readonly backends: Backends;
    readonly topology: LiveTopology;
    readonly proxy: string;
  },
  { log, metrics }: Pick<ProxyOptions, "log" | "metrics">,
): DeadlockDetector {
  const catalog = () => topology.current.map.catalog;
  return new DeadlockDetector({ ...shared, catalog, log, metrics });
}

function trustOf(
  { inFleet, log, metrics }: Pick<ProxyOptions, "inFleet" | "log" | "metrics">,
  parts: { readonly topology: LiveTopology; readonly sequences: GlobalSequences },
): CatalogTrust {
  return new CatalogTrust({
    isInFleet: inFleet !== undefined,
    now: () => performance.now(),
    topology: parts.topology,
    // Sequences may have been restarted, or be others.
    onForeignDdl: () => parts.sequences.forgetHere(),
    log,
    metrics,
  });
}

function holdsOf(
  { waitsForFleet }: Pick<ProxyOptions, "waitsForFleet">,
  { log, metrics }: Pick<ProxyOptions, "log" | "metrics">,
  topology: LiveTopology,
): Holds {
  return new Holds({
    now: () => performance.now(),
    random: Math.random,
    namesOf: (placement) => namesOfPlacement(topology.current.map, placement),
    metrics,
    onLeaseLost: (placements) =>
      log.error({ placements }, "the lease has run out: these placements are refused"),
    waitsForDemands: waitsForFleet === true,
  });
}

type Parts = Awaited<ReturnType<typeof makeParts>>;

async function openParts(options: StartOptions, backends: Backends, draining: Draining) {
  const { map, config, log, metrics, adminPort } = options;
  const parts = await makeParts(options, backends);
  const { topology, sessions, recovery, deadlocks, notifications, plans, templates, inDoubtNow } =
    parts;
  const gauges = new SampledMetrics(
    {
      pools: () => backends.stats(),
      pinned: () => sessions.pinned(),
      plans: () => ({ ...plans.counts, hits: plans.counts.hits + (templates?.hits ?? 0) }),
      parserInstances: parserInstancesMade,
    },
    metrics,
  );
  const isReady = () => topology.isReachable && !draining.isDraining();
  const ports: Ports = { port: config.listen.port, adminPort };
  const console = consoleOf(options, backends, parts, { ...draining, isReady, ports: () => ports });
  options.beforeListening?.();
  const listener = await openListener(options, sessions, console, { backends, topology });
  try {
    const adminSources: AdminSources = {
      metrics,
      isReady,
      inDoubt: inDoubtNow,
      clients: () => sessions.list(),
    };
    const address = { host: config.admin.host, port: adminPort ?? config.admin.port };
    const admin = options.place
      ? undefined
      : await startAdminHttp({ ...address, ...adminSources, log });
    Object.assign(ports, { port: listener.port, adminPort: admin?.port });
    console.statistics.start();
    await recovery.runOnce();
    recovery.start();
    deadlocks.start();
    notifications.start();
    topology.startPolling();
    gauges.start();
    metrics.set("colonnade_map_version", {}, map.version);
    const toOthers: Pick<RunningProxy, "admin" | "console" | "cancel" | "unfinished"> = {
      admin: adminSources,
      console: console.sessions,
      unfinished: () => parts.inDoubt.unfinished,
      cancel: (processId, secretKey) => listener.cancel(processId, secretKey),
    };
    return { ...parts, listener, admin, console, gauges, toOthers };
  } catch (error) {
    await listener.close();
    throw error;
  }
}

/** What the configuration asks for, until it is known what was had. */
interface Ports {
  port: number;
  adminPort: number | undefined;
}

interface ConsoleView extends Draining {
  readonly isReady: () => boolean;
  readonly ports: () => Ports;
}

function consoleOf(
  { config, log, readMapAgain, fleet, place = ALONE }: ProxyOptions,
  backends: Backends,
  { process, topology, inDoubtNow, ...parts }: Parts,
  { isReady, isDraining, requestDrain, ports }: ConsoleView,
): OpenConsole {
  return openConsole({
    ...parts,
    process: { ...process, ports },
    config,
    map: () => topology.current.map,
    backends,
    fleet,
    inDoubt: inDoubtNow,
    state: () => (isDraining() ? "draining" : isReady() ? "serving" : "not ready"),
    reload: readMapAgain,
    drain: requestDrain,
    place,
    log,
  });
}

/** Nothing is opened before a client listens. */
function openNotifications(
  { log, metrics }: Pick<ProxyOptions, "log" | "metrics">,
  backends: Backends,
  topology: LiveTopology,
): Notifications {
  const catalog = () => {
    const database = topology.current.map.catalog;
    return { database, address: backends.address(database) };
  };
  return new Notifications({ catalog, log, metrics });
}

async function openListener(
  { config, log, metrics, port, place }: ProxyOptions,
  sessions: Sessions,
  console: OpenConsole,
  { backends, topology }: SecretSource,
): Promise<Listener> {
  const authentication = await authenticationPolicy(config, backends, topology, log);
  return Listener.listen({
    host: config.listen.host,
    port: port ?? config.listen.port,
    authentication,
    sideDoor: { ...console, authentication: await consolePolicy(config, authentication, log) },
    sessions,
    place,
    log,
    metrics,
    tls: await tlsOptions(config),
    clientsMax: config.listen.max_clients,
    authenticationTimeoutMs: config.timeouts.authentication_ms,
  });
}
