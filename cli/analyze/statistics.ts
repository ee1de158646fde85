/** The statements of a live database, as the extension pg_stat_statements has counted them. */
import pg from "pg";
import { CATALOG_LOAD_TIMEOUT_MS } from "../../base/limits.ts";
import { CommandFailure, reasonOf } from "../failure.ts";
import { unread, type Observed } from "./observation.ts";
import { preparedText } from "./prepared-text.ts";

/** Stands in our own statements, so that another call of this command does not count them. */
const OWN = "/* colonnade analyze */";

const FIND = `SELECT ${OWN} quote_ident(n.nspname) AS schema
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;

/** Statements within functions are counted with the statement that called them. */
const statistics = (schema: string): string => `
  SELECT ${OWN} query, sum(calls)::float8 AS calls, sum(total_exec_time)::float8 AS "timeMs", queryid::text AS id
  FROM ${schema}.pg_stat_statements
  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND toplevel
  GROUP BY query, queryid ORDER BY 3 DESC`;

interface Row {
  readonly query: string | null;
  readonly calls: number;
  readonly timeMs: number;
  readonly id: string | null;
}

/** What a role that may not read other roles' statements sees in their place. */
const HIDDEN = "<insufficient privilege>";

/** Throws CommandFailure where the database is away or does not count its statements. */
export async function observeStatistics(url: string): Promise<readonly Observed[]> {
  const rows = await readStatistics(url);
  return rows
    .filter(({ query }) => query?.includes(OWN) !== true)
    .map(({ query, calls, timeMs, id }): Observed => {
      const place = `pg_stat_statements, queryid ${id ?? "unknown"}`;
      if (query === HIDDEN)
        return unread("the role may not read it (grant it pg_read_all_stats)", place);
      if (query === null) return unread("the server has lost its text", place);
      const told = { session: undefined, transaction: undefined, place };
      // What EXECUTE ran is counted under the text of its PREPARE.
      const sql = preparedText(query) ?? query;
      return { kind: "statement", statement: { sql, calls, timeMs, ...told } };
    });
}

async function readStatistics(url: string): Promise<readonly Row[]> {
  const client = clientOf(url);
  try {
    await client.connect();
    const found = await client.query<{ schema: string }>(FIND);
    const schema = found.rows[0]?.schema;
    if (schema === undefined) {
      throw new CommandFailure(
        "the database does not count its statements: set shared_preload_libraries = 'pg_stat_statements', restart it, then CREATE EXTENSION pg_stat_statements",
      );
    }
    return (await client.query<Row>(statistics(schema))).rows;
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(`cannot read pg_stat_statements: ${reasonOf(cause)}`, 2, { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}

function clientOf(url: string): pg.Client {
  if (!/^postgres(?:ql)?:\/\//.test(url)) {
    throw new CommandFailure("--database is a URL: postgres://user@host/database");
  }
  try {
    return new pg.Client({
      connectionString: url,
      application_name: "colonnade analyze",
      connectionTimeoutMillis: CATALOG_LOAD_TIMEOUT_MS,
      query_timeout: CATALOG_LOAD_TIMEOUT_MS,
    });
  } catch (cause) {
    throw new CommandFailure(`--database: ${reasonOf(cause)}`, 2, { cause });
  }
}
