/**
 * Random expressions over the columns in scope: mostly well typed, some that fail on
 * some rows (division by zero, out of range, bad casts), since errors must be equal too.
 */
import type { Parameter } from "../support/raw-frames.ts";
import type { TypeName } from "./model.ts";
import type { Random } from "./random.ts";
import { arrayParameterOf, literal, parameterOf, quoted, randomText } from "./values.ts";

export interface ScopeColumn {
  /** Qualified and quoted as it stands in the statement. */
  readonly sql: string;
  readonly name: string;
  readonly type: TypeName;
}

/** What one statement is written with. */
export interface Writing {
  readonly random: Random;
  /** Present in the extended protocol: values may become `$n`. */
  readonly parameters: Parameter[] | undefined;
  /**
   * Expressions may fail on some rows. Not beside LIMIT: which rows beyond it a server
   * looks at is its plan's own choice, and so whether it meets the failing one.
   */
  readonly mayFail: boolean;
}

/** A value: a literal in some spelling, or a parameter. */
export function value(
  writing: Writing,
  type: TypeName,
  text: string = randomText(type, writing.random),
): string {
  const { random, parameters } = writing;
  if (parameters === undefined || random.chance(35)) return literal(type, text, random);
  parameters.push(parameterOf(type, text, random));
  return `$${parameters.length}`;
}

export function valueOrNull(writing: Writing, type: TypeName, nullPercent: number): string {
  if (!writing.random.chance(nullPercent)) return value(writing, type);
  if (writing.parameters === undefined || writing.random.chance(50)) return "NULL";
  writing.parameters.push(parameterOf(type, null, writing.random));
  return `$${writing.parameters.length}`;
}

