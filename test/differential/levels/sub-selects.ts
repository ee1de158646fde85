/** Sub-selects in every position of an expression: EXISTS, IN, ANY, ALL, scalar, ARRAY; correlated or not. */
import type { TypeName } from "../model.ts";
import { areAlike, below, condition, isGroupable, limitOf } from "./composing.ts";
import type { Composing, Relation, VisibleColumn } from "./composing.ts";
import { columnsOf, keyOf, orderOf, writeFrom } from "./relations.ts";
import type { From } from "./relations.ts";

/** A conjunct of WHERE with a sub-select in it. */
export function subSelectCondition(composing: Composing, from: From): string {
  const { random } = composing.writing;
  const inner = below(composing, from.relations);
  return random.weighted<() => string>([
    [30, () => `${random.pick(["", "NOT "])}EXISTS (${tied(inner, from, () => "1")})`],
    [20, () => membershipByKey(inner, from)],
    [20, () => membershipByColumn(inner, from)],
    [15, () => quantified(inner, from)],
    [
      15,
      () =>
        `(${tied(inner, from, countOf)}) ${random.pick(["=", ">", "<="])} ${random.integer(0, 3)}`,
    ],
  ])();
}

/** An output that is a sub-select: its SQL and its type. */
export function subSelectOutput(
  composing: Composing,
  from: From,
): { readonly sql: string; readonly type: TypeName } {
  const { random } = composing.writing;
  const inner = below(composing, from.relations);
  return random.weighted<() => { sql: string; type: TypeName }>([
    [40, () => ({ sql: `(${tied(inner, from, countOf)})`, type: "bigint" })],
    [20, () => oneOf(inner, from)],
    [20, () => ({ sql: `EXISTS (${tied(inner, from, () => "")})`, type: "boolean" })],
    [20, () => arrayOf(inner, from)],
  ])();
}

/** SELECT … FROM … WHERE, correlated by the shard key mostly. `list` writes the output. */
function tied(
  inner: Composing,
  outer: From,
  list: (from: From) => string,
  end: (from: From) => string = () => "",
): string {
  const from = writeFrom(inner, 2);
  const conjuncts = [...from.conjuncts, ...correlation(inner, from, outer)];
  if (inner.writing.random.chance(40)) conjuncts.push(innerCondition(inner, from));
  const where = conjuncts.length > 0 ? ` WHERE ${conjuncts.join(" AND ")}` : "";
  return `SELECT ${list(from)} FROM ${from.sql}${where}${end(from)}`;
}

function innerCondition(inner: Composing, from: From): string {
  return inner.depth > 0 && inner.writing.random.chance(45)
    ? subSelectCondition(inner, from)
    : condition(inner, columnsOf(from));
}

/** By the key of any level around, by another column, or not at all. */
function correlation(inner: Composing, from: From, outer: From): string[] {
  const { random } = inner.writing;
  const key = keyOf(from);
  const around = random.chance(75) ? outer.relations : inner.outer;
  const anchor = random.pickIfAny([...around.filter((each) => each.key.length > 0), undefined]);
  if (anchor !== undefined && key.length > 0 && random.chance(90))
    return key.map((column, index) => `${column.sql} = ${anchor.key[index]?.sql}`);
  if (random.chance(35)) return byAnyColumn(inner.outer, random.shuffle(columnsOf(from)));
  return [];
}

function byAnyColumn(outer: readonly Relation[], columns: readonly VisibleColumn[]): string[] {
  for (const column of columns) {
    const other = outer
      .flatMap((each) => each.columns)
      .find((each) => areAlike(each, column) && isGroupable(each));
    if (other !== undefined) return [`${column.sql} = ${other.sql}`];
  }
  return [];
}

function countOf(): string {
  return "count(*)";
}

function membershipByKey(inner: Composing, from: From): string {
  const { random } = inner.writing;
  const anchor = from.relations.find(({ key }) => key.length > 0);
  if (anchor === undefined) return membershipByColumn(inner, from);
  const width = anchor.key.length;
  const { sql, outputs } = inner.level(inner, { kind: "keyed" });
  const keys = outputs.slice(0, width).map(({ name }) => `"${name}"`);
  const left = anchor.key.map((column) => column.sql).join(", ");
  const spread =
    outputs.length === width ? sql : `SELECT ${keys.join(", ")} FROM (${sql}) AS keyed`;
  return `${width > 1 ? `(${left})` : left} ${random.pick(["", "", "NOT "])}IN (${spread})`;
}

function membershipByColumn(inner: Composing, from: From): string {
  const { random } = inner.writing;
  const column = random.pickIfAny(columnsOf(from).filter(isGroupable));
  if (column === undefined) return "true";
  const { sql } = inner.level(inner, {
    kind: "column",
    type: column.type,
    collation: column.collation,
  });
  return `${column.sql} ${random.pick(["IN", "NOT IN", "= ANY", "<> ALL"])} (${sql})`;
}

function quantified(inner: Composing, from: From): string {
  const { random } = inner.writing;
  const column = random.pickIfAny(columnsOf(from).filter(isGroupable));
  if (column === undefined) return "true";
  const { sql } = inner.level(inner, {
    kind: "column",
    type: column.type,
    collation: column.collation,
  });
  return `${column.sql} ${random.pick(["< ANY", ">= ALL", "> SOME", "<= ALL", "= ANY"])} (${sql})`;
}

/** One value, made the only one by a total order and LIMIT 1, or by an aggregate. */
function oneOf(inner: Composing, from: From): { sql: string; type: TypeName } {
  const { random } = inner.writing;
  let type: TypeName = "bigint";
  const list = (source: From): string => {
    const column = random.pickIfAny(columnsOf(source).filter(isGroupable));
    if (column === undefined) return "1::bigint";
    ({ type } = column);
    return column.sql;
  };
  const end = (source: From): string => {
    const order = orderOf(source).map(({ sql }) => sql);
    return `${order.length > 0 ? ` ORDER BY ${order.join(", ")}` : ""} LIMIT 1`;
  };
  const sql = `(${tied(inner, from, list, end)})`;
  return { sql, type };
}

function arrayOf(inner: Composing, from: From): { sql: string; type: TypeName } {
  const { random } = inner.writing;
  const list = (source: From): string => {
    const numbers = columnsOf(source).filter(({ type }) => type === "integer");
    return numbers.length > 0 ? random.pick(numbers).sql : "7";
  };
  const end = (source: From): string => {
    const order = orderOf(source).map(({ sql }) => sql);
    const limit = random.chance(40) ? limitOf(inner) : "";
    return order.length > 0 ? ` ORDER BY ${order.join(", ")}${limit}` : "";
  };
  return { sql: `ARRAY(${tied(inner, from, list, end)})`, type: "integer[]" };
}
