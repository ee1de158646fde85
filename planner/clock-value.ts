/** A reading of the clock, as the constant that stands for it at a moment. */
import { quoteIdentifier } from "../base/sql-quoting.ts";

/** Microseconds since the epoch of Unix. */
export interface Moment {
  readonly transaction: bigint;
  readonly statement: bigint;
}

/** One row: a `Moment`, as the database that runs it has it. */
export const MOMENT_QUERY = `SELECT (extract(epoch FROM pg_catalog.now()) * 1000000)::pg_catalog.int8,
  (extract(epoch FROM pg_catalog.statement_timestamp()) * 1000000)::pg_catalog.int8`;

export interface ClockValue {
  /** A type of PostgreSQL's, with its modifier. */
  readonly type: string;
  readonly of: keyof Moment;
  /** What PostgreSQL calls a column of it. */
  readonly name: string;
  readonly form: ClockForm;
}

/**
 * How it is written. `column`: it is a column of a SELECT or RETURNING by itself, whose name
 * comes from it. `within`: it is in one that has its name from it, as `now()::date` has.
 */
export type ClockForm = "column" | "within" | "value";

export function clockText({ type, of, name, form }: ClockValue, moment: Moment): string {
  const value = constant(moment[of], type);
  if (form === "value") return value;
  const named = `${value} AS ${quoteIdentifier(name)}`;
  return form === "column" ? named : `(SELECT ${named})`;
}

/** In UTC, and in the form that every DateStyle reads alike. The time zone is the session's, as it is for the clock. */
function constant(microseconds: bigint, type: string): string {
  const instant = new Date(Number(microseconds / 1000n)).toISOString().slice(0, -1);
  const rest = String(microseconds % 1000n).padStart(3, "0");
  const base = `CAST('${instant.replace("T", " ")}${rest}+00' AS pg_catalog.timestamptz)`;
  if (type === "timestamptz") return base;
  return `CAST(${base} AS pg_catalog.${type})`;
}
