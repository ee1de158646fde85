/** Calls of window, ordered-set, hypothetical-set, ordered and statistical aggregates, each with its type. */
import type { TypeName } from "../model.ts";
import { value } from "../expressions.ts";
import { condition, direction, isGroupable } from "./composing.ts";
import type { Composing, VisibleColumn } from "./composing.ts";
import { columnsOf, keyOf, orderOf } from "./relations.ts";
import type { From } from "./relations.ts";

export interface Call {
  readonly sql: string;
  readonly type: TypeName;
}

const INTEGERS: ReadonlySet<TypeName> = new Set<TypeName>(["smallint", "integer", "bigint"]);
/** Sums of these are exact in any order. */
const EXACT: ReadonlySet<TypeName> = new Set<TypeName>([...INTEGERS, "numeric(14,2)"]);

/**
 * A window call whose value does not depend on how equal rows happen to lie: by row where
 * the order is total, by peers where it is not.
 */
export function windowCall(composing: Composing, from: From): Call {
  const { random } = composing.writing;
  const columns = columnsOf(from);
  const partition = partitionOf(composing, from);
  const total = orderOf(from).map((column) => column.sql + direction(composing));
  if (total.length === 0) return { sql: `count(*) OVER (${partition})`, type: "bigint" };
  const column = random.pickIfAny(columns.filter(isGroupable));
  const number = columns.filter(({ type }) => EXACT.has(type));
  const over = `OVER (${partition} ORDER BY ${total.join(", ")}`;
  const frame = random.chance(60) ? ` ${frameOf(composing)}` : "";
  const peers = columns.filter(isGroupable);
  const byPeers = `OVER (${partition} ORDER BY ${random.pick(peers)?.sql ?? "1"}${direction(composing)}`;
  const calls: Call[] = [
    { sql: `row_number() ${over})`, type: "bigint" },
    { sql: `ntile(3) ${over})`, type: "integer" },
    { sql: `rank() ${byPeers})`, type: "bigint" },
    { sql: `dense_rank() ${byPeers})`, type: "bigint" },
    { sql: `percent_rank() ${byPeers})`, type: "double precision" },
    { sql: `cume_dist() ${byPeers})`, type: "double precision" },
    { sql: `count(*) ${byPeers})`, type: "bigint" },
    { sql: `count(*) ${over}${frame})`, type: "bigint" },
    {
      sql: `count(*) FILTER (WHERE ${condition(composing, columns)}) ${over}${frame})`,
      type: "bigint",
    },
  ];
  if (column !== undefined)
    calls.push(
      { sql: `lag(${column.sql}) ${over})`, type: column.type },
      { sql: `lead(${column.sql}, 2) ${over})`, type: column.type },
      { sql: `first_value(${column.sql}) ${over}${frame})`, type: column.type },
      { sql: `last_value(${column.sql}) ${over}${frame})`, type: column.type },
      { sql: `nth_value(${column.sql}, 2) ${over}${frame})`, type: column.type },
    );
  for (const { sql } of number.slice(0, 2))
    calls.push(
      { sql: `sum(${sql}::numeric) ${over}${frame})`, type: "numeric" },
      { sql: `avg(${sql}) ${over}${frame})`, type: "numeric" },
    );
  return random.pick(calls);
}

function partitionOf(composing: Composing, from: From): string {
  const { random } = composing.writing;
  const key = keyOf(from);
  if (key.length > 0 && random.chance(45))
    return `PARTITION BY ${key.map(({ sql }) => sql).join(", ")}`;
  const column = random.pickIfAny(columnsOf(from).filter(isGroupable));
  return column !== undefined && random.chance(50) ? `PARTITION BY ${column.sql}` : "";
}

function frameOf({ writing: { random } }: Composing): string {
  const start = random.pick(["UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW"]);
  const end = random.pick(["CURRENT ROW", "1 FOLLOWING", "UNBOUNDED FOLLOWING"]);
  const mode = random.pick(["ROWS", "ROWS", "GROUPS"]);
  const exclude = random.chance(25)
    ? ` EXCLUDE ${random.pick(["CURRENT ROW", "GROUP", "TIES", "NO OTHERS"])}`
    : "";
  if (random.chance(20))
    return `RANGE BETWEEN UNBOUNDED PRECEDING AND ${random.pick(["CURRENT ROW", "UNBOUNDED FOLLOWING"])}${exclude}`;
  return random.chance(20)
    ? `${mode} ${start}${exclude}`
    : `${mode} BETWEEN ${start} AND ${end}${exclude}`;
}

/** An aggregate over the level's rows: from count(*) to hypothetical sets. */
export function aggregateOf(composing: Composing, from: From): Call {
  const { random } = composing.writing;
  const columns = columnsOf(from);
  const column = random.pickIfAny(columns.filter(isGroupable));
  const filter = random.chance(15) ? ` FILTER (WHERE ${condition(composing, columns)})` : "";
  return random.weighted<() => Call>([
    [20, () => ({ sql: `count(*)${filter}`, type: "bigint" })],
    [
      column === undefined ? 0 : 12,
      () => ({ sql: `count(DISTINCT ${column?.sql})${filter}`, type: "bigint" }),
    ],
    [
      column === undefined ||
      column.type === "uuid" ||
      column.type === "boolean" ||
      column.type === "bytea"
        ? 0
        : 14,
      () => ({
        sql: `${random.pick(["min", "max"])}(${column?.sql})${filter}`,
        type: column?.type as TypeName,
      }),
    ],
    [25, () => numeric(composing, columns, filter)],
    [14, () => collected(composing, from, filter)],
    [8, () => orderedSet(composing, columns, filter)],
    [7, () => overAggregates(composing, columns)],
  ])();
}

