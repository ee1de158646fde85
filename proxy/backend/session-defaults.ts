/**
 * The defaults of settings that can show in answers, as the catalog database has them for its
 * URL's role when the proxy starts. Every connection of the pools is opened with them, so that
 * one session has one set of defaults whichever backends it meets, and keeps it whatever ALTER
 * ROLE, ALTER DATABASE or a postgresql.conf of some server says meanwhile. They are not read
 * again: sessions that are open then would change their defaults in the middle of a statement.
 *
 * What tunes a server (memory, costs, parallelism, durability, tablespaces) is left to it, and
 * so are settings that not every supported version has: a startup packet that names an unknown
 * one is refused. Custom settings, those with a dot, are known by ALTER ROLE and ALTER DATABASE
 * alone: no view tells which of them a configuration file has.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import {
  BACKEND_CONNECT_TIMEOUT_MS,
  CATALOG_LOAD_TIMEOUT_MS,
  SESSION_DEFAULTS_BYTES_MAX,
} from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendAddress } from "./backend-address.ts";
import { BackendConnection } from "./backend-connection.ts";

/** Each may be set by any user, and is in every version from 15 to 18. */
const NAMES = [
  // How statements are read, and what their names mean.
  "array_nulls",
  "backslash_quote",
  "escape_string_warning",
  "quote_all_identifiers",
  "search_path",
  "standard_conforming_strings",
  "transform_null_equals",
  "xmloption",
  // How values are read and written.
  "bytea_output",
  "datestyle",
  "default_text_search_config",
  "extra_float_digits",
  "intervalstyle",
  "lc_monetary",
  "lc_numeric",
  "lc_time",
  "timezone",
  "timezone_abbreviations",
  "xmlbinary",
  // What statements do, see, say, and how long they may take.
  "check_function_bodies",
  "client_min_messages",
  "default_transaction_deferrable",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "gin_fuzzy_search_limit",
  "idle_in_transaction_session_timeout",
  "lock_timeout",
  "row_security",
  "statement_timeout",
];

/** A setting that an extension keeps to superusers could not be given by another role. */
const QUERY = `SELECT name, reset_val FROM pg_catalog.pg_settings
  WHERE pg_catalog.lower(name) IN (${NAMES.map((name) => `'${name}'`).join(", ")})
UNION ALL SELECT name, pg_catalog.current_setting(name, true)
  FROM (SELECT DISTINCT pg_catalog.lower(pg_catalog.split_part(entry, '=', 1)) AS name
    FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS entry
    WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
        WHERE datname = pg_catalog.current_database()))
      AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = SESSION_USER))) AS custom
  WHERE name LIKE '%.%' AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings AS known
    WHERE pg_catalog.lower(known.name) = custom.name AND known.context <> 'user')
ORDER BY 1`;

export interface SessionDefaults {
  /** Name to value, for startup packets. */
  readonly settings: ReadonlyMap<string, string>;
  /**
   * As the server's configuration has it, whatever ALTER ROLE and ALTER DATABASE say: what a
   * startup packet's DateStyle leaves unsaid is this one's.
   */
  readonly configuredDateStyle: string;
}

/** Rejects as BackendConnection.open does. */
export async function readSessionDefaults(
  catalog: DatabaseName,
  addresses: ReadonlyMap<DatabaseName, BackendAddress>,
): Promise<SessionDefaults> {
  const address = addresses.get(catalog);
  invariant(address !== undefined, "a map's catalog database has an address");
  const options = { database: catalog, connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS };
  const connection = await BackendConnection.open(address, options);
  const settings = new Map<string, string>();
  try {
    const { rows } = await connection.query(QUERY, AbortSignal.timeout(CATALOG_LOAD_TIMEOUT_MS));
    for (const [name, value] of rows)
      if (typeof name === "string" && typeof value === "string") settings.set(name, value);
    refuseTooLong(settings);
  } finally {
    connection.close();
  }
  return { settings, configuredDateStyle: await readConfiguredDateStyle(address, options) };
}

/** PostgreSQL reads a startup packet before it reads what ALTER has said, so one part at a time shows the other. */
async function readConfiguredDateStyle(
  address: BackendAddress,
  options: { readonly database: DatabaseName; readonly connectTimeoutMs: number },
): Promise<string> {
  const parts: string[] = [];
  for (const [index, given] of ["MDY", "ISO"].entries()) {
    const settings = new Map([["datestyle", given]]);
    const connection = await BackendConnection.open(address, { ...options, settings });
    const part = connection.parameters.get("DateStyle")?.split(", ").at(index);
    connection.close();
    invariant(part !== undefined, "a server tells its DateStyle, which has two parts");
    parts.push(part);
  }
  return parts.join(", ");
}

function refuseTooLong(defaults: ReadonlyMap<string, string>): void {
  let bytes = 0;
  for (const entry of defaults) for (const text of entry) bytes += Buffer.byteLength(text) + 1;
  if (bytes <= SESSION_DEFAULTS_BYTES_MAX) return;
  throw new SqlError(
    "session_defaults_too_long",
    `the default settings of the catalog database take ${bytes} bytes`,
    { detail: `A startup packet has room for ${SESSION_DEFAULTS_BYTES_MAX} bytes of them.` },
  );
}
