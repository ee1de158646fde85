/**
 * How thorough the long proofs are: minutes with `COLONNADE_FULL=1`, as before a release;
 * seconds without, as in CI.
 */
export const IS_FULL_RUN = process.env["COLONNADE_FULL"] === "1";

/** `COLONNADE_MULTIPLEXED=1`: proxies whose configuration does not say otherwise have reads share connections. */
export const IS_MULTIPLEXED_RUN = process.env["COLONNADE_MULTIPLEXED"] === "1";

/** The first in a full run, the second otherwise. */
export function inFullRun<T>(full: T, otherwise: T): T {
  return IS_FULL_RUN ? full : otherwise;
}
