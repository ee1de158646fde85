/** `colonnade serve --workers N`: the process that supervises, and those that serve. */
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { startAdminHttp } from "../../proxy/admin/http.ts";
import type { Config } from "../../proxy/config/config.ts";
import { CommandFailure, reasonOf } from "../failure.ts";
import { readInput, readMapText } from "../input-files.ts";
import { servableMap } from "../map-reloads.ts";
import { logLook, refuseEmbedded, requireMapFlag, serveOne, StopSignals } from "../serve-one.ts";
import type { ServeFlags } from "../serve-one.ts";
import { dividedConfig } from "./divided-config.ts";
import { Supervisor } from "./supervisor.ts";
import { WorkerLink } from "./worker.ts";
import { workersAdmin } from "./workers-admin.ts";

interface Shared {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
}

export async function superviseWorkers(
  flags: ServeFlags,
  count: number,
  { config, log, metrics }: Shared,
): Promise<void> {
  dividedConfig(config, 0, count);
  const path = flags.control === undefined ? requireMapFlag(flags) : undefined;
  const readMap = (): string => {
    let text = "";
    const read = () => {
      text = readInput(path ?? "", "map");
      return readMapText(text, path ?? "");
    };
    servableMap({ read, check: refuseEmbedded, log });
    return text;
  };
  using signals = new StopSignals();
  const supervisor = new Supervisor({
    count,
    mapText: path === undefined ? undefined : readInput(path, "map"),
    readMap: path === undefined ? undefined : readMap,
    drainMs: config.drain_ms,
    pauseWaitMs: config.pool.pause_wait_ms,
    log,
    metrics,
  });
  const reload = (): void => {
    const reloading = supervisor.reload();
    // Why a file's map was refused stands in the log.
    if (path !== undefined) void reloading.catch(() => undefined);
    else void logLook(log, reloading);
  };
  using _ = signals.onHangUp(reload);
  try {
    const admin = await startAdmin(supervisor, { config, log, metrics });
    try {
      const port = await Promise.race([supervisor.start(), signals.impatient.then(() => 0)]);
      log.info({ port, adminPort: admin.port, workers: count }, "listening");
      await untilEnded(supervisor, signals, { config, log });
    } finally {
      await admin.close();
    }
  } finally {
    await supervisor.stop();
    log.info("stopped");
  }
}

async function startAdmin(supervisor: Supervisor, { config, log, metrics }: Shared) {
  const { host, port } = config.admin;
  try {
    return await startAdminHttp({ host, port, log, ...workersAdmin(supervisor, metrics) });
  } catch (cause) {
    throw new CommandFailure(`cannot start: the admin interface: ${reasonOf(cause)}`, 2, { cause });
  }
}

async function untilEnded(
  supervisor: Supervisor,
  signals: StopSignals,
  { config, log }: Pick<Shared, "config" | "log">,
): Promise<void> {
  const wish = await Promise.race([
    signals.first,
    supervisor.drainRequested.then(() => "drain" as const),
    supervisor.failed,
  ]);
  if (wish !== "drain") return;
  log.info({ drainMs: config.drain_ms }, "draining");
  await supervisor.drain(signals.impatient);
}

export async function serveAsWorker(
  flags: ServeFlags,
  count: number,
  { config, log, metrics }: Shared,
): Promise<void> {
  using link = new WorkerLink(metrics);
  const { index, mapText } = await link.orders;
  try {
    await serveOne(flags, {
      config: dividedConfig(config, index, count),
      log: log.child({ worker: index + 1 }),
      metrics,
      host: {
        first: link.first,
        impatient: link.impatient,
        // Signals are the supervisor's to act on.
        onHangUp: () => ({ [Symbol.dispose]: () => undefined }),
        others: {
          place: link.place(index, count, config.pool.pause_wait_ms),
          mapText,
          reload: () => link.reload(),
          onApply: (apply) => {
            link.onApply = apply;
          },
          onLook: (look) => {
            link.onLook = look;
          },
          serving: (proxy) => link.serving(proxy),
        },
      },
    });
  } catch (error) {
    // The supervisor says it, once for all of them.
    if (!(error instanceof CommandFailure)) throw error;
    await link.failed(error.message, error.exitCode);
  }
}
