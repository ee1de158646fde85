/** A connection of a pool with the settings of a group, which has to wait where others do. */
import type { DatabaseName } from "../../../base/ids.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import type { Claim } from "../../backend/claim.ts";
import { applySettings } from "../apply-settings.ts";
import { isUsableWith } from "../custom-settings.ts";
import type { SettingsScript } from "../session-settings.ts";

export interface LendingBackends {
  acquire(
    database: DatabaseName,
    signal: AbortSignal | undefined,
    claim: Claim | undefined,
  ): Promise<BackendConnection>;
  renew(connection: BackendConnection): Promise<BackendConnection>;
  release(connection: BackendConnection): void;
}

/** Rejects as the pool does, or with what the server says of the settings; nothing is lent then. */
export async function acquireWith(
  backends: LendingBackends,
  database: DatabaseName,
  settings: SettingsScript,
  claim: Claim | undefined,
): Promise<BackendConnection> {
  const given = await backends.acquire(database, undefined, claim);
  const isUsable = isUsableWith(given, settings.customNames);
  const connection = isUsable ? given : await backends.renew(given);
  try {
    await applySettings(connection, settings);
    return connection;
  } catch (error) {
    backends.release(connection);
    throw error;
  }
}
