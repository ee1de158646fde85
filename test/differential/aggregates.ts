/** Calls of aggregate functions, and the types whose groups look the same on every server. */
import { predicate } from "./expressions.ts";
import type { ScopeColumn, Writing } from "./expressions.ts";
import { identifier } from "./model.ts";
import type { TypeName } from "./model.ts";

/** Equal values of these types look alike, so a group or a DISTINCT shows the same one on every server. */
export const GROUPABLE: ReadonlySet<TypeName> = new Set<TypeName>([
  "smallint",
  "integer",
  "bigint",
  "uuid",
  "text",
  "varchar(20)",
  "date",
  "timestamptz",
  "timestamp",
  "numeric(14,2)",
  "boolean",
  "mood",
  "bytea",
]);

const NUMBERS: ReadonlySet<TypeName> = new Set<TypeName>([
  "smallint",
  "integer",
  "bigint",
  "numeric(14,2)",
  "double precision",
  "numeric",
]);

export function aggregateCall(writing: Writing, scope: readonly ScopeColumn[]): string {
  const { random } = writing;
  const column = random.pick(scope);
  const number = scope.filter(({ type }) => NUMBERS.has(type));
  const filter = random.chance(15) ? ` FILTER (WHERE ${predicate(writing, scope, 0)})` : "";
  const calls = [
    () => "count(*)",
    () => `count(${column.sql})`,
    () => (random.chance(40) ? `count(DISTINCT ${column.sql})` : "count(1)"),
  ];
  if (number.length > 0) {
    const of = (): string => random.pick(number).sql;
    calls.push(
      () => `sum(${of()})`,
      () => `avg(${of()})`,
      () => `min(${of()})`,
      () => `max(${of()})`,
      () => `sum(${of()} + 1)`,
      () => (writing.mayFail ? `max(${of()}) - min(${of()})` : `max(${of()})`),
      () => `coalesce(sum(${of()}), 0)`,
    );
  }
  if (column.type === "boolean")
    calls.push(
      () => `bool_and(${column.sql})`,
      () => `bool_or(${column.sql})`,
      () => `every(${column.sql})`,
    );
  if (GROUPABLE.has(column.type) && !["boolean", "uuid", "bytea"].includes(column.type))
    calls.push(
      () => `min(${column.sql})`,
      () => `max(${column.sql})`,
    );
  if (column.type === "integer")
    calls.push(
      () => `bit_and(${column.sql})`,
      () => `bit_or(${column.sql})`,
      () => `stddev(${column.sql})`,
      () => `variance(${column.sql})`,
    );
  if (column.type === "text" && random.chance(40))
    calls.push(
      () => `string_agg(${column.sql}, ',' ORDER BY ${column.sql})`,
      () => `array_agg(${column.sql} ORDER BY ${column.sql} DESC)`,
    );
  const call = random.pick(calls)();
  const isPlain = /^[a-z_]+\([^()]*\)$/.test(call);
  return `${call}${isPlain ? filter : ""}${random.chance(20) ? ` AS ${identifier(random.pick(["n", "Total", "sum"]))}` : ""}`;
}
