/**
 * The SQL of a row's change in a target, and its parameters: the stream's texts, which the
 * server reads as the columns' own types.
 *
 * Only columns that the stream has a value for are set: a large value that an update did not
 * touch is left as it is. What is generated always is never set; where such a column may have
 * changed, the row is taken out and put in again with its new values, in one statement.
 */
import { quoteIdentifier, quoteQualified } from "../base/sql-quoting.ts";
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
  return quoteQualified(schema, source.name);
}

/** A statement for all changes of one shape: its text, and where in the rows its parameters are. */
interface Shape {
  readonly sql: string;
  readonly parameters: readonly Place[];
}

/** `old`: the row as it was, where the change has it, else as it is. */
interface Place {
  readonly of: "old" | "row";
  readonly column: number;
}

/** By table, then by kind and by which values are left out: built once, and used for millions of rows. */
const shapes = new WeakMap<TargetTable, Map<string, Shape>>();

export function rowStatement(change: RowChange): ApplyStatement {
  const { sql, parameters } = shapeOf(change);
  const old = change.kind === "insert" ? change.row : (change.old ?? rowOf(change));
  const row = rowOf(change);
  const values = parameters.map(({ of, column }): Buffer | null => {
    const value = (of === "old" ? old : row)[column] ?? null;
    return value === "unchanged" ? missing(change, column) : value;
  });
  return { sql, parameters: values };
}

function rowOf(change: RowChange): Tuple {
  return change.kind === "delete" ? change.old : change.row;
}

function shapeOf(change: RowChange): Shape {
  let known = shapes.get(change.table);
  if (known === undefined) shapes.set(change.table, (known = new Map<string, Shape>()));
  const name = nameOf(change);
  let shape = known.get(name);
  if (shape === undefined) {
    shape = makeShape(change);
    known.set(name, shape);
  }
  return shape;
}

function nameOf(change: RowChange): string {
  if (change.kind !== "update") return change.kind;
  let name = change.old === undefined ? "update" : "update with key";
  for (const [index, value] of change.row.entries()) if (value === "unchanged") name += ` ${index}`;
  return name;
}

function makeShape(change: RowChange): Shape {
  switch (change.kind) {
    case "insert":
      return insertShape(change.table);
    case "update":
      return updateShape(change);
    case "delete":
      return deleteShape(change.table);
  }
}

export function bulkStatement(change: BulkChange): string {
  if (change.kind === "truncate") return `TRUNCATE ${change.tables.map(targetName).join(", ")}`;
  const { table, range } = change;
  return `DELETE FROM ${targetName(table)} WHERE ${rangeCondition(table.source, range)}`;
}

class Parameters {
  readonly places: Place[] = [];

  add(of: Place["of"], column: number): string {
    return `$${this.places.push({ of, column })}`;
  }
}

function insertShape(table: TargetTable): Shape {
  const parameters = new Parameters();
  const values = [...table.source.columns.keys()].map((index) => parameters.add("row", index));
  const sql = `INSERT INTO ${targetName(table)} (${columnList(table.source)}) OVERRIDING SYSTEM VALUE VALUES (${values.join(", ")})`;
  return { sql, parameters: parameters.places };
}

function deleteShape(table: TargetTable): Shape {
  const parameters = new Parameters();
  const sql = `DELETE FROM ${targetName(table)} WHERE ${isRow(table.source, parameters)}`;
  return { sql, parameters: parameters.places };
}

function updateShape(change: RowChange & { readonly kind: "update" }): Shape {
  const { table, old, row } = change;
  const { source } = table;
  const identity = new Set(source.identity);
  const isKept = (index: number): boolean => old === undefined && identity.has(index);
  const mayChangeAlways = source.columns.some(
    ({ isAlwaysIdentity }, index) =>
      isAlwaysIdentity && !isKept(index) && row[index] !== "unchanged",
  );
  if (mayChangeAlways) return replaceShape(change);
  const parameters = new Parameters();
  const sets: string[] = [];
  for (const [index, { name }] of source.columns.entries()) {
    if (isKept(index) || row[index] === "unchanged") continue;
    sets.push(`${quoteIdentifier(name)} = ${parameters.add("row", index)}`);
  }
  const where = isRow(source, parameters);
  // A row that is all identity has nothing to set, and is still there exactly once.
  if (sets.length === 0) sets.push(firstIdentityAsIs(source));
  const sql = `UPDATE ${targetName(table)} SET ${sets.join(", ")} WHERE ${where}`;
  return { sql, parameters: parameters.places };
}

function firstIdentityAsIs({ columns, identity }: MovedTable): string {
  const name = quoteIdentifier(columns[identity[0] ?? 0]?.name ?? "");
  return `${name} = ${name}`;
}

function replaceShape({ table, row }: RowChange & { readonly kind: "update" }): Shape {
  const parameters = new Parameters();
  const where = isRow(table.source, parameters);
  const values = table.source.columns.map(({ name, type }, index) =>
    row[index] === "unchanged"
      ? `gone.${quoteIdentifier(name)}`
      : `${parameters.add("row", index)}::${type}`,
  );
  const sql = `WITH gone AS (DELETE FROM ${targetName(table)} WHERE ${where} RETURNING *) INSERT INTO ${targetName(table)} (${columnList(table.source)}) OVERRIDING SYSTEM VALUE SELECT ${values.join(", ")} FROM gone`;
  return { sql, parameters: parameters.places };
}

function missing({ kind, table, at, ...change }: RowChange, column: number): never {
  const row = "row" in change ? change.row : change.old;
  throw new SqlError(
    "migration_value_missing",
    `${kind} of row (${printKey(table.source, row)}) of table "${tableName(table.source)}" needs its column "${table.source.columns[column]?.name ?? ""}", which the stream does not have`,
    { detail: `It is of the transaction that the source committed at ${printLsn(at)}.` },
  );
}

function columnList({ columns }: MovedTable): string {
  return columns.map(({ name }) => quoteIdentifier(name)).join(", ");
}

function isRow({ columns, identity }: MovedTable, parameters: Parameters): string {
  return identity
    .map((index) => {
      const parameter = parameters.add("old", index);
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
