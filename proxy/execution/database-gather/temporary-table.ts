/**
 * One temporary table of a database gather: made empty by the shape of its rows, filled,
 * and given its name last.
 *
 * PostgreSQL looks for unqualified names in pg_temp first. While a table is being filled, texts over
 * the tables that it stands for still run on the same backend (shapes of other tables, rows of
 * the catalog database itself), so until all are full it has a name that no text means.
 */
import { quoteIdentifier, quoteLiteral } from "../../../base/sql-quoting.ts";
import { movedShifts } from "../../../planner/sql-template.ts";
import type { RenderedSql } from "../../../planner/sql-template.ts";
import type { BoundPull } from "../../../planner/physical-plan.ts";

/** The name of the statement's n-th table while the tables are being filled. */
export function fillingName(index: number): string {
  return `colonnade_pull_${index}`;
}

function qualified(table: string): string {
  return `pg_temp.${quoteIdentifier(table)}`;
}

function columnList(columns: readonly string[]): string {
  return columns.length === 0 ? "" : ` (${columns.map(quoteIdentifier).join(", ")})`;
}

/** ON COMMIT DROP, so that it is gone even where nobody is left to drop it. */
export function createTable(table: string, { columns, shape }: BoundPull): RenderedSql {
  const create = `CREATE TEMPORARY TABLE ${qualified(table)}${columnList(columns)} ON COMMIT DROP AS\n`;
  return wrapped(create, shape, "\nWITH NO DATA");
}

/** The columns are named: fewer values than columns would else be filled up with NULL. */
export function insertRows(table: string, { columns }: BoundPull, rows: RenderedSql): RenderedSql {
  return wrapped(`INSERT INTO ${qualified(table)}${columnList(columns)}\n`, rows, "");
}

export function copyRows(table: string): string {
  return `COPY ${qualified(table)} FROM STDIN (FORMAT binary)`;
}

/** For its RowDescription alone: what rows to be copied into it have to be. */
export function selectRows(table: string): string {
  return `SELECT * FROM ${qualified(table)}`;
}

/** Bytes on disk, those of long values beside it included. */
export function tableSize(table: string): string {
  return `SELECT pg_catalog.pg_table_size(${quoteLiteral(qualified(table))}::pg_catalog.regclass)`;
}

/** The full table under its own name; with a key, its other columns hang on that, and may be read beside a GROUP BY of it. */
export function finishTable(table: string, pull: BoundPull): readonly string[] {
  const alter = `ALTER TABLE ${qualified(table)}`;
  const key = pull.primaryKey.map(quoteIdentifier).join(", ");
  return [
    ...(key === "" ? [] : [`${alter} ADD PRIMARY KEY (${key})`]),
    `${alter} RENAME TO ${quoteIdentifier(pull.table)}`,
  ];
}

export function dropTables(tables: readonly string[]): string {
  return `DROP TABLE ${tables.map(qualified).join(", ")}`;
}

/** A text of the planner's inside of one of ours, whose errors still point into it. Its last line may be a comment. */
function wrapped(before: string, inner: RenderedSql, after: string): RenderedSql {
  const start = before.length;
  const end = start + inner.sql.length;
  return {
    ...inner,
    sql: `${before}${inner.sql}${after}`,
    shifts: [
      { at: 0, by: undefined },
      { at: start, by: -start },
      ...movedShifts(inner.shifts, start, 0),
      { at: end, by: undefined },
    ],
  };
}