function numeric(composing: Composing, columns: readonly VisibleColumn[], filter: string): Call {
  const { random } = composing.writing;
  const integers = columns.filter(({ type }) => INTEGERS.has(type));
  const numbers = columns.filter(({ type }) => EXACT.has(type) || type === "numeric");
  const lasting = columns.find(({ type }) => type === "interval");
  const flag = columns.find(({ type }) => type === "boolean");
  if (lasting !== undefined && random.chance(30))
    return { sql: `sum(${lasting.sql})${filter}`, type: "interval" };
  if (flag !== undefined && random.chance(30))
    return {
      sql: `${random.pick(["bool_and", "bool_or", "every"])}(${flag.sql})${filter}`,
      type: "boolean",
    };
  const one = random.pickIfAny(numbers);
  if (one === undefined) return { sql: `count(*)${filter}`, type: "bigint" };
  const whole = random.pickIfAny(integers);
  return random.weighted<() => Call>([
    [
      20,
      () => ({
        sql: `sum(${one.sql})${filter}`,
        type: one.type === "smallint" || one.type === "integer" ? "bigint" : "numeric",
      }),
    ],
    [15, () => ({ sql: `avg(${one.sql})${filter}`, type: "numeric" })],
    [15, () => ({ sql: `sum(DISTINCT ${one.sql})${filter}`, type: "numeric" })],
    [
      30,
      () => ({
        sql: `${random.pick(["stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"])}(${one.sql})${filter}`,
        type: "numeric",
      }),
    ],
    [
      whole === undefined ? 0 : 10,
      () => ({
        sql: `${random.pick(["bit_and", "bit_or", "bit_xor"])}(${whole?.sql})${filter}`,
        type: whole?.type as TypeName,
      }),
    ],
  ])();
}

/** array_agg, string_agg and JSON of rows in a total order. */
function collected(composing: Composing, from: From, filter: string): Call {
  const { random } = composing.writing;
  const columns = columnsOf(from);
  const column = random.pick(columns);
  const order = orderOf(from).map(({ sql }) => sql + direction(composing));
  if (order.length === 0) return { sql: `count(*)${filter}`, type: "bigint" };
  const by = ` ORDER BY ${order.join(", ")}`;
  const distinct = isGroupable(column) && random.chance(20);
  const inside = distinct ? `DISTINCT ${column.sql} ORDER BY ${column.sql}` : `${column.sql}${by}`;
  return random.pick<Call>([
    {
      sql: `array_agg(${distinct ? inside : `${column.sql}::text${by}`})${filter}`,
      type: "text[]",
    },
    { sql: `string_agg(${column.sql}::text, ','${by})${filter}`, type: "text" },
    { sql: `json_agg(${inside})${filter}::jsonb`, type: "jsonb" },
    { sql: `jsonb_agg(${inside})${filter}`, type: "jsonb" },
    {
      sql: `jsonb_object_agg(${column.sql}::text, ${columns[0]?.sql}${by}) FILTER (WHERE ${column.sql} IS NOT NULL)`,
      type: "jsonb",
    },
  ]);
}

/** Ordered-set and hypothetical-set aggregates. */
function orderedSet(composing: Composing, columns: readonly VisibleColumn[], filter: string): Call {
  const { writing } = composing;
  const { random } = writing;
  const column = random.pickIfAny(columns.filter(isGroupable));
  const whole = random.pickIfAny(
    columns.filter(({ type }) => type === "integer" || type === "smallint"),
  );
  if (column === undefined) return { sql: `count(*)${filter}`, type: "bigint" };
  const within = `WITHIN GROUP (ORDER BY ${column.sql}${random.pick(["", " DESC"])})${filter}`;
  const calls: Call[] = [
    { sql: `percentile_disc(${random.pick(["0.5", "0.25", "1"])}) ${within}`, type: column.type },
    { sql: `mode() WITHIN GROUP (ORDER BY ${column.sql})${filter}`, type: column.type },
    { sql: `rank(${value(writing, column.type)}) ${within}`, type: "bigint" },
    { sql: `dense_rank(${value(writing, column.type)}) ${within}`, type: "bigint" },
    { sql: `cume_dist(${value(writing, column.type)}) ${within}`, type: "double precision" },
  ];
  if (whole !== undefined)
    calls.push({
      sql: `percentile_cont(${random.pick(["0.5", "0.9"])}) WITHIN GROUP (ORDER BY ${whole.sql})${filter}`,
      type: "double precision",
    });
  return random.pick(calls);
}

/** What applications write around aggregates. */
function overAggregates(composing: Composing, columns: readonly VisibleColumn[]): Call {
  const { random } = composing.writing;
  const number = random.pickIfAny(
    columns.filter(({ type }) => type === "integer" || type === "smallint"),
  );
  const calls: Call[] = [
    { sql: "count(*)::int", type: "integer" },
    { sql: "CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END", type: "text" },
    { sql: "(count(*) > 1)", type: "boolean" },
    { sql: "count(*) * 100", type: "bigint" },
    { sql: "to_char(count(*), 'FM000')", type: "text" },
  ];
  if (number !== undefined)
    calls.push(
      { sql: `coalesce(sum(${number.sql}), 0)`, type: "bigint" },
      { sql: `max(${number.sql})::bigint - min(${number.sql})`, type: "bigint" },
      { sql: `round(avg(${number.sql}), 2)`, type: "numeric" },
      { sql: `sum(${number.sql}) / nullif(count(*), 0)`, type: "bigint" },
      {
        sql: `(sum(${number.sql}) FILTER (WHERE ${number.sql} > 0))::numeric(14,2)`,
        type: "numeric(14,2)",
      },
    );
  return random.pick(calls);
}
