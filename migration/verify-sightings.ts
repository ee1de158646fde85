/**
 * When a row that differs between aligned snapshots is a difference. The later snapshot has a few
 * milliseconds of transactions more, so a row that is written just then differs; one that is written
 * all the time differs each time it is looked at, with other values each time. So it counts once both
 * sides have shown the same two different values VERIFY_SIGHTINGS times in a row. One whose values went on
 * changing for VERIFY_SIGHTINGS_MAX looks is *busy*, and not judged: a change brings the whole row, or
 * stops the migration where there is none, and under the fence nobody writes.
 */
import { VERIFY_SIGHTINGS } from "../base/limits.ts";

export interface Sighted {
  /** What both sides have, as hashes. */
  readonly values: string;
  /** How often in a row they were these. */
  readonly sightings: number;
}

export function isSettled(sightings: number): boolean {
  return sightings >= VERIFY_SIGHTINGS;
}

/** Of the `suspects`, those that were seen again stay, by their keys. */
export function seenAgain<T extends Sighted>(
  suspects: Map<string, T>,
  again: ReadonlyMap<string, T>,
): void {
  for (const [key, before] of suspects) {
    const now = again.get(key);
    if (now === undefined) suspects.delete(key);
    else {
      const sightings = now.values === before.values ? before.sightings + 1 : 1;
      suspects.set(key, { ...now, sightings });
    }
  }
}

/** Takes the busy ones away. How many they were. */
export function withoutBusy(suspects: Map<string, Sighted>): number {
  let count = 0;
  for (const [key, { sightings }] of suspects)
    if (!isSettled(sightings)) {
      suspects.delete(key);
      count += 1;
    }
  return count;
}
