/**
 * `colonnade serve`: the proxy in front of the databases of a shard map.
 *
 * The map is a file, or the one that the control schema names. SIGHUP reads it again; one with
 * errors is refused and the old one stays. SIGTERM
 * drains, and so does DRAIN of the admin console: running transactions end first. SIGINT, or
 * a second SIGTERM, stops at once.
 */
import { createLog } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import { requireConfig } from "./input-files.ts";
import { serveOne, StopSignals } from "./serve-one.ts";
import type { ServeFlags } from "./serve-one.ts";
import { serveAsWorker, superviseWorkers } from "./workers/serve-workers.ts";
import { isWorker } from "./workers/worker.ts";

export async function serve(flags: ServeFlags): Promise<void> {
  const config = requireConfig(flags.config);
  const shared = { config, log: createLog(config.log.level), metrics: new Metrics() };
  const { workers: count = 1 } = flags;
  if (isWorker()) return await serveAsWorker(flags, count, shared);
  if (count > 1) return await superviseWorkers(flags, count, shared);
  // Installed before the start, as SIGHUP's is below, so that a signal during it is not lost.
  using signals = new StopSignals();
  await serveOne(flags, { ...shared, host: signals });
}
