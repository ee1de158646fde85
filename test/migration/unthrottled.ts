/** The policy of migrations in tests that copy nothing, or as fast as they can. */
import type { Policy } from "../../migration/machine/life.ts";

export const UNTHROTTLED: Omit<Policy, "pauseMs" | "reserveMs"> = {
  throttle: { rowsPerSecond: null, replicaLagMs: 5_000, activeSessions: 100 },
  fencesReads: false,
};
