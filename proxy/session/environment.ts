/**
 * What a session's settings make of names and isolation, asked of a server that has them
 * applied: the search_path as it stands, the role, the parameters a client is told of.
 */
import { ENVIRONMENT_CACHE_ENTRIES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { BoundedCache } from "./bounded-cache.ts";
import type { TimeoutLimits } from "./session-timeouts.ts";

export interface Environment {
  readonly searchPath: readonly string[];
  readonly user: string;
  /** The role is the user of the catalog database's URL, however the session has come to be it. */
  readonly isConnectionsUser: boolean;
  readonly defaultIsolation: TransactionModes["isolation"];
  readonly isReadOnlyByDefault: boolean;
  readonly extraFloatDigits: number;
  /** By client_min_messages. */
  readonly hidesWarnings: boolean;
  readonly hidesNotices: boolean;
  readonly timeouts: TimeoutLimits;
  /** Settings that can show in the rows of a query, by name. */
  readonly shown: ReadonlyMap<string, string>;
  /** What ParameterStatus tells the client. */
  readonly parameters: ReadonlyMap<string, string>;
}

const SHOWN = [
  "DateStyle",
  "TimeZone",
  "IntervalStyle",
  "bytea_output",
  "extra_float_digits",
  "search_path",
  "quote_all_identifiers",
  "default_text_search_config",
  "lc_monetary",
  "lc_numeric",
  "lc_time",
  "timezone_abbreviations",
  "xmlbinary",
] as const;

/** The user that a connection was opened as is its user in pg_stat_activity, whatever is SET since. */
const IS_CONNECTIONS_USER = `(SELECT pg_catalog.pg_get_userbyid(usesysid) = CURRENT_USER
  FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))`;

const QUERY = `SELECT pg_catalog.current_setting('search_path'), CURRENT_USER, ${IS_CONNECTIONS_USER},
  pg_catalog.current_setting('default_transaction_isolation'),
  pg_catalog.current_setting('extra_float_digits'),
  pg_catalog.current_setting('default_transaction_read_only'),
  pg_catalog.current_setting('client_min_messages'),
  ${["idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"]
    .map((name) => `pg_catalog.current_setting('${name}', true)`)
    .join(", ")},
  ${SHOWN.map((name) => `pg_catalog.current_setting('${name}')`).join(", ")}`;

export async function readEnvironment(connection: BackendConnection): Promise<Environment> {
  const { rows } = await connection.query(QUERY);
  const [
    searchPath,
    user,
    isConnectionsUser,
    isolation,
    extraFloatDigits,
    readOnly,
    leastMessage,
    idleSession,
    idleInTransaction,
    transaction,
    ...shown
  ] = rows[0] ?? [];
  const environment: Environment = {
    searchPath: splitIdentifiers(searchPath ?? ""),
    user: user ?? "",
    isConnectionsUser: isConnectionsUser === "t",
    defaultIsolation: isolation as TransactionModes["isolation"],
    isReadOnlyByDefault: readOnly === "on",
    extraFloatDigits: Number(extraFloatDigits),
    hidesWarnings: leastMessage === "error",
    hidesNotices: leastMessage === "error" || leastMessage === "warning",
    timeouts: {
      idleSession: milliseconds(idleSession),
      idleInTransaction: milliseconds(idleInTransaction),
      transaction: milliseconds(transaction),
    },
    shown: new Map(SHOWN.map((name, index) => [name, shown[index] ?? ""])),
    parameters: new Map(connection.parameters),
  };
  refuseUnreadable(environment);
  return environment;
}

const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** As a setting in milliseconds is shown; 0 where the server does not know it. */
function milliseconds(shown: string | null | undefined): number {
  const [, count = "0", unit = "ms"] = /^(\d+)(\D+)?$/.exec(shown ?? "") ?? [];
  return Number(count) * (MILLISECONDS.get(unit) ?? 0);
}

/** Encodings in which the bytes of the text are those of its UTF-8, or ASCII. */
const READABLE_ENCODINGS = new Set(["UTF8", "SQL_ASCII"]);

/** The parser reads UTF-8 and standard strings; it must never read a text otherwise than the server. */
function refuseUnreadable({ parameters }: Environment): void {
  const encoding = parameters.get("client_encoding") ?? "UTF8";
  if (!READABLE_ENCODINGS.has(encoding)) {
    throw new SqlError(
      "client_encoding_not_supported",
      `client_encoding "${encoding}" is not supported`,
    );
  }
  if (parameters.get("standard_conforming_strings") === "off") {
    throw new SqlError(
      "escaping_strings_not_supported",
      "standard_conforming_strings cannot be turned off",
    );
  }
}

/** As PostgreSQL's SplitIdentifierString: unquoted names fold to lower case. */
export function splitIdentifiers(list: string): readonly string[] {
  const names: string[] = [];
  for (const match of list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,"\s][^,\s]*))\s*(?:,|$)/g)) {
    const [, quoted, plain] = match;
    names.push(quoted === undefined ? (plain ?? "").toLowerCase() : quoted.replaceAll('""', '"'));
  }
  return names;
}

export class EnvironmentCache {
  readonly #cache = new BoundedCache<string, Environment>(ENVIRONMENT_CACHE_ENTRIES_MAX);

  get(settingsTag: string): Environment | undefined {
    return this.#cache.get(settingsTag);
  }

  set(settingsTag: string, environment: Environment): void {
    this.#cache.set(settingsTag, environment);
  }

  /** After a reload, or when a server came back with other defaults. */
  clear(): void {
    this.#cache.clear();
  }
}
