/**
 * Composed queries: levels of SELECT within each other, up to three deep, each of any
 * form. Same random numbers, same query.
 */
import { TABLES } from "../tables.ts";
import type { TableModel } from "../model.ts";
import type { Writing } from "../expressions.ts";
import { value } from "../expressions.ts";
import type { WrittenSelect } from "../select.ts";
import { identifier } from "../model.ts";
import { aggregateOf, windowCall } from "./analytics.ts";
import type { Call } from "./analytics.ts";
import { withNames } from "./common-tables.ts";
import { areAlike, condition, direction, isGroupable, isSortable, limitOf } from "./composing.ts";
import type { Composing, Level, Output, VisibleColumn, Wanted } from "./composing.ts";
import { columnsOf, keyOf, orderOf, writeFrom } from "./relations.ts";
import type { From } from "./relations.ts";
import { setOperation } from "./set-operations.ts";
import { subSelectCondition, subSelectOutput } from "./sub-selects.ts";

const DEPTH_MAX = 3;

/** One query over one home, by the tables given or by one of them. */
export function composedSelect(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const { home } = random.pick(tables);
  // Tables whose keys the servers draw have nothing to be joined by.
  const own = TABLES.filter((table) => table.home === home && home !== "tickets");
  const composing: Composing = {
    writing,
    tables: own.length > 0 ? own : TABLES.filter((table) => table.home === "users"),
    depth: random.weighted([
      [30, 0],
      [30, 1],
      [25, 2],
      [15, DEPTH_MAX],
    ]),
    outer: [],
    named: [],
    aliases: { next: 0 },
    level: innerLevel,
  };
  const { kind, level } = random.weighted<() => { kind: string; level: Level }>([
    [14, () => ({ kind: "rows", level: rows(composing) })],
    [16, () => ({ kind: "grouped", level: grouped(composing) })],
    [9, () => ({ kind: "grouping sets", level: groupingSets(composing) })],
    [14, () => ({ kind: "windows", level: windowed(composing) })],
    [8, () => ({ kind: "distinct on", level: distinctOn(composing) })],
    [14, () => ({ kind: "set operation", level: setOperation(composing) })],
    [15, () => ({ kind: "with", level: withNames(composing, rows) })],
    [10, () => ({ kind: "ties", level: withTies(composing) })],
  ])();
  return { kind: `composed ${kind}`, sql: level.sql, order: level.order };
}

/** A level inside of another: what it shows is given by who reads it. */
function innerLevel(composing: Composing, wanted: Wanted): Level {
  const { random } = composing.writing;
  if (wanted.kind === "column") return oneColumn(composing, wanted);
  if (wanted.kind === "any") return rows(composing);
  return random.weighted<() => Level>([
    [45, () => keyed(composing, "")],
    [15, () => keyed(composing, "DISTINCT ")],
    [25, () => groupedByKey(composing)],
    [15, () => numberedByKey(composing)],
  ])();
}

/** WHERE: pins now and then, and conditions that cannot fail. */
function where(composing: Composing, from: From): string {
  const { writing } = composing;
  const { random } = writing;
  const conjuncts = [...from.conjuncts];
  const key = keyOf(from);
  if (key.length > 0 && random.chance(22))
    conjuncts.push(...key.map(({ sql, type }) => `${sql} = ${value(writing, type)}`));
  if (random.chance(35)) conjuncts.push(condition(composing, columnsOf(from)));
  if (composing.depth > 0 && random.chance(45)) conjuncts.push(subSelectCondition(composing, from));
  return conjuncts.length > 0 ? ` WHERE ${random.shuffle(conjuncts).join(" AND ")}` : "";
}

/** Outputs as `expression AS name`, the names told apart. */
function listed(
  calls: readonly Call[],
  collation = "default",
): { list: string; outputs: Output[] } {
  const outputs = calls.map(({ type }, index) => ({ name: `c${index}`, type, collation }));
  return { list: calls.map(({ sql }, index) => `${sql} AS c${index}`).join(", "), outputs };
}

