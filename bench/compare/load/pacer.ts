/**
 * The clock of a paced load, in a thread of its own: a timer of Node's event loop is a millisecond
 * coarse, a wait on a futex some ten microseconds. It tells the main thread each time a statement is due.
 */
import { parentPort, workerData } from "node:worker_threads";

export interface Pace {
  /** Nanoseconds of `process.hrtime`, which is one for all threads. */
  readonly startNs: number;
  readonly intervalNs: number;
  readonly count: number;
}

const { startNs, intervalNs, count } = workerData as Pace;
const neverChanged = new Int32Array(new SharedArrayBuffer(4));

for (let index = 0; index < count; index += 1) {
  const leftMs = (startNs + index * intervalNs - Number(process.hrtime.bigint())) / 1e6;
  if (leftMs > 0) Atomics.wait(neverChanged, 0, 0, leftMs);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  parentPort?.postMessage(index);
}
