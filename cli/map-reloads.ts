/** Reads the shard map's file again while a proxy runs: for SIGHUP, and for RELOAD of the admin console. */
import { printProblem } from "../base/document/problems.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { SqlError } from "../base/sql-error.ts";
import type { RunningProxy } from "../proxy/running-proxy.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure, reasonOf } from "./failure.ts";
import type { MapFile } from "./input-files.ts";

export interface MapReloadsOptions {
  readonly read: () => MapFile;
  /** Throws for a map that this command cannot serve. */
  readonly check: (map: ShardMap) => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class MapReloads {
  readonly #options: MapReloadsOptions;
  readonly #proxy = Promise.withResolvers<RunningProxy>();
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;

  constructor(options: MapReloadsOptions) {
    this.#options = options;
    // A start that fails is told by whoever waits for it.
    this.#proxy.promise.catch(() => undefined);
  }

  /** Reloads that are asked for before the start is done wait for it. */
  serve(starting: Promise<RunningProxy>): void {
    this.#proxy.resolve(starting);
  }

  /**
   * One at a time: whoever asks while another waits for its turn is answered by that one.
   * Rejects with why the map was refused, which the log says, too; the old one stays.
   */
  request(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    const before = this.#running;
    const request = (async () => {
      await before.catch(() => undefined);
      const proxy = await this.#proxy.promise;
      this.#queued = undefined;
      await this.#reload(proxy);
    })();
    this.#queued = request;
    this.#running = request;
    return request;
  }

  async #reload(proxy: RunningProxy): Promise<void> {
    const { log, metrics } = this.#options;
    try {
      const map = servableMap(this.#options);
      await proxy.reload(map);
      log.info({ mapVersion: map.version }, "shard map applied");
      metrics.increment("colonnade_map_reloads_total", { result: "applied" });
    } catch (error) {
      const id = error instanceof SqlError ? error.id : undefined;
      log.error({ id, reason: reasonOf(error) }, "shard map refused; the old one stays");
      metrics.increment("colonnade_map_reloads_total", { result: "refused" });
      throw error;
    }
  }
}

/** Throws for one that cannot be read, or has mistakes, which the log tells one by one. */
export function servableMap({
  read,
  check,
  log,
}: Pick<MapReloadsOptions, "read" | "check" | "log">): ShardMap {
  let file: MapFile;
  try {
    file = read();
    if (file.kind === "valid") {
      check(file.map);
      return file.map;
    }
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    log.error({ problem: error.message }, "shard map refused; the old one stays");
    throw new SqlError("reload_refused", `the shard map is refused: ${error.message}`, {
      hint: "The old map stays. Mend the file, and RELOAD again.",
    });
  }
  const problems = file.problems.map(printProblem);
  for (const problem of problems) log.error({ problem }, "shard map refused; the old one stays");
  throw new SqlError("reload_refused", "the shard map has mistakes", {
    detail: problems.join("\n"),
  });
}