function columnOutputs(columns: readonly VisibleColumn[]): { list: string; outputs: Output[] } {
  return {
    list: columns.map(({ sql }, index) => `${sql} AS c${index}`).join(", "),
    outputs: columns.map(({ type, collation }, index) => ({ name: `c${index}`, type, collation })),
  };
}

function rows(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing);
  const columns = random.shuffle(columnsOf(from)).slice(0, random.integer(1, 4));
  const outputs: Call[] = columns.map(({ sql, type }) => ({ sql, type }));
  if (composing.depth > 0 && random.chance(40)) outputs.push(subSelectOutput(composing, from));
  const { list, outputs: named } = listed(outputs);
  const filter = where(composing, from);
  const { sql, order } = sorted(composing, from, 65);
  const bare = random.chance(40) && from.relations.length === 1;
  const written = bare ? outputs.map((each) => each.sql).join(", ") : list;
  return { sql: `SELECT ${written} FROM ${from.sql}${filter}${sql}`, outputs: named, order };
}

/** ORDER BY some columns, then what makes the order total; often LIMIT. */
function sorted(
  composing: Composing,
  from: From,
  percent: number,
): { sql: string; order: Level["order"] } {
  const { random } = composing.writing;
  const total = orderOf(from);
  if (total.length === 0 || !random.chance(percent)) return { sql: "", order: "any" };
  const first = random.shuffle(columnsOf(from).filter(isSortable)).slice(0, random.integer(0, 2));
  const keys = [...first, ...total].map(({ sql }) => sql + direction(composing));
  const limit = random.chance(55) ? limitOf(composing) : "";
  return { sql: ` ORDER BY ${keys.join(", ")}${limit}`, order: "total" };
}

function grouped(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing);
  const keys = groupKeys(composing, from);
  const calls = Array.from({ length: random.integer(1, 3) }, () => aggregateOf(composing, from));
  const { list, outputs } = listed([...keys.map(({ sql, type }) => ({ sql, type })), ...calls]);
  const filter = where(composing, from);
  const groupBy = keys.length > 0 ? ` GROUP BY ${keys.map(({ sql }) => sql).join(", ")}` : "";
  const having = random.chance(35) ? ` HAVING ${havingOf(composing, from)}` : "";
  const isSorted = keys.length > 0 && random.chance(60);
  const byAggregate = random.chance(40)
    ? `${random.pick(["count(*)", "max(1) + count(*)"])} DESC, `
    : "";
  const sort = isSorted
    ? ` ORDER BY ${byAggregate}${keys.map(({ sql }) => sql + direction(composing)).join(", ")}${random.chance(45) ? limitOf(composing) : ""}`
    : "";
  return {
    sql: `SELECT ${list} FROM ${from.sql}${filter}${groupBy}${having}${sort}`,
    outputs,
    order: isSorted ? "total" : "any",
  };
}

function groupKeys(composing: Composing, from: From): VisibleColumn[] {
  const { random } = composing.writing;
  const candidates = columnsOf(from).filter(isGroupable);
  return random.shuffle(candidates).slice(
    0,
    random.weighted([
      [15, 0],
      [50, 1],
      [35, 2],
    ]),
  );
}

function havingOf(composing: Composing, from: From): string {
  const { random } = composing.writing;
  const column = random.pick(columnsOf(from));
  return random.pick([
    "count(*) > 1",
    "count(*) BETWEEN 1 AND 4",
    `count(${column.sql}) >= 1`,
    `count(DISTINCT ${isGroupable(column) ? column.sql : "1"}) > 1`,
    "count(*) > 1 AND max(1) = 1",
    "coalesce(sum(1), 0) % 2 = 1",
  ]);
}

