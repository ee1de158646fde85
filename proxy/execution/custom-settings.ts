/**
 * Custom settings (app.tenant) are made by naming them, and PostgreSQL keeps an empty one until
 * the session ends, whatever becomes of the SET: what `current_setting('app.tenant', true)`
 * tells is NULL before and an empty string ever after. So a backend on which one was named is
 * for sessions that have named it, too.
 */
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Rank } from "../backend/pool-member.ts";

export function isCustomSetting(name: string | undefined): name is string {
  return name?.includes(".") === true;
}

/** Whether a session that has named these settings may have the connection. */
export function isUsableWith(
  { customSettings }: BackendConnection,
  names: ReadonlySet<string>,
): boolean {
  for (const name of customSettings) if (!names.has(name)) return false;
  return true;
}

/** By which a pool prefers connections: those that were used with these settings leave the others as they are. */
export function rankFor(names: ReadonlySet<string>): Rank {
  if (names.size === 0) return RANK_FOR_NONE;
  return (connection) => {
    if (!isUsableWith(connection, names)) return 0;
    return connection.customSettings.size === names.size ? 2 : 1;
  };
}

const RANK_FOR_NONE: Rank = ({ customSettings }) => (customSettings.size === 0 ? 2 : 0);
