/**
 * The bounds of size that a statement or a session can meet where PostgreSQL has none, or a
 * larger one: a part of docs/limits.md. Each is a limit of base/limits.ts and has an error.
 */
import {
  ANALYSIS_LEVELS_MAX,
  AST_DEPTH_MAX,
  COPY_ROW_BYTES_MAX,
  CURSOR_ROWS_BYTES_MAX,
  DATABASE_GATHER_BYTES_MAX_DEFAULT,
  GATHER_BYTES_MAX,
  INSERT_QUERY_LENGTH_MAX,
  LISTENED_CHANNELS_PER_CLIENT_MAX,
  NOTIFICATIONS_UNREAD_BYTES_MAX,
  PORTAL_ROWS_BYTES_MAX,
  PORTALS_PER_CLIENT_MAX,
  PREPARED_STATEMENTS_PER_CLIENT_MAX,
  SAVEPOINTS_PER_TRANSACTION_MAX,
  SETTINGS_LENGTH_MAX,
  SQL_NESTING_MAX,
  SQL_OPERATOR_RUN_MAX,
  SQL_TEXT_BYTES_MAX,
  TABLE_COLUMNS_MAX,
  VIEWS_EXPANDED_MAX,
} from "../base/limits.ts";
import type { ErrorId } from "../base/sql-error.ts";

export interface SizeBound {
  /** Of what there may be so many. */
  readonly of: string;
  readonly most: number;
  /** Absent where `of` is what is counted. */
  readonly unit?: "bytes" | "characters";
  readonly id: ErrorId;
}

export const SIZE_BOUNDS: readonly SizeBound[] = [
  { of: "a statement's text", most: SQL_TEXT_BYTES_MAX, unit: "bytes", id: "statement_too_long" },
  {
    of: "parentheses, brackets and CASE within each other",
    most: SQL_NESTING_MAX,
    id: "statement_too_complex",
  },
  {
    of: "operators in one chain (`1 + 1 + ...`), as long as no comma, keyword or parenthesis ends it",
    most: SQL_OPERATOR_RUN_MAX,
    id: "statement_too_complex",
  },
  { of: "levels of a statement's tree", most: AST_DEPTH_MAX, id: "statement_too_deep" },
  {
    of: "sub-selects, WITH queries and arms of UNION of one statement",
    most: ANALYSIS_LEVELS_MAX,
    id: "statement_too_deep",
  },
  {
    of: "views that one statement reads, those inside views included",
    most: VIEWS_EXPANDED_MAX,
    id: "statement_too_deep",
  },
  {
    of: "rows of an INSERT ... SELECT that go to other placements than they come from, as constants",
    most: INSERT_QUERY_LENGTH_MAX,
    unit: "characters",
    id: "insert_query_too_long",
  },
  {
    of: "groups of one statement over several placements, or rows held back to keep its order, where no database can gather them",
    most: GATHER_BYTES_MAX,
    unit: "bytes",
    id: "gather_memory_exceeded",
  },
  {
    of: "rows that one statement copies into temporary tables, unless `gather.database_bytes` of the configuration says otherwise",
    most: DATABASE_GATHER_BYTES_MAX_DEFAULT,
    unit: "bytes",
    id: "gather_database_exceeded",
  },
  {
    of: "columns that are gathered in a temporary table, those to sort by included",
    most: TABLE_COLUMNS_MAX,
    id: "gather_columns_exceeded",
  },
  {
    of: "rows that all cursors of a client keep in the proxy",
    most: CURSOR_ROWS_BYTES_MAX,
    unit: "bytes",
    id: "cursor_rows_too_large",
  },
  {
    of: "rows that one Execute with a row limit asks for",
    most: PORTAL_ROWS_BYTES_MAX,
    unit: "bytes",
    id: "portal_too_large",
  },
  { of: "a row of a COPY", most: COPY_ROW_BYTES_MAX, unit: "bytes", id: "copy_row_too_large" },
  {
    of: "prepared statements of one connection",
    most: PREPARED_STATEMENTS_PER_CLIENT_MAX,
    id: "too_many_prepared_statements",
  },
  {
    of: "portals and cursors of one transaction",
    most: PORTALS_PER_CLIENT_MAX,
    id: "too_many_portals",
  },
  {
    of: "savepoints of one transaction",
    most: SAVEPOINTS_PER_TRANSACTION_MAX,
    id: "too_many_savepoints",
  },
  {
    of: "the settings of one session, as SET statements",
    most: SETTINGS_LENGTH_MAX,
    unit: "characters",
    id: "settings_too_long",
  },
  {
    of: "channels that one client listens to",
    most: LISTENED_CHANNELS_PER_CLIENT_MAX,
    id: "too_many_channels",
  },
  {
    of: "notifications that wait for one client",
    most: NOTIFICATIONS_UNREAD_BYTES_MAX,
    unit: "bytes",
    id: "notifications_unread",
  },
];

const UNITS = [
  ["GB", 1024 ** 3],
  ["MB", 1024 ** 2],
  ["kB", 1024],
] as const;

/** `1,000`, `64 MB`, `4,194,304 characters`. */
export function printBound({ most, unit }: SizeBound): string {
  const [name, size] = UNITS.find(([, bytes]) => unit === "bytes" && most >= bytes) ?? ["", 1];
  return [(most / size).toLocaleString("en"), unit === "bytes" ? name : unit]
    .filter((word) => word !== undefined && word !== "")
    .join(" ");
}
