/**
 * `colonnade serve`: the proxy in front of the databases of a shard map.
 *
 * The map is a file, or the one that the control schema names. SIGHUP reads it again; one with
 * errors is refused and the old one stays. SIGTERM
 * drains, and so does DRAIN of the admin console: running transactions end first. SIGINT, or
 * a second SIGTERM, stops at once.
 */
import { randomUUID } from "node:crypto";
import { createLog, type Log } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import type { Config } from "../proxy/config/config.ts";
import { startProxy } from "../proxy/main.ts";
import type { ProxyOptions } from "../proxy/main.ts";
import type { RunningProxy } from "../proxy/running-proxy.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import type { FleetMember } from "../proxy/fleet/fleet-member.ts";
import { controlAddress } from "./control-access.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";
import { requireConfig, requireMap } from "./input-files.ts";
import { MapReloads } from "./map-reloads.ts";
import { packageVersion } from "./package-root.ts";
import { fleetView, joinFleet, mapToStartWith } from "./serve-fleet.ts";

export interface ServeFlags {
  /** One of the two at least. */
  readonly map?: string;
  readonly control?: string;
  readonly config?: string;
}

export async function serve(flags: ServeFlags): Promise<void> {
  const config = requireConfig(flags.config);
  const log = createLog(config.log.level);
  const metrics = new Metrics();
  // Installed before the start, as SIGHUP's is below, so that a signal during it is not lost.
  using signals = new StopSignals();
  if (flags.control !== undefined) {
    await serveInFleet(flags.control, flags.map, { config, log, metrics, signals });
    return;
  }
  const { map: path } = flags;
  if (path === undefined) throw new CommandFailure("name a shard map: --map FILE or --control URL");
  const map = requireMap(path);
  refuseEmbedded(map);
  const reloads = new MapReloads({ path, check: refuseEmbedded, log, metrics });
  const starting = start({
    map,
    config,
    log,
    metrics,
    version: packageVersion(),
    readMapAgain: () => reloads.request(),
  });
  reloads.serve(starting);
  // Why a map was refused stands in the log.
  const reload = (): void => void reloads.request().catch(() => undefined);
  process.on("SIGHUP", reload);
  try {
    await serveUntilStopped(await starting, config, signals, log);
  } finally {
    process.off("SIGHUP", reload);
  }
}

interface Serving {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signals: StopSignals;
}

/** SIGHUP, and RELOAD of the admin console, look at the control schema at once. */
async function serveInFleet(
  url: string,
  path: string | undefined,
  { config, log, metrics, signals }: Serving,
): Promise<void> {
  const control = controlAddress(url);
  const { map, isFleetReached: waitsForFleet } = await mapToStartWith(control, path, log);
  refuseEmbedded(map);
  let member: FleetMember | undefined;
  const look = (): void => member?.look();
  const version = packageVersion();
  const id = randomUUID();
  process.on("SIGHUP", look);
  try {
    const readMapAgain = async (): Promise<void> => look();
    const proxy = await start({
      map,
      waitsForFleet,
      fleet: fleetView(control, id),
      config,
      log,
      metrics,
      version,
      readMapAgain,
    });
    member = joinFleet({
      id,
      control,
      host: config.listen.host,
      programVersion: version,
      map,
      proxy,
      check: refuseEmbedded,
      log,
      metrics,
    });
    await serveUntilStopped(proxy, config, signals, log);
  } finally {
    process.off("SIGHUP", look);
    await member?.stop();
  }
}

async function serveUntilStopped(
  proxy: RunningProxy,
  config: Config,
  signals: StopSignals,
  log: Log,
): Promise<void> {
  try {
    const wish = await Promise.race([
      signals.first,
      proxy.drainRequested.then(() => "drain" as const),
    ]);
    if (wish === "drain") {
      log.info({ drainMs: config.drain_ms }, "draining");
      await Promise.race([proxy.drain(config.drain_ms), signals.impatient]);
    }
  } finally {
    await proxy.close();
    log.info("stopped");
  }
}

function refuseEmbedded(map: ShardMap): void {
  const embedded = [...map.databases.values()].find(({ server }) => server.kind === "embedded");
  if (embedded === undefined) return;
  throw new CommandFailure(
    `database ${embedded.name} is embedded, which colonnade dev alone can start: give it a primary URL`,
  );
}

async function start(options: ProxyOptions): Promise<RunningProxy> {
  try {
    return await startProxy(options);
  } catch (cause) {
    throw new CommandFailure(`cannot start: ${startReason(cause)}`, 2, { cause });
  }
}

function startReason(error: unknown): string {
  const { code, address, port } = error as {
    readonly code?: unknown;
    readonly address?: string;
    readonly port?: number;
  };
  const place = `${address ?? ""}:${port ?? ""}`;
  if (code === "EADDRINUSE") return `${place} is in use; change listen.port or admin.port`;
  if (code === "EADDRNOTAVAIL") return `${place} is no address of this machine`;
  if (code === "EACCES" && port !== undefined) return `listening on ${place} needs more rights`;
  return reasonAndRemedy(error);
}

/** What the first signal asks for, and when a second one ends the patience. */
class StopSignals implements Disposable {
  readonly #first = Promise.withResolvers<"drain" | "stop">();
  readonly #impatient = Promise.withResolvers<void>();
  #count = 0;

  constructor() {
    process.on("SIGTERM", this.#onDrain);
    process.on("SIGINT", this.#onStop);
  }

  get first(): Promise<"drain" | "stop"> {
    return this.#first.promise;
  }

  /** SIGINT, or a second signal of any kind. */
  get impatient(): Promise<void> {
    return this.#impatient.promise;
  }

  readonly #onDrain = (): void => this.#on("drain");
  readonly #onStop = (): void => this.#on("stop");

  #on(wish: "drain" | "stop"): void {
    this.#count += 1;
    if (this.#count === 1) this.#first.resolve(wish);
    if (this.#count > 1 || wish === "stop") this.#impatient.resolve();
  }

  [Symbol.dispose](): void {
    process.off("SIGTERM", this.#onDrain);
    process.off("SIGINT", this.#onStop);
  }
}
