/**
 * What a function call may do besides computing: read tables, write, hold session state,
 * or answer differently in each database. Rules are by name for pg_catalog and by the
 * catalog's volatility and language for the rest.
 */
import type { FuncCall } from "@pgsql/types";
import type { CatalogFunction } from "../shardmap/catalog.ts";
import { nameParts } from "./ast.ts";
import { hasTemporary, searchedSchemas } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";

export type FunctionEffect =
  | "immutable"
  /** The same all through a statement in one database, but not in all of them: now(), current_setting(). */
  | "stable"
  /** random(), clock_timestamp(): harmless, but different at each call. */
  | "volatile"
  /** May write: treated as a write of the database it runs in. */
  | "writes"
  /** The catalog database's own state: sequences, transaction-level advisory locks, large objects. */
  | "catalogState"
  /** Takes or frees session-level advisory locks, in the catalog database: the session gets a backend of its own. */
  | "sessionLock"
  /** The session's own state, which a pooled backend does not keep. */
  | "sessionState"
  /** Reads tables that its text names, or that only its body knows. */
  | "readsTables"
  /** Tells of one server, not of the whole: its size, its processes, its transaction ids. */
  | "serverState";

const SESSION_STATE: ReadonlySet<string> = new Set([
  "currval",
  "lastval",
  "set_config",
  "setseed",
  "pg_listening_channels",
  "pg_backend_pid",
  "pg_prepared_statement",
  "pg_cursor",
  "pg_my_temp_schema",
  "pg_export_snapshot",
  "pg_backup_start",
  "pg_backup_stop",
  "pg_create_physical_replication_slot",
  "pg_create_logical_replication_slot",
  "pg_copy_physical_replication_slot",
  "pg_copy_logical_replication_slot",
  "pg_replication_origin_session_setup",
  "pg_replication_origin_session_reset",
  "pg_replication_origin_session_is_setup",
  "pg_replication_origin_session_progress",
  "pg_replication_origin_xact_setup",
  "pg_replication_origin_xact_reset",
  "set_limit",
  "show_limit",
  "postgres_fdw_get_connections",
  "postgres_fdw_disconnect",
  "postgres_fdw_disconnect_all",
  "dblink_connect",
  "dblink_connect_u",
  "dblink_disconnect",
  "dblink_open",
  "dblink_fetch",
  "dblink_close",
  "dblink_get_connections",
  "dblink_is_busy",
  "dblink_error_message",
  "dblink_cancel_query",
  "dblink_get_notify",
]);

const SESSION_LOCKS: ReadonlySet<string> = new Set([
  "pg_advisory_lock",
  "pg_advisory_lock_shared",
  "pg_try_advisory_lock",
  "pg_try_advisory_lock_shared",
  "pg_advisory_unlock",
  "pg_advisory_unlock_shared",
  "pg_advisory_unlock_all",
]);

const READS_TABLES: ReadonlySet<string> = new Set([
  "query_to_xml",
  "query_to_xmlschema",
  "query_to_xml_and_xmlschema",
  "cursor_to_xml",
  "cursor_to_xmlschema",
  "table_to_xml",
  "table_to_xmlschema",
  "table_to_xml_and_xmlschema",
  "schema_to_xml",
  "schema_to_xmlschema",
  "schema_to_xml_and_xmlschema",
  "database_to_xml",
  "database_to_xmlschema",
  "database_to_xml_and_xmlschema",
  "ts_stat",
  "ts_rewrite",
  "dblink",
  "dblink_exec",
  "dblink_send_query",
  "dblink_get_result",
  "crosstab",
  "connectby",
  "xpath_table",
]);

const CATALOG_STATE: ReadonlySet<string> = new Set([
  "nextval",
  "setval",
  "pg_notify",
  "loread",
  "lowrite",
  "pg_advisory_xact_lock",
  "pg_advisory_xact_lock_shared",
  "pg_try_advisory_xact_lock",
  "pg_try_advisory_xact_lock_shared",
]);

