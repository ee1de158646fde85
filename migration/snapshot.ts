/**
 * Which transactions a snapshot of the source sees: what decides whether a change of the
 * stream is already among the rows that were copied under it.
 *
 * Ids are 64 bits wide, as pg_current_snapshot prints them. The stream has the low 32 of them;
 * `widen` adds the rest. Only ids of top-level transactions occur in both.
 */
import { invariant } from "../base/invariant.ts";

export interface Snapshot {
  /** Every transaction below it has ended. */
  readonly xmin: bigint;
  /** Every transaction at or above it is not seen. */
  readonly xmax: bigint;
  /** In progress when it was taken. */
  readonly running: ReadonlySet<bigint>;
}

/** Reads `10:20:10,14,15`. */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text);
  invariant(match !== null, "a snapshot is printed as xmin:xmax:running");
  const [, xmin = "", xmax = "", running = ""] = match;
  const ids = running === "" ? [] : running.split(",").map(BigInt);
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), running: new Set(ids) };
}

export function printSnapshot({ xmin, xmax, running }: Snapshot): string {
  return `${xmin}:${xmax}:${[...running].join(",")}`;
}

/** Of a transaction that is known to have committed: whether the snapshot sees what it did. */
export function sees({ xmax, running }: Snapshot, transaction: bigint): boolean {
  return transaction < xmax && !running.has(transaction);
}

const HALF = 1n << 31n;

/** The 64-bit id with these low 32 bits that is nearest to `near`, itself at most 2^31 transactions away. */
export function widen(low: number, near: bigint): bigint {
  const distance = BigInt.asIntN(32, BigInt(low) - near);
  const wide = near + distance;
  invariant(wide >= 0n && distance < HALF, "an id is near the one it is widened by");
  return wide;
}
