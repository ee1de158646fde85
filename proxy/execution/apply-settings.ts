/** Brings a backend to a session's settings, whatever was set on it before. */
import { UNKNOWN_SETTINGS } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { RESET_SETTINGS } from "../backend/reset-settings.ts";
import { notInDatabase } from "./session-role.ts";
import type { SettingsScript } from "./session-settings.ts";

/** Costs nothing where it has them. Rejects with the server's error, after which it has nobody's. */
export async function applySettings(
  connection: BackendConnection,
  { tag, sql, isOtherRole, customNames }: SettingsScript,
): Promise<void> {
  if (connection.sessionTag === tag) return;
  connection.noteCustomSettings(customNames);
  const isFresh = connection.sessionTag === "";
  connection.sessionTag = UNKNOWN_SETTINGS;
  const script = isFresh ? sql : `${RESET_SETTINGS}; ${sql}`;
  try {
    if (script !== "") await connection.query(script);
  } catch (error) {
    throw isOtherRole ? notInDatabase(connection.database, error) : error;
  }
  connection.sessionTag = tag;
}