/** Functions of pg_catalog that begin like those that tell of the server, but only compute. */
const COMPUTES: ReadonlySet<string> = new Set([
  "pg_typeof",
  "pg_column_size",
  "pg_column_compression",
  "pg_size_pretty",
  "pg_size_bytes",
  "pg_sleep",
  "pg_sleep_for",
  "pg_sleep_until",
  "pg_input_is_valid",
  "pg_input_error_info",
  "pg_client_encoding",
  "pg_char_to_encoding",
  "pg_encoding_to_char",
]);

const VOLATILE: ReadonlySet<string> = new Set([
  "random",
  "random_normal",
  "clock_timestamp",
  "timeofday",
  "gen_random_uuid",
  "uuidv4",
  "uuidv7",
  "pg_sleep",
  "pg_sleep_for",
  "pg_sleep_until",
]);

/** Stable functions that the catalog's snapshot need not list to be known. */
const STABLE: ReadonlySet<string> = new Set([
  "now",
  "transaction_timestamp",
  "statement_timestamp",
  "current_setting",
  "current_user",
  "session_user",
  "age",
  "to_char",
  "to_timestamp",
  "date_trunc",
]);

const SERVER_STATE: ReadonlySet<string> = new Set([
  "current_database",
  "inet_server_addr",
  "inet_server_port",
  "version",
  "txid_current",
  "txid_current_if_assigned",
  "txid_current_snapshot",
  "txid_status",
]);

/** Names of functions about processes, files, sizes, transactions and object identifiers. */
const SERVER_PREFIXES =
  /^(pg_|txid_|to_reg|obj_description|col_description|shobj_description|format_type)/;

export interface FunctionUse {
  readonly name: string;
  readonly effect: FunctionEffect;
  /** Of a function that is not PostgreSQL's own. */
  readonly isUserDefined: boolean;
  readonly isAggregate: boolean;
  readonly location: number | undefined;
}

/** Of a call as it stands in a tree. */
export function useOfCall({ funcname, location }: FuncCall, context: PlanContext): FunctionUse {
  return functionUse(nameParts(funcname), location, context);
}

export function functionUse(
  parts: readonly string[],
  location: number | undefined,
  context: PlanContext,
): FunctionUse {
  const name = parts.at(-1) ?? "";
  const schema = parts.length > 1 ? parts.at(-2) : undefined;
  // Functions of one backend are not in the catalog: what they do is not known.
  if (schema !== undefined && /^pg_temp(_\d+)?$/.test(schema))
    return { name, effect: "sessionState", isUserDefined: true, isAggregate: false, location };
  // A session that has temporary relations is where they are; for any other it is nobody's.
  if (name === "pg_my_temp_schema" && hasTemporary(context))
    return { name, effect: "catalogState", isUserDefined: false, isAggregate: false, location };
  const overloads = candidates(name, schema, context);
  const user = overloads.filter((overload) => overload.schema !== "pg_catalog");
  const isAggregate =
    BUILT_IN_AGGREGATES.has(name) || user.some(({ kind }) => kind === "aggregate");
  const userEffects = user.map((overload) => userEffect(overload, context));
  const own = userEffects.find((effect) => effect === "readsTables");
  const effect = own ?? strongest([builtInEffect(name, overloads), ...userEffects]);
  return { name, effect, isUserDefined: user.length > 0, isAggregate, location };
}

function candidates(
  name: string,
  schema: string | undefined,
  context: PlanContext,
): readonly CatalogFunction[] {
  const schemas = schema === undefined ? ["pg_catalog", ...searchedSchemas(context)] : [schema];
  return (context.catalog.functions.get(name) ?? []).filter((overload) =>
    schemas.includes(overload.schema),
  );
}

/** A function in SQL or a procedural language that is not immutable may read tables, and would see one database's rows. */
function userEffect(overload: CatalogFunction, context: PlanContext): FunctionEffect {
  const { volatility, language, kind } = overload;
  if (isBelied(overload, context)) return "readsTables";
  if (volatility === "immutable" || kind === "aggregate") return "immutable";
  if (language !== "internal" && language !== "c") return "readsTables";
  return volatility === "stable" ? "stable" : "writes";
}

/** Whether a function that is declared IMMUTABLE reaches tables or the session by its own text, or by that of one it calls. */
function isBelied(
  { body }: CatalogFunction,
  context: PlanContext,
  seen: ReadonlySet<string> = new Set(),
): boolean {
  if (body === undefined) return false;
  return body.reachesTables || [...body.calls].some((name) => mayReachTables(name, context, seen));
}