/** `column IN (…)` or `column = ANY (…)`. */
export function membership(
  writing: Writing,
  column: ScopeColumn,
  texts: readonly string[],
): string {
  const { random, parameters } = writing;
  if (random.chance(55))
    return `${column.sql} IN (${texts.map((text) => value(writing, column.type, text)).join(", ")})`;
  if (parameters !== undefined && random.chance(70)) {
    parameters.push(
      arrayParameterOf(column.type, random.chance(10) ? [...texts, null] : texts, random),
    );
    const cast = random.chance(30) ? `::${column.type.replace("(20)", "")}[]` : "";
    return `${column.sql} = ANY ($${parameters.length}${cast})`;
  }
  if (random.chance(50))
    return `${column.sql} = ANY (ARRAY[${texts.map((text) => literal(column.type, text, random)).join(", ")}]::${column.type}[])`;
  const elements = texts.map((text) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`);
  return `${column.sql} = ANY (${quoted(`{${elements.join(",")}}`)})`;
}

/** True at any time, where all of a statement's readings are of one. */
const CLOCK = [
  "now() = CURRENT_TIMESTAMP",
  "now() <= statement_timestamp()",
  "CURRENT_DATE = now()::date",
  "localtimestamp(2) = now()::timestamp(2)",
];

export function predicate(writing: Writing, scope: readonly ScopeColumn[], depth: number): string {
  const { random } = writing;
  if (depth > 0 && random.chance(35)) {
    const left = predicate(writing, scope, depth - 1);
    const right = predicate(writing, scope, depth - 1);
    return random.pick([
      `(${left} OR ${right})`,
      `(${left} AND ${right})`,
      `NOT (${left})`,
      `(${left}) IS NOT FALSE`,
      `(${left}) IS TRUE`,
    ]);
  }
  if (random.chance(1)) return random.pick(CLOCK);
  if (scope.length === 0) return random.pick(["true", "1 > 2", "NULL::boolean", "'a' < 'b'"]);
  const column = random.pick(scope);
  const { sql, type } = column;
  const choice = random.integer(0, 9);
  if (choice === 0) return `${sql} IS ${random.pick(["NULL", "NOT NULL"])}`;
  if (choice === 1)
    return membership(writing, column, [
      randomText(type, random),
      randomText(type, random),
      randomText(type, random),
    ]);
  if (choice === 2)
    return `${sql} IS ${random.pick(["", "NOT "])}DISTINCT FROM ${value(writing, type)}`;
  if (choice === 3 && type !== "jsonb")
    return `${sql} ${random.pick(["", "NOT "])}BETWEEN ${value(writing, type)} AND ${value(writing, type)}`;
  if (choice === 4) return byType(writing, column);
  if (choice === 5 && depth > 0)
    return `${scalar(writing, scope, type, depth - 1)} ${random.pick(["=", "<>", "<", ">="])} ${value(writing, type)}`;
  return `${sql} ${random.pick(["=", "=", "<>", "<", ">", "<=", ">="])} ${value(writing, type)}`;
}

function byType(writing: Writing, { sql, type }: ScopeColumn): string {
  const { random } = writing;
  switch (type) {
    case "text":
    case "varchar(20)":
      return random.pick([
        `${sql} LIKE '%e%'`,
        `${sql} ILIKE 'z%'`,
        `length(${sql}) > 2`,
        `${sql} ~ '^[a-z]'`,
        `lower(${sql}) = 'zebra'`,
        `starts_with(${sql}, 'a')`,
      ]);
    case "boolean":
      return random.pick([sql, `NOT ${sql}`, `${sql} IS UNKNOWN`]);
    case "jsonb":
      return random.pick([
        `${sql} ? 'a'`,
        `${sql} @> '{"a": 1}'`,
        `${sql} ->> 'a' = '2'`,
        `jsonb_typeof(${sql}) = 'object'`,
      ]);
    case "text[]":
      return random.pick([
        `'a' = ANY (${sql})`,
        `${sql} && ARRAY['a', 'ä']`,
        `cardinality(${sql}) = 0`,
      ]);
    case "integer[]":
      return random.pick([`1 = ANY (${sql})`, `${sql}[1] > 0`, `array_length(${sql}, 1) > 1`]);
    case "date":
    case "timestamp":
    case "timestamptz":
      return random.pick([
        `extract(year FROM ${sql}) = 2024`,
        `date_trunc('month', ${sql}) < '2024-03-01'`,
        `${sql}::date > '2023-06-01'`,
      ]);
    case "bytea":
      return `length(${sql}) > 1`;
    case "uuid":
      return `${sql}::text LIKE '%-4000-%'`;
    case "mood":
      return random.pick([`${sql}::text LIKE '%a%'`, `${sql} > 'ok'::mood`]);
    case "mood[]":
      return `'ok' = ANY (${sql})`;
    case "interval":
      return `${sql} > '1 day'`;
    default:
      if (!writing.mayFail) return `${sql} > 2`;
      return random.pick([
        `${sql} % 2 = 0`,
        `abs(${sql}) < 10`,
        `${sql} / 7 > 1`,
        `100 / ${sql} > 3`,
        `-${sql} > 5`,
        `${sql} + 1 = 3`,
      ]);
  }
}

/** An expression of the type, of a column where one is in scope. */
export function scalar(
  writing: Writing,
  scope: readonly ScopeColumn[],
  type: TypeName,
  depth: number,
): string {
  const { random } = writing;
  const columns = scope.filter((column) => column.type === type);
  const isColumn = columns.length > 0 && random.chance(80);
  const leaf = isColumn ? random.pick(columns).sql : castable(writing, type);
  // Of what is folded to a constant, a portal tells the typmod that is left, a statement the one before.
  const isFolded = !isColumn && type.includes("(");
  if (isFolded || depth === 0 || random.chance(30)) return leaf;
  const other = (): string => scalar(writing, scope, type, depth - 1);
  if (random.chance(25)) {
    return random.pick([
      () => `coalesce(${leaf}, ${other()})`,
      () => `CASE WHEN ${predicate(writing, scope, 0)} THEN ${leaf} ELSE ${other()} END`,
      () => `nullif(${leaf}, ${other()})`,
      () => (type === "jsonb" ? leaf : `greatest(${leaf}, ${other()})`),
    ])();
  }
  const condition = (): string => predicate(writing, scope, depth - 1);
  return computed(writing, type, leaf, other, condition);
}

/** Something of the type that PostgreSQL has to compute from a value of it. */
function computed(
  { random, mayFail }: Writing,
  type: TypeName,
  leaf: string,
  other: () => string,
  condition: () => string,
): string {
  switch (type) {
    case "smallint":
    case "integer":
    case "bigint":
    case "numeric":
    case "numeric(14,2)":
      if (!mayFail) return leaf;
      return random.pick([
        `(${leaf} + 1)`,
        `(${leaf} * 2)`,
        `- ${leaf}`,
        `abs(${leaf})`,
        `(${leaf} - ${other()})`,
        `mod(${leaf}, 7)`,
        `(${leaf} / nullif(3, 0))`,
        `round(${leaf})`,
      ]);
    case "double precision":
      return random.pick([`(${leaf} + 0.5)`, `(${leaf} / 2)`, `abs(${leaf})`]);
    case "text":
    case "varchar(20)":
      return random.pick([
        `upper(${leaf})`,
        `(${leaf} || '!')`,
        `substr(${leaf}, 1, 2)`,
        `concat(${leaf}, '-', ${other()})`,
        `replace(${leaf}, 'e', 'E')`,
        `left(${leaf}, 3)`,
        `trim(${leaf})`,
      ]);
    case "date":
      return `(${leaf} + ${random.integer(-3, 40)})`;
    case "timestamptz":
    case "timestamp":
      return random.pick([
        `(${leaf} + interval '1 month')`,
        `date_trunc('day', ${leaf})`,
        `(${leaf} - interval '90 minutes')`,
      ]);
    case "boolean":
      return `(${condition()})`;
    case "jsonb":
      return random.pick([`(${leaf} -> 'b')`, `jsonb_build_object('v', ${leaf})`]);
    case "text[]":
      return `array_append(${leaf}, 'new')`;
    case "integer[]":
      return `(${leaf} || 9)`;
    default:
      return leaf;
  }
}

/** A value whose type is written, since nothing around it need say. */
function castable(writing: Writing, type: TypeName): string {
  const text = randomText(type, writing.random);
  const written = value(writing, type, text);
  return written.startsWith("$") && !written.startsWith("$x$")
    ? `${written}::${type}`
    : `CAST(${quoted(text)} AS ${type})`;
}
