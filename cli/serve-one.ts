/**
 * One process of `colonnade serve`: a proxy with its map, from its start to its end. Who tells it
 * to end, or to read its map again, is given: signals, or the supervisor of several.
 */
import { randomUUID } from "node:crypto";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Config } from "../proxy/config/config.ts";
import { startProxy } from "../proxy/main.ts";
import type { ProxyOptions } from "../proxy/main.ts";
import type { WorkerPlace } from "../proxy/console/other-workers.ts";
import type { RunningProxy } from "../proxy/running-proxy.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import type { FleetMember } from "../proxy/fleet/fleet-member.ts";
import { controlAddress } from "./control-access.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";
import { mapOf, readMap, readMapText, requireMap } from "./input-files.ts";
import { MapReloads } from "./map-reloads.ts";
import { packageVersion } from "./package-root.ts";
import { giveBackStart, HeapBounds } from "./heap-bounds.ts";
import { fleetView, joinFleet, mapToStartWith } from "./serve-fleet.ts";

export interface ServeFlags {
  /** One of the two at least. */
  readonly map?: string;
  readonly control?: string;
  readonly config?: string;
  /** Processes on the one address; one where it is absent. */
  readonly workers?: number;
}

/** Who tells a proxy what to do: signals, or a supervisor. */
export interface ServeHost {
  readonly first: Promise<"drain" | "stop">;
  readonly impatient: Promise<void>;
  /** What SIGHUP does. */
  onHangUp(act: () => void): Disposable;
  /** Undefined where this process does so itself. */
  readonly others?: {
    readonly place: WorkerPlace;
    readonly mapText: string | undefined;
    /** Reads the map again for all of them. */
    readonly reload: () => Promise<void>;
    /** A text that is to be put in force. */
    readonly onApply: (apply: (text: string) => Promise<void>) => void;
    /** What the control schema names is to be put in force. */
    readonly onLook: (look: () => Promise<void>) => void;
    readonly serving: (proxy: RunningProxy) => void;
  };
}

export interface Serving {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly host: ServeHost;
}

export async function serveOne(flags: ServeFlags, serving: Serving): Promise<void> {
  using _ = new HeapBounds();
  if (flags.control !== undefined) await serveInFleet(flags.control, flags.map, serving);
  else await serveFile(requireMapFlag(flags), serving);
}

export function requireMapFlag({ map }: ServeFlags): string {
  if (map === undefined) throw new CommandFailure("name a shard map: --map FILE or --control URL");
  return map;
}

async function serveFile(path: string, { config, log, metrics, host }: Serving): Promise<void> {
  const { others } = host;
  let text = others?.mapText;
  const read = () => (text === undefined ? readMap(path) : readMapText(text, path));
  const map = mapOf(read());
  refuseEmbedded(map);
  const reloads = new MapReloads({ read, check: refuseEmbedded, log, metrics });
  others?.onApply(async (next) => {
    text = next;
    await reloads.request();
  });
  const starting = start({
    map,
    config,
    log,
    metrics,
    version: packageVersion(),
    readMapAgain: others?.reload ?? (() => reloads.request()),
    ...(others && { place: others.place }),
  });
  reloads.serve(starting);
  // Why a map was refused stands in the log.
  using _ = host.onHangUp(() => void reloads.request().catch(() => undefined));
  await serveUntilStopped(await starting, { config, host, log });
}

/** SIGHUP, and RELOAD of the admin console, look at the control schema at once; RELOAD waits for what came of it. */
async function serveInFleet(
  url: string,
  path: string | undefined,
  { config, log, metrics, host }: Serving,
): Promise<void> {
  const control = controlAddress(url);
  const file = path === undefined ? undefined : { path, map: requireMap(path) };
  if (file !== undefined) refuseEmbedded(file.map);
  const first = await mapToStartWith(control, file, log);
  const { map, isFleetReached: waitsForFleet } = first;
  refuseEmbedded(map);
  let member: FleetMember | undefined;
  const confirm = async (): Promise<void> => await member?.confirm();
  const version = packageVersion();
  const id = randomUUID();
  const { others } = host;
  others?.onLook(confirm);
  using _ = host.onHangUp(() => void logLook(log, confirm()));
  try {
    const proxy = await start({
      map,
      waitsForFleet,
      fleet: fleetView(control, id),
      inFleet: {
        confirmMap: confirm,
        announceDdl: async (transaction) => {
          if (member === undefined) throw new Error("the proxy is only starting");
          return await member.announceDdl(transaction);
        },
      },
      config,
      log,
      metrics,
      version,
      readMapAgain: others?.reload ?? confirm,
      ...(others && { place: others.place }),
    });
    member = joinFleet({
      id,
      control,
      host: config.listen.host,
      programVersion: version,
      first,
      proxy,
      check: refuseEmbedded,
      log,
      metrics,
    });
    await serveUntilStopped(proxy, { config, host, log });
  } finally {
    await member?.stop();
  }
}

/** Of SIGHUP, whose sender is told nothing else. */
export async function logLook(log: Log, looking: Promise<void>): Promise<void> {
  try {
    await looking;
    log.info("SIGHUP: the map that the control schema names is in force");
  } catch (error) {
    log.error({ reason: reasonAndRemedy(error) }, "SIGHUP: the old shard map stays");
  }
}

async function serveUntilStopped(
  proxy: RunningProxy,
  { config, host, log }: Pick<Serving, "config" | "host" | "log">,
): Promise<void> {
  host.others?.serving(proxy);
  // Of several workers, all drain, as their supervisor says.
  const asked = host.others ? new Promise<never>(() => undefined) : proxy.drainRequested;
  try {
    const wish = await Promise.race([host.first, asked.then(() => "drain" as const)]);
    if (wish === "drain") {
      log.info({ drainMs: config.drain_ms }, "draining");
      await Promise.race([proxy.drain(config.drain_ms), host.impatient]);
    }
  } finally {
    await proxy.close();
    log.info("stopped");
  }
}

export function refuseEmbedded(map: ShardMap): void {
  const embedded = [...map.databases.values()].find(({ server }) => server.kind === "embedded");
  if (embedded === undefined) return;
  throw new CommandFailure(
    `database ${embedded.name} is embedded, which colonnade dev alone can start: give it a primary URL`,
  );
}

async function start(options: ProxyOptions): Promise<RunningProxy> {
  try {
    return await startProxy({ ...options, beforeListening: giveBackStart });
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
export class StopSignals implements Disposable, ServeHost {
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

  onHangUp(act: () => void): Disposable {
    process.on("SIGHUP", act);
    return { [Symbol.dispose]: () => process.off("SIGHUP", act) };
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