function groupingSets(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing, 2);
  const keys = random.shuffle(columnsOf(from).filter(isGroupable)).slice(0, 2);
  if (keys.length === 0) return rows(composing);
  const names = keys.map(({ sql }) => sql);
  const [first = ""] = names;
  const sets = random.pick([
    `ROLLUP (${names.join(", ")})`,
    `CUBE (${names.join(", ")})`,
    `GROUPING SETS ((${names.join(", ")}), (${first}), ())`,
    `GROUPING SETS (ROLLUP (${first}), (${names.join(", ")}))`,
    `${first}, ROLLUP (${names.at(-1)})`,
  ]);
  const calls: Call[] = [
    ...keys.map(({ sql, type }) => ({ sql, type })),
    { sql: `GROUPING(${names.join(", ")})`, type: "integer" },
    aggregateOf(composing, from),
  ];
  const { list, outputs } = listed(calls);
  const having = random.chance(20) ? ` HAVING count(*) > 1` : "";
  return {
    sql: `SELECT ${list} FROM ${from.sql}${where(composing, from)} GROUP BY ${sets}${having}`,
    outputs,
    order: "any",
  };
}

/** Rows that look alike have window values of their own: then one call, and no order. */
function windowed(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing, 3);
  const isUnique = from.relations.every((relation) => relation.isUnique);
  const columns = random.shuffle(columnsOf(from)).slice(0, random.integer(1, 3));
  const calls: Call[] = [
    ...columns.map(({ sql, type }) => ({ sql, type })),
    ...Array.from({ length: isUnique ? random.integer(1, 2) : 1 }, () =>
      windowCall(composing, from),
    ),
  ];
  const { list, outputs } = listed(calls);
  const filter = where(composing, from);
  if (isUnique && random.chance(25) && orderOf(from).length > 0) {
    const over = `w AS (PARTITION BY ${columns.find(isGroupable)?.sql ?? "1"} ORDER BY ${orderOf(
      from,
    )
      .map(({ sql }) => sql)
      .join(", ")})`;
    return {
      sql: `SELECT ${list}, count(*) OVER w AS n, row_number() OVER (w) AS r FROM ${from.sql}${filter} WINDOW ${over}`,
      outputs: [
        ...outputs,
        { name: "n", type: "bigint", collation: "default" },
        { name: "r", type: "bigint", collation: "default" },
      ],
      order: "any",
    };
  }
  const { sql, order } = sorted(composing, from, isUnique ? 40 : 0);
  return { sql: `SELECT ${list} FROM ${from.sql}${filter}${sql}`, outputs, order };
}

function distinctOn(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing, 2);
  const total = orderOf(from);
  const firsts = random.shuffle(columnsOf(from).filter(isGroupable)).slice(0, random.integer(1, 2));
  if (firsts.length === 0 || total.length === 0) return rows(composing);
  const shown = [...firsts, ...random.shuffle(columnsOf(from)).slice(0, 2)];
  const { list, outputs } = columnOutputs(shown);
  const keys = [...firsts, ...total].map(({ sql }) => sql + direction(composing));
  return {
    sql: `SELECT DISTINCT ON (${firsts.map(({ sql }) => sql).join(", ")}) ${list} FROM ${from.sql}${where(composing, from)} ORDER BY ${keys.join(", ")}${random.chance(30) ? limitOf(composing) : ""}`,
    outputs,
    order: "total",
  };
}

/** FETCH FIRST … WITH TIES: all that is shown is what is ordered by, so that ties look alike. */
function withTies(composing: Composing): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing, 2);
  const keys = random.shuffle(columnsOf(from).filter(isGroupable)).slice(0, 2);
  if (keys.length === 0) return rows(composing);
  const { list, outputs } = columnOutputs(keys);
  const count = value(composing.writing, "bigint", String(random.integer(1, 6)));
  // After FETCH FIRST stands a number or something in parentheses.
  const fetched = /^\d+$/.test(count) ? count : `(${count})`;
  return {
    sql: `SELECT ${list} FROM ${from.sql}${where(composing, from)} ORDER BY ${keys.map(({ sql }) => sql + direction(composing)).join(", ")}${random.chance(25) ? ` OFFSET ${random.integer(0, 3)}` : ""} FETCH FIRST ${fetched} ROWS WITH TIES`,
    outputs,
    order: "total",
  };
}

