/**
 * A load that does not wait for those it measures: statements are due at fixed times, and a latency
 * is counted from when its statement was due, so that a stall is seen by all that came in it
 * (without what Gil Tene named coordinated omission).
 */
import { Worker } from "node:worker_threads";
import { Histogram } from "../histogram.ts";
import type { Pace } from "./pacer.ts";

export interface PacedTimes {
  readonly latencies: Histogram;
  /** From when a statement was due to when it was looked at. */
  readonly lateness: Histogram;
}

const NS_PER_SECOND = 1e9;
const NS_PER_MICROSECOND = 1e3;
/** The thread's start. */
const LEAD_NS = 2e8;

/** One client asks its next statement, and fulfils when it is answered. */
export type Ask = () => Promise<unknown>;

export async function runPaced(
  clients: readonly Ask[],
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<PacedTimes> {
  const pace: Pace = {
    startNs: now() + LEAD_NS,
    intervalNs: NS_PER_SECOND / perSecond,
    count: perSecond * seconds,
  };
  const times: PacedTimes = { latencies: new Histogram(), lateness: new Histogram() };
  const free = [...clients];
  const waiting = new DueTimes();
  const worker = new Worker(new URL("pacer.ts", import.meta.url), { workerData: pace });
  try {
    await new Promise<void>((resolve, reject) => {
      const ask = async (client: Ask, dueNs: number): Promise<void> => {
        for (let due: number | undefined = dueNs; due !== undefined; due = waiting.shift()) {
          await client();
          times.latencies.record((now() - due) / NS_PER_MICROSECOND);
          if (times.latencies.count === pace.count) resolve();
        }
        free.push(client);
      };
      worker.on("error", reject);
      worker.on("message", (index: number) => {
        const dueNs = pace.startNs + index * pace.intervalNs;
        times.lateness.record((now() - dueNs) / NS_PER_MICROSECOND);
        const client = free.pop();
        if (client === undefined) waiting.push(dueNs);
        else ask(client, dueNs).catch(reject);
      });
    });
  } finally {
    await worker.terminate();
  }
  return times;
}

function now(): number {
  return Number(process.hrtime.bigint());
}

/** First in, first out, without moving what is left: where a contender is too slow it grows long. */
class DueTimes {
  readonly #times: number[] = [];
  #next = 0;

  push(time: number): void {
    this.#times.push(time);
  }

  shift(): number | undefined {
    const time = this.#times[this.#next];
    if (time !== undefined) this.#next += 1;
    return time;
  }
}
