/**
 * Which database a URL leads to, whatever the URL: a cluster's identifier, made by initdb and
 * shared with its standbys, and the database's OID in it. Manual: "Control Data Functions".
 */
import { BACKEND_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { BackendConnection } from "../backend/backend-connection.ts";

const IDENTITY = `
SELECT system_identifier || '/' || (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
FROM pg_catalog.pg_control_system()`;

/** `7345012345678901234/16384`. Rejects where the database cannot be asked. */
export async function readIdentity(
  database: DatabaseName,
  address: BackendAddress,
): Promise<string> {
  const connection = await BackendConnection.open(address, {
    database,
    connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
  });
  try {
    const { rows } = await connection.query(
      IDENTITY,
      AbortSignal.timeout(BACKEND_CONNECT_TIMEOUT_MS),
    );
    return rows[0]?.[0] ?? "";
  } finally {
    connection.close();
  }
}
