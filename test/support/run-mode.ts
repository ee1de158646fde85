/**
 * How thorough the long proofs are: minutes with `COLONNADE_FULL=1`, as before a release;
 * seconds without, as in CI.
 */
export const IS_FULL_RUN = process.env["COLONNADE_FULL"] === "1";

/** The first in a full run, the second otherwise. */
export function inFullRun<T>(full: T, otherwise: T): T {
  return IS_FULL_RUN ? full : otherwise;
}