/**
 * Whether a call that stands in a stored text may read tables or keep state of the session.
 * The schemas that the text's own search_path would find are not known, so all of them count.
 */
export function mayReachTables(
  name: string,
  context: PlanContext,
  seen: ReadonlySet<string> = new Set(),
): boolean {
  if (SESSION_STATE.has(name) || SESSION_LOCKS.has(name) || READS_TABLES.has(name)) return true;
  if (seen.has(name)) return false;
  const deeper = new Set([...seen, name]);
  return (context.catalog.functions.get(name) ?? []).some((overload) => {
    const { schema, kind, volatility, language } = overload;
    if (schema === "pg_catalog") return false;
    if (isBelied(overload, context, deeper)) return true;
    const isCompiled = language === "internal" || language === "c";
    return !isCompiled && volatility !== "immutable" && kind !== "aggregate";
  });
}

/** The effect of a call in a stored text that does not reach tables: PostgreSQL's own function of that name, if any. */
export function storedCallEffect(name: string, { catalog }: PlanContext): FunctionEffect {
  const overloads = catalog.functions.get(name) ?? [];
  const compiled = overloads.some(
    ({ schema, volatility }) => schema !== "pg_catalog" && volatility === "volatile",
  );
  return strongest([builtInEffect(name, overloads), compiled ? "writes" : "immutable"]);
}

function builtInEffect(name: string, overloads: readonly CatalogFunction[]): FunctionEffect {
  if (SESSION_STATE.has(name)) return "sessionState";
  if (SESSION_LOCKS.has(name)) return "sessionLock";
  if (READS_TABLES.has(name)) return "readsTables";
  if (CATALOG_STATE.has(name) || name.startsWith("lo_")) return "catalogState";
  if (VOLATILE.has(name)) return "volatile";
  if (SERVER_STATE.has(name) || (SERVER_PREFIXES.test(name) && !COMPUTES.has(name)))
    return "serverState";
  const own = overloads.filter(({ schema }) => schema === "pg_catalog");
  if (own.some(({ volatility }) => volatility === "volatile")) return "writes";
  return STABLE.has(name) || own.some(({ volatility }) => volatility === "stable")
    ? "stable"
    : "immutable";
}

const STRENGTH: readonly FunctionEffect[] = [
  "immutable",
  "stable",
  "volatile",
  "writes",
  "serverState",
  "catalogState",
  "sessionLock",
  "readsTables",
  "sessionState",
];

function strongest(effects: readonly FunctionEffect[]): FunctionEffect {
  return effects.reduce((left, right) =>
    STRENGTH.indexOf(left) >= STRENGTH.indexOf(right) ? left : right,
  );
}

/** pg_proc.prokind = 'a' of PostgreSQL 15 to 18. */
export const BUILT_IN_AGGREGATES: ReadonlySet<string> = new Set([
  "any_value",
  "array_agg",
  "avg",
  "bit_and",
  "bit_or",
  "bit_xor",
  "bool_and",
  "bool_or",
  "corr",
  "count",
  "covar_pop",
  "covar_samp",
  "cume_dist",
  "dense_rank",
  "every",
  "json_agg",
  "json_agg_strict",
  "json_object_agg",
  "json_object_agg_strict",
  "json_object_agg_unique",
  "json_object_agg_unique_strict",
  "jsonb_agg",
  "jsonb_agg_strict",
  "jsonb_object_agg",
  "jsonb_object_agg_strict",
  "jsonb_object_agg_unique",
  "jsonb_object_agg_unique_strict",
  "max",
  "min",
  "mode",
  "percent_rank",
  "percentile_cont",
  "percentile_disc",
  "range_agg",
  "range_intersect_agg",
  "rank",
  "regr_avgx",
  "regr_avgy",
  "regr_count",
  "regr_intercept",
  "regr_r2",
  "regr_slope",
  "regr_sxx",
  "regr_sxy",
  "regr_syy",
  "stddev",
  "stddev_pop",
  "stddev_samp",
  "string_agg",
  "sum",
  "var_pop",
  "var_samp",
  "variance",
  "xmlagg",
]);
