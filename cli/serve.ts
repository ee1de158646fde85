/**
 * `colonnade serve`: the proxy in front of the databases of a shard map.
 *
 * SIGHUP reads the map again; one with errors is refused and the old one stays. SIGTERM
 * drains: running transactions end first. SIGINT, or a second SIGTERM, stops at once.
 */
import { createLog, type Log } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import { SqlError } from "../base/sql-error.ts";
import type { Config } from "../proxy/config/config.ts";
import { startProxy } from "../proxy/main.ts";
import type { RunningProxy } from "../proxy/running-proxy.ts";
import { printProblem } from "../base/document/problems.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure, reasonAndRemedy, reasonOf } from "./failure.ts";
import { readMap, requireConfig, requireMap } from "./input-files.ts";

export interface ServeFlags {
  readonly map: string;
  readonly config?: string;
}

export async function serve(flags: ServeFlags): Promise<void> {
  const config = requireConfig(flags.config);
  const map = requireMap(flags.map);
  refuseEmbedded(map);
  const log = createLog(config.log.level);
  const metrics = new Metrics();
  // Installed before the start, as SIGHUP's is below, so that a signal during it is not lost.
  using signals = new StopSignals();
  const starting = start(map, config, log, metrics);
  const reload = reloader(flags.map, starting, log, metrics);
  process.on("SIGHUP", reload);
  try {
    await serveUntilStopped(await starting, config, signals, log);
  } finally {
    process.off("SIGHUP", reload);
  }
}

async function serveUntilStopped(
  proxy: RunningProxy,
  config: Config,
  signals: StopSignals,
  log: Log,
): Promise<void> {
  try {
    if ((await signals.first) === "drain") {
      log.info({ drainMs: config.drain_ms }, "draining");
      await Promise.race([proxy.drain(config.drain_ms), signals.second]);
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

async function start(
  map: ShardMap,
  config: Config,
  log: Log,
  metrics: Metrics,
): Promise<RunningProxy> {
  try {
    return await startProxy({ map, config, log, metrics });
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

/** One reload at a time; a signal that comes during one, or during the start, asks for another after it. */
function reloader(
  path: string,
  starting: Promise<RunningProxy>,
  log: Log,
  metrics: Metrics,
): () => void {
  let running: Promise<void> = Promise.resolve();
  let isQueued = false;
  const reload = async (proxy: RunningProxy): Promise<void> => {
    isQueued = false;
    const result = await applyMap(path, proxy, log).catch((error: unknown) => {
      const id = error instanceof SqlError ? error.id : undefined;
      log.error({ id, reason: reasonOf(error) }, "shard map refused; the old one stays");
      return "refused" as const;
    });
    metrics.increment("colonnade_map_reloads_total", {
      result: result === "refused" ? result : "applied",
    });
    if (result !== "refused") metrics.set("colonnade_map_version", {}, result);
  };
  return () => {
    if (isQueued) return;
    isQueued = true;
    running = Promise.all([starting, running]).then(
      async ([proxy]) => await reload(proxy),
      // The start has failed, which whoever waits for it tells.
      () => undefined,
    );
  };
}

/** The version that is now in use, unless the file is refused. */
async function applyMap(path: string, proxy: RunningProxy, log: Log): Promise<number | "refused"> {
  const file = readMap(path);
  if (file.kind === "invalid") {
    for (const problem of file.problems) {
      log.error({ problem: printProblem(problem) }, "shard map refused; the old one stays");
    }
    return "refused";
  }
  refuseEmbedded(file.map);
  await proxy.reload(file.map);
  log.info({ mapVersion: file.map.version }, "shard map applied");
  return file.map.version;
}

/** What the first signal asks for, and when a second one ends the patience. */
class StopSignals implements Disposable {
  readonly #first = Promise.withResolvers<"drain" | "stop">();
  readonly #second = Promise.withResolvers<void>();
  #count = 0;

  constructor() {
    process.on("SIGTERM", this.#onDrain);
    process.on("SIGINT", this.#onStop);
  }

  get first(): Promise<"drain" | "stop"> {
    return this.#first.promise;
  }

  get second(): Promise<void> {
    return this.#second.promise;
  }

  readonly #onDrain = (): void => this.#on("drain");
  readonly #onStop = (): void => this.#on("stop");

  #on(wish: "drain" | "stop"): void {
    this.#count += 1;
    if (this.#count === 1) this.#first.resolve(wish);
    else this.#second.resolve();
  }

  [Symbol.dispose](): void {
    process.off("SIGTERM", this.#onDrain);
    process.off("SIGINT", this.#onStop);
  }
}
