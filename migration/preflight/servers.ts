/** Findings about a server: settings, room for slots and connections, and what the role may do. */
import type { DatabaseName } from "../../base/ids.ts";
import { PREFLIGHT_CONNECTIONS } from "../../base/limits.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import { ORIGIN_FUNCTIONS } from "../origin.ts";
import { finding } from "./findings.ts";
import type { Finding, FindingId } from "./findings.ts";

export interface ServerFacts {
  readonly database: DatabaseName;
  /** `server_version_num`. */
  readonly version: number;
  readonly encoding: string;
  /** Provider and locale of the default collation. */
  readonly collation: string;
  /** Of the provider's data; empty where it has no versions. */
  readonly collationVersion: string;
  readonly extensions: ReadonlySet<string>;
}

/** Oldest major version whose publications and privileges the engine uses. */
const VERSION_MIN = 150000;

/** Replication origins have a limit of their own since PostgreSQL 18. */
const ORIGINS_COUNTED_FROM = 180000;

/** By major version, the minor that keeps what a publication decodes exact while writers are open: see `minor_version`. */
const MINOR_MIN: Readonly<Record<number, number>> = { 15: 13, 16: 9, 17: 5 };

export async function readServerFacts(connection: BackendConnection): Promise<ServerFacts> {
  const { rows } = await connection.query(`
SELECT current_setting('server_version_num'), pg_encoding_to_char(d.encoding),
  concat_ws(' ', to_jsonb(d) ->> 'datlocprovider', d.datcollate, d.datctype, coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')),
  pg_database_collation_actual_version(d.oid), (SELECT string_agg(extname, ' ') FROM pg_extension)
FROM pg_database d WHERE d.datname = current_database()`);
  const [version, encoding, collation, collationVersion, extensions] = rows[0] ?? [];
  return {
    database: connection.database,
    version: Number(version),
    encoding: encoding ?? "",
    collation: collation ?? "",
    collationVersion: collationVersion ?? "",
    extensions: new Set((extensions ?? "").split(" ")),
  };
}

export interface Load {
  /** How many the migration makes on this server, there and back. */
  readonly slots: number;
  /** One for each stream that ends here, there and back. */
  readonly origins: number;
  readonly movedBytes: number;
}

export async function serverFindings(
  connection: BackendConnection,
  facts: ServerFacts,
  { slots, origins, movedBytes }: Load,
): Promise<readonly Finding[]> {
  const { database } = connection;
  const originSetting =
    facts.version < ORIGINS_COUNTED_FROM
      ? "max_replication_slots"
      : "max_active_replication_origins";
  const { rows } = await connection.query(`
SELECT current_setting('wal_level'), pg_is_in_recovery(), pg_backend_pid(),
  current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
  current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  (SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
  (SELECT setting::int8 FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
  (SELECT setting::int FROM pg_settings WHERE name = '${originSetting}') - (SELECT count(*) FROM pg_replication_origin)`);
  const [walLevel, isStandby, pid, slotsLeft, sendersLeft, connectionsLeft, ...more] =
    rows[0] ?? [];
  const [keepMb, idleTimeout, originsLeft] = more;
  const found: Finding[] = [];
  const add = (id: FindingId, object: string, message: string): void => {
    found.push(finding(id, database, object, message));
  };
  if (walLevel !== "logical") add("wal_level", "wal_level", `is ${walLevel}`);
  if (isStandby === "t") add("is_standby", "server", "is a standby");
  if (Number(pid) !== connection.processId)
    add("pooled_connection", "server", "is reached through a pooler or a proxy");
  versionFindings(facts.version, add);
  roomFinding("slots_exhausted", "max_replication_slots", slotsLeft, slots, add);
  roomFinding("walsenders_exhausted", "max_wal_senders", sendersLeft, slots, add);
  roomFinding("origins_exhausted", originSetting, originsLeft, origins, add);
  roomFinding(
    "connections_exhausted",
    "max_connections",
    connectionsLeft,
    PREFLIGHT_CONNECTIONS,
    add,
  );
  const keepBytes = Number(keepMb) * 1024 * 1024;
  if (keepBytes < 0)
    add(
      "slot_wal_unlimited",
      "max_slot_wal_keep_size",
      "is -1: a slot that is not read keeps WAL until the disk is full",
    );
  else if (keepBytes < movedBytes)
    add(
      "slot_wal_small",
      "max_slot_wal_keep_size",
      `is ${keepMb} MB, and ${megabytes(movedBytes)} MB are to be moved`,
    );
  if (Number(idleTimeout ?? 0) > 0)
    add(
      "idle_slot_timeout",
      "idle_replication_slot_timeout",
      `is ${idleTimeout} s, so a paused migration would lose its slot`,
    );
  return [...found, ...(await rightFindings(connection))];
}

