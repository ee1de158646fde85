/**
 * The SQL of a row's change in a target, and its parameters: the stream's texts, which the
 * server reads as the columns' own types.
 *
 * Only columns that the stream has a value for are set: a large value that an update did not
 * touch is left as it is. What is generated always is never set; where such a column may have
 * changed, the row is taken out and put in again with its new values, in one statement.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import { printLsn } from "../base/lsn.ts";
import { SqlError } from "../base/sql-error.ts";
import type { Tuple, TupleValue } from "../proxy/protocol/replication/tuple.ts";
import { rangeCondition } from "./key-sql.ts";
import { tableName, type MovedTable } from "./move.ts";
import type { BulkChange, RowChange, TargetTable } from "./target-change.ts";

export interface ApplyStatement {
  readonly sql: string;
  readonly parameters: readonly (Buffer | null)[];
}

export function targetName({ schema, source }: TargetTable): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(source.name)}`;
}

export function rowStatement(change: RowChange): ApplyStatement {
  switch (change.kind) {
    case "insert":
      return insertStatement(change);
    case "update":
      return updateStatement(change);
    case "delete":
      return deleteStatement(change);
  }
}

export function bulkStatement(change: BulkChange): string {
  if (change.kind === "truncate") return `TRUNCATE ${change.tables.map(targetName).join(", ")}`;
  const { table, range } = change;
  return `DELETE FROM ${targetName(table)} WHERE ${rangeCondition(table.source, range)}`;
}

class Parameters {
  readonly values: (Buffer | null)[] = [];

  add(value: Buffer | null): string {
    return `$${this.values.push(value)}`;
  }
}

function insertStatement({
  table,
  row,
  at,
}: RowChange & { readonly kind: "insert" }): ApplyStatement {
  const parameters = new Parameters();
  const { columns } = table.source;
  const values = row.map((value, index) => {
    if (value !== "unchanged") return parameters.add(value);
    throw new SqlError(
      "migration_value_missing",
      `an update gave row (${printKey(table.source, row)}) of table "${tableName(table.source)}" another place, and the stream does not have its column "${columns[index]?.name ?? ""}"`,
      { detail: `The update's transaction ends at ${printLsn(at)}.` },
    );
  });
  const sql = `INSERT INTO ${targetName(table)} (${columnList(table.source)}) OVERRIDING SYSTEM VALUE VALUES (${values.join(", ")})`;
  return { sql, parameters: parameters.values };
}

function deleteStatement({ table, old }: RowChange & { readonly kind: "delete" }): ApplyStatement {
  const parameters = new Parameters();
  const sql = `DELETE FROM ${targetName(table)} WHERE ${isRow(table.source, old, parameters)}`;
  return { sql, parameters: parameters.values };
}

function updateStatement(change: RowChange & { readonly kind: "update" }): ApplyStatement {
  const { table, old, row } = change;
  const { source } = table;
  const identity = new Set(source.identity);
  const isKept = (index: number): boolean => old === undefined && identity.has(index);
  const mayChangeAlways = source.columns.some(
    ({ isAlwaysIdentity }, index) =>
      isAlwaysIdentity && !isKept(index) && row[index] !== "unchanged",
  );
  if (mayChangeAlways) return replaceStatement(change);
  const parameters = new Parameters();
  const sets: string[] = [];
  for (const [index, { name }] of source.columns.entries()) {
    const value = row[index] ?? null;
    if (isKept(index) || value === "unchanged") continue;
    sets.push(`${quoteIdentifier(name)} = ${parameters.add(value)}`);
  }
  const where = isRow(source, old ?? row, parameters);
  // A row that is all identity has nothing to set, and is still there exactly once.
  if (sets.length === 0) sets.push(firstIdentityAsIs(source));
  const sql = `UPDATE ${targetName(table)} SET ${sets.join(", ")} WHERE ${where}`;
  return { sql, parameters: parameters.values };
}

function firstIdentityAsIs({ columns, identity }: MovedTable): string {
  const name = quoteIdentifier(columns[identity[0] ?? 0]?.name ?? "");
  return `${name} = ${name}`;
}

function replaceStatement({
  table,
  old,
  row,
}: RowChange & { readonly kind: "update" }): ApplyStatement {
  const parameters = new Parameters();
  const where = isRow(table.source, old ?? row, parameters);
  const values = table.source.columns.map(({ name, type }, index) => {
    const value = row[index] ?? null;
    if (value === "unchanged") return `gone.${quoteIdentifier(name)}`;
    return `${parameters.add(value)}::${type}`;
  });
  const sql = `WITH gone AS (DELETE FROM ${targetName(table)} WHERE ${where} RETURNING *) INSERT INTO ${targetName(table)} (${columnList(table.source)}) OVERRIDING SYSTEM VALUE SELECT ${values.join(", ")} FROM gone`;
  return { sql, parameters: parameters.values };
}

function columnList({ columns }: MovedTable): string {
  return columns.map(({ name }) => quoteIdentifier(name)).join(", ");
}

function isRow({ columns, identity }: MovedTable, row: Tuple, parameters: Parameters): string {
  return identity
    .map((index) => {
      const value = row[index] ?? null;
      const parameter = parameters.add(value === "unchanged" ? null : value);
      return `${quoteIdentifier(columns[index]?.name ?? "")} = ${parameter}`;
    })
    .join(" AND ");
}

/** `7, abc`, for errors. */
export function printKey({ identity }: MovedTable, row: Tuple): string {
  const print = (value: TupleValue | undefined): string =>
    Buffer.isBuffer(value) ? value.toString("utf8") : String(value ?? null);
  return identity.map((index) => print(row[index])).join(", ");
}
