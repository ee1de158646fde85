/**
 * Which database a URL leads to, whatever the URL: a cluster's identifier, made by initdb and
 * shared with its standbys, and the database's OID in it. Manual: "Control Data Functions".
 *
 * A standby that was promoted keeps the identifier, and lives on as a database of its own: that is how
 * one database is split into two. So where two names have one identity, the databases are asked.
 */
import { randomInt } from "node:crypto";
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

interface Named {
  readonly database: DatabaseName;
  readonly address: BackendAddress;
}

/**
 * Whether two databases of one identity are one: what a transaction has locked in the first
 * cannot be locked in the second. A standby takes no locks of its primary, and is it all the same.
 * Rejects where one cannot be asked.
 */
export async function isSameDatabase(first: Named, second: Named): Promise<boolean> {
  const key = randomInt(2 ** 47);
  return await inTransaction(first, key, async (isFirstPrimary) => {
    if (!isFirstPrimary) return true;
    return await inTransaction(second, key, async (hasLocked) => !hasLocked);
  });
}

/** `work` is told whether the key could be locked, which it cannot be in a standby. */
async function inTransaction(
  { database, address }: Named,
  key: number,
  work: (hasLocked: boolean) => Promise<boolean>,
): Promise<boolean> {
  const options = { database, connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS };
  const connection = await BackendConnection.open(address, options);
  try {
    // Of a transaction, so that it holds behind a pool of transactions, too.
    const { rows } = await connection.query(
      `BEGIN; SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN false ELSE pg_catalog.pg_try_advisory_xact_lock(${key}) END`,
      AbortSignal.timeout(BACKEND_CONNECT_TIMEOUT_MS),
    );
    return await work(rows[0]?.[0] === "t");
  } finally {
    connection.close();
  }
}