type Add = (id: FindingId, object: string, message: string) => void;

function versionFindings(version: number, add: Add): void {
  const [major, minor] = [Math.floor(version / 10_000), version % 10_000];
  if (version < VERSION_MIN)
    return add("version_too_old", "server", `is PostgreSQL ${major}.${minor}`);
  const due = MINOR_MIN[major];
  if (due !== undefined && minor < due)
    add("minor_version", "server", `is PostgreSQL ${major}.${minor}, and ${major}.${due} is safe`);
}

function roomFinding(
  id: FindingId,
  setting: string,
  left: string | null | undefined,
  needed: number,
  add: Add,
): void {
  if (Number(left) < needed) add(id, setting, `leaves room for ${left}, and ${needed} are needed`);
}

/** What the role may do is tried, in transactions that are undone: managed servers have their own rules. */
async function rightFindings(connection: BackendConnection): Promise<readonly Finding[]> {
  const { database } = connection;
  const { rows } = await connection.query(
    "SELECT rolname, rolreplication OR rolsuper, has_database_privilege(current_database(), 'CREATE') FROM pg_roles WHERE rolname = current_user",
  );
  const [role = "", replicates, creates] = rows[0] ?? [];
  const object = `role ${role}`;
  const found: Finding[] = [];
  if (replicates !== "t")
    found.push(finding("no_replication_right", database, object, "may not replicate"));
  if (creates !== "t")
    found.push(finding("no_create_right", database, object, "may not create schemas"));
  const replica = await refusedAs(connection, "SET LOCAL session_replication_role = 'replica'");
  if (replica !== undefined) found.push(finding("no_replica_role", database, object, replica));
  const functions = await refusedFunctions(connection);
  if (functions !== null)
    found.push(finding("no_origin_right", database, object, `may not execute ${functions}`));
  const guard = await refusedAs(
    connection,
    "CREATE FUNCTION pg_temp.colonnade_probe() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER colonnade_probe ON ddl_command_start EXECUTE FUNCTION pg_temp.colonnade_probe()",
  );
  if (guard !== undefined) found.push(finding("ddl_not_guarded", database, object, guard));
  return found;
}

/** Of those that the engine calls, by name; null where there are none. */
async function refusedFunctions(connection: BackendConnection): Promise<string | null> {
  const names = ORIGIN_FUNCTIONS.map((name) => quoteLiteral(`pg_catalog.${name}`));
  const { rows } = await connection.query(
    `SELECT string_agg(name, ', ') FROM unnest(ARRAY[${names.join(", ")}]) name WHERE NOT has_function_privilege(name, 'EXECUTE')`,
  );
  return rows[0]?.[0] ?? null;
}

/** The server's words, where it does not let the role do it. */
async function refusedAs(connection: BackendConnection, sql: string): Promise<string | undefined> {
  await connection.query("BEGIN");
  try {
    await connection.query(sql);
    return undefined;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return error.fields.M;
  } finally {
    await connection.query("ROLLBACK");
  }
}

/** Of a source and one of its targets. */
export function pairFindings(source: ServerFacts, target: ServerFacts): readonly Finding[] {
  const { database } = target;
  const found: Finding[] = [];
  if (source.encoding !== target.encoding)
    found.push(
      finding(
        "encoding_differs",
        database,
        "encoding",
        `is ${target.encoding}, and ${source.database}'s is ${source.encoding}`,
      ),
    );
  if (source.collation !== target.collation)
    found.push(
      finding(
        "collation_differs",
        database,
        "default collation",
        `is ${target.collation}, and ${source.database}'s is ${source.collation}`,
      ),
    );
  else if (source.collationVersion !== target.collationVersion)
    found.push(
      finding(
        "collation_version_differs",
        database,
        "default collation",
        `has version ${target.collationVersion}, and ${source.database}'s has ${source.collationVersion}`,
      ),
    );
  if (Math.floor(target.version / 10_000) < Math.floor(source.version / 10_000))
    found.push(
      finding(
        "target_older",
        database,
        "server",
        `is of an older major version than ${source.database}`,
      ),
    );
  return found;
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
