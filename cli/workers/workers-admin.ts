/** What the admin interface tells of several workers together. */
import { countersTogether, renderTogether, valuesOf } from "../../base/metrics.ts";
import type { MetricName, Metrics, MetricValues } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { AdminSources } from "../../proxy/admin/http.ts";
import type { WorkerQuestions } from "./messages.ts";
import type { Supervisor } from "./supervisor.ts";
import type { WorkerSlot } from "./worker-slot.ts";

/** The supervisor's own; all others are the workers'. */
const OWN_METRICS: readonly MetricName[] = ["colonnade_workers", "colonnade_worker_restarts_total"];

export function workersAdmin(supervisor: Supervisor, metrics: Metrics): AdminSources {
  /** Of workers that have ended, as they were last asked. */
  let past: MetricValues = [];
  supervisor.onGone = (slot) => {
    const last = slot.lastMetrics;
    slot.lastMetrics = undefined;
    if (last !== undefined) void countersTogether([past, last]).then((sum) => (past = sum));
  };
  const render = async () => {
    await Promise.all(
      supervisor.serving.map(async (slot) => {
        slot.lastMetrics = (await answerOf(slot, "metrics")) ?? slot.lastMetrics;
      }),
    );
    const now = supervisor.serving.flatMap(({ lastMetrics }) => (lastMetrics ? [lastMetrics] : []));
    return await renderTogether([...now, past, valuesOf(await metrics.values(), OWN_METRICS)]);
  };
  const all = <Name extends "isReady" | "clients" | "inDoubt">(name: Name) =>
    Promise.all(supervisor.serving.map((slot) => answerOf(slot, name)));
  return {
    metrics: { render },
    // Connections go to those that serve.
    isReady: async () => (await all("isReady")).some((isReady) => isReady === true),
    clients: async () => (await all("clients")).flatMap((clients) => clients ?? []),
    // Each asks all databases, and finds the same.
    inDoubt: async () => {
      const report = (await all("inDoubt")).find((each) => each !== undefined);
      if (report === undefined)
        throw new SqlError("worker_silent", "no process of the proxy answers");
      return report;
    },
  };
}

/** Undefined where it does not answer: an operator wants to be told of the others. */
async function answerOf<Name extends "metrics" | "isReady" | "clients" | "inDoubt">(
  { channel }: WorkerSlot,
  name: Name,
): Promise<WorkerQuestions[Name]["answer"] | undefined> {
  try {
    return await channel?.ask(name, undefined);
  } catch {
    return undefined;
  }
}
