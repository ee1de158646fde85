/** Brings a connection of the pool back to what its server gave it, for what the proxy itself asks over it. */
import { BackendError, UNKNOWN_SETTINGS } from "./backend-connection.ts";
import type { BackendConnection } from "./backend-connection.ts";

/**
 * RESET ALL leaves who the session is as it was, and may do less for a weaker role: that is
 * given up first.
 */
export const RESET_ROLE = "RESET SESSION AUTHORIZATION; RESET ROLE";

export const RESET_SETTINGS = `${RESET_ROLE}; RESET ALL`;

/**
 * A role, a search_path or a statement_timeout that a client left on it is none of the proxy's.
 * Rejects as the connection does.
 */
export async function resetSettings(
  connection: BackendConnection,
  signal?: AbortSignal,
): Promise<void> {
  if (connection.sessionTag === "") return;
  connection.sessionTag = UNKNOWN_SETTINGS;
  await connection.query(RESET_SETTINGS, signal);
  connection.sessionTag = "";
}

/** By a cancel request, or a statement_timeout: until it is reset, that is the last client's. */
export function isCanceled(error: unknown): boolean {
  return error instanceof BackendError && error.fields.C === "57014";
}