/** The key first, so that the level can be joined by it. */
function keyed(composing: Composing, distinct: "" | "DISTINCT "): Level {
  const { random } = composing.writing;
  const from = writeFrom(composing, 3);
  const key = keyOf(from);
  const more = random
    .shuffle(columnsOf(from).filter(isGroupable))
    .slice(0, random.integer(key.length > 0 ? 0 : 1, 2));
  const { list, outputs } = columnOutputs([...key, ...more]);
  const conjuncts = correlatedByKey(composing, from);
  return {
    sql: `SELECT ${distinct}${list} FROM ${from.sql}${joinWhere(where(composing, from), conjuncts)}`,
    outputs,
    order: "any",
  };
}

function joinWhere(filter: string, conjuncts: readonly string[]): string {
  if (conjuncts.length === 0) return filter;
  return `${filter === "" ? " WHERE " : `${filter} AND `}${conjuncts.join(" AND ")}`;
}

/** A level that sees others around it (LATERAL, or within an expression) mostly meets their key. */
function correlatedByKey({ outer, writing: { random } }: Composing, from: From): string[] {
  const key = keyOf(from);
  const anchors = outer.filter((each) => each.key.length > 0);
  if (key.length === 0 || anchors.length === 0 || random.chance(20)) return [];
  const anchor = random.pick(anchors);
  return key.map(({ sql }, index) => `${sql} = ${anchor.key[index]?.sql}`);
}

function groupedByKey(composing: Composing): Level {
  const from = writeFrom(composing, 2);
  const key = keyOf(from);
  if (key.length === 0) return keyed(composing, "");
  const { list, outputs } = columnOutputs(key);
  const filter = joinWhere(where(composing, from), correlatedByKey(composing, from));
  return {
    sql: `SELECT ${list}, count(*) AS n FROM ${from.sql}${filter} GROUP BY ${key.map(({ sql }) => sql).join(", ")}`,
    outputs: [...outputs, { name: "n", type: "bigint", collation: "default" }],
    order: "any",
  };
}

function numberedByKey(composing: Composing): Level {
  const from = writeFrom(composing, 2);
  const key = keyOf(from);
  if (key.length === 0) return keyed(composing, "");
  const { list, outputs } = columnOutputs(key);
  const filter = joinWhere(where(composing, from), correlatedByKey(composing, from));
  return {
    sql: `SELECT ${list}, row_number() OVER (PARTITION BY ${key.map(({ sql }) => sql).join(", ")} ORDER BY ${orderOf(
      from,
    )
      .map(({ sql }) => sql)
      .join(", ")}) AS rn FROM ${from.sql}${filter}`,
    outputs: [...outputs, { name: "rn", type: "bigint", collation: "default" }],
    order: "any",
  };
}

/** One column of a type, from wherever the home has one; else a constant of it. */
function oneColumn(composing: Composing, wanted: Extract<Wanted, { kind: "column" }>): Level {
  const { writing } = composing;
  const { random } = writing;
  const output = { name: "c0", type: wanted.type, collation: wanted.collation };
  for (let attempt = 0; attempt < 4; attempt++) {
    const from = writeFrom(composing, 2);
    const column = random.pickIfAny(columnsOf(from).filter((each) => areAlike(each, wanted)));
    if (column === undefined) continue;
    const total = orderOf(from).map(({ sql }) => sql);
    const limit =
      total.length > 0 && random.chance(20)
        ? ` ORDER BY ${total.join(", ")} LIMIT ${random.integer(1, 5)}`
        : "";
    const name = random.chance(50) ? "" : ` AS ${identifier("c0")}`;
    return {
      sql: `SELECT ${column.sql}${name} FROM ${from.sql}${where(composing, from)}${limit}`,
      outputs: [output],
      order: "any",
    };
  }
  return { sql: `SELECT CAST(NULL AS ${wanted.type}) AS c0`, outputs: [output], order: "any" };
}
