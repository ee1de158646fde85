/**
 * A session that is another role than the user of its connections (SET ROLE, SET SESSION
 * AUTHORIZATION). Its statements run as that role, with that role's privileges; what the proxy
 * has to do for them in between runs as the connection's user, which may.
 *
 * A prepared transaction can be finished by the user that has prepared it, or a superuser, and
 * whoever recovers it is the connection's user: so that one prepares it, and writes the commit
 * record. Manual: "COMMIT PREPARED".
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { BackendError, UNKNOWN_SETTINGS } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { RESET_ROLE } from "../backend/reset-settings.ts";

/**
 * For the rest of a transaction that is about to end. What is deferred is checked before, as
 * the role whose statements it belongs to; the server's error is that of the commit.
 */
export async function leaveRole(connection: BackendConnection): Promise<void> {
  await connection.query(
    "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT",
  );
}

/** After a transaction's part has been prepared, the connection is the session's role again. */
export async function leaveRoleForGood(connection: BackendConnection): Promise<void> {
  connection.sessionTag = UNKNOWN_SETTINGS;
  await connection.query(RESET_ROLE);
}

/** What a server says of a role it does not know, or does not let the user be, names no database. */
export function notInDatabase(database: DatabaseName, error: unknown): unknown {
  if (!(error instanceof BackendError) || !ROLE_REFUSALS.has(error.fields.C ?? "")) return error;
  return new SqlError(
    "role_not_in_database",
    `the session's role or settings cannot be taken to database "${database}": ${error.message}`,
    { cause: error },
  );
}

/** invalid_parameter_value, insufficient_privilege */
const ROLE_REFUSALS: ReadonlySet<string> = new Set(["22023", "42501"]);
