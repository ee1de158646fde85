/** Writes that read: INSERT … SELECT, MERGE, WITH that changes rows, and sub-selects in UPDATE and DELETE. */
import { predicate, scalar, value } from "./expressions.ts";
import type { ScopeColumn, Writing } from "./expressions.ts";
import { columnOf, identifier } from "./model.ts";
import type { ColumnModel, TableModel } from "./model.ts";
import { pinned } from "./select-source.ts";
import { TABLES } from "./tables.ts";
import type { WrittenChange } from "./write.ts";

export function writeComposed(writing: Writing, table: TableModel): WrittenChange {
  return writing.random.weighted([
    [30, insertSelect],
    [30, merge],
    [25, changeBySubSelect],
    [15, withChange],
  ])(writing, table);
}

function scopeOf(table: TableModel, qualifier: string): ScopeColumn[] {
  return table.columns
    .filter(({ isOpaque }) => !isOpaque)
    .map(({ name, type }) => ({ sql: `${qualifier}.${identifier(name)}`, name, type }));
}

function keyOf(table: TableModel, qualifier: string): ScopeColumn[] {
  const names = table.shardKey.length > 0 ? table.shardKey : table.primaryKey.slice(0, 1);
  return scopeOf(table, qualifier).filter(({ name }) => names.includes(name));
}

/** Tables whose rows may stand beside this one's: of the same home, with a key that is shown. */
function neighbours(table: TableModel): TableModel[] {
  return TABLES.filter(
    (other) => other.home === table.home && keyOf(other, "s").length === keyOf(table, "x").length,
  );
}

/**
 * Key to key, and other columns from ones of the same type. Where several rows may have one
 * primary key, they are alike but for it: which of them ON CONFLICT DO NOTHING takes, is open.
 */
function insertSelect(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const from = random.chance(55) ? table : random.pick([...neighbours(table), table]);
  const source = scopeOf(from, "s");
  const given = table.columns.filter(({ isOpaque }) => !isOpaque);
  const keys = new Map(
    given
      .filter(({ name }) => table.primaryKey.includes(name))
      .map((column) => [column.name, copied(writing, table, column, from, source)]),
  );
  const copiedKeys = new Set(keys.values());
  const isUnique = from.primaryKey.every((name) => copiedKeys.has(`s.${identifier(name)}`));
  const list = given.map((column) => {
    const key = keys.get(column.name);
    if (key !== undefined) return key;
    const isShardKey = table.shardKey.includes(column.name);
    return isUnique || isShardKey
      ? copied(writing, table, column, from, source)
      : value(writing, column.type);
  });
  const condition = random.chance(50) ? ` WHERE ${predicate(writing, source, 0)}` : "";
  const pins = random.chance(40)
    ? `${condition === "" ? " WHERE " : " AND "}${pinned(writing, keyOf(from, "s"))}`
    : "";
  const conflict = random.pick([" ON CONFLICT DO NOTHING", " ON CONFLICT DO NOTHING", ""]);
  const names = given.map(({ name }) => identifier(name)).join(", ");
  return {
    kind: "insert select",
    sql: `INSERT INTO ${identifier(table.name)} (${names}) SELECT ${list.join(", ")} FROM ${identifier(from.name)} AS s${condition}${pins}${conflict}`,
    opaqueColumns: [],
    mayFailTwice: true,
  };
}

function copied(
  { random }: Writing,
  table: TableModel,
  { name, type }: ColumnModel,
  from: TableModel,
  source: readonly ScopeColumn[],
): string {
  const keyIndex = table.shardKey.indexOf(name);
  const key = from.shardKey[keyIndex];
  if (key !== undefined) return `s.${identifier(key)}`;
  const same = source.find((column) => column.name === name && column.type === type);
  if (same !== undefined && random.chance(90)) return same.sql;
  const alike = source.filter((column) => column.type === type);
  return alike.length > 0 ? random.pick(alike).sql : `CAST(NULL AS ${type})`;
}

function merge(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const columns = scopeOf(table, "x");
  const key = keyOf(table, "x");
  const source = mergeSource(writing, table);
  const free = table.columns.filter(
    ({ name, isOpaque }) =>
      !isOpaque && !table.primaryKey.includes(name) && !table.shardKey.includes(name),
  );
  const set = random.pickIfAny(free);
  const update =
    set === undefined
      ? "DO NOTHING"
      : `UPDATE SET ${identifier(set.name)} = ${scalar(writing, columns, set.type, 1)}`;
  const insertable = table.columns.filter(
    ({ name, isOpaque, constraint }) =>
      !isOpaque && (table.primaryKey.includes(name) || constraint.includes("NOT NULL")),
  );
  const values = insertable.map(({ name, type }) => {
    const index = table.shardKey.indexOf(name);
    return index >= 0 && source.key.length > 0
      ? `s.${identifier(source.key[index] as string)}`
      : value(writing, type);
  });
  const insert = `INSERT (${insertable.map(({ name }) => identifier(name)).join(", ")}) VALUES (${values.join(", ")})`;
  const on = key
    .map(({ sql }, index) => `${sql} = s.${identifier(source.key[index] as string)}`)
    .join(" AND ");
  const also = random.chance(25) ? ` AND ${predicate(writing, columns, 0)}` : "";
  const guard = random.chance(40) ? ` AND ${predicate(writing, columns, 0)}` : "";
  const branches = [
    `WHEN MATCHED${guard} THEN ${random.pick([update, update, "DELETE", "DO NOTHING"])}`,
    `WHEN NOT MATCHED THEN ${random.chance(75) ? insert : "DO NOTHING"}`,
  ];
  const returning = random.chance(20) ? ` RETURNING merge_action(), ${columns[0]?.sql}` : "";
  return {
    kind: "merge",
    sql: `MERGE INTO ${identifier(table.name)} AS x USING ${source.sql} ON ${on}${also} ${random.some(branches, 70).join(" ")}${returning}`,
    opaqueColumns: [],
    mayFailTwice: true,
  };
}

interface MergeSource {
  readonly sql: string;
  /** Names of the columns that meet the target's key. */
  readonly key: readonly string[];
}

/** One row per key, so that no row of the target is met twice: values, or another table's keys. */
function mergeSource(writing: Writing, table: TableModel): MergeSource {
  const { random } = writing;
  const key = keyOf(table, "x");
  const names = key.map((_, index) => `k${index}`);
  if (random.chance(50)) {
    const list = key.map(({ type }, index) => `${value(writing, type)}::${type} AS k${index}`);
    return { sql: `(SELECT ${list.join(", ")}) AS s`, key: names };
  }
  const from = random.pick([...neighbours(table), table]);
  const columns = keyOf(from, "n").map(({ sql }, index) => `${sql} AS k${index}`);
  const condition = random.chance(60)
    ? ` WHERE ${random.chance(50) ? pinned(writing, keyOf(from, "n")) : predicate(writing, scopeOf(from, "n"), 0)}`
    : "";
  return {
    sql: `(SELECT DISTINCT ${columns.join(", ")} FROM ${identifier(from.name)} AS n${condition}) AS s`,
    key: names,
  };
}

/** UPDATE or DELETE of the rows that a sub-select names. */
function changeBySubSelect(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const columns = scopeOf(table, "x");
  const key = keyOf(table, "x");
  const from = random.pick([...neighbours(table), table]);
  const inner = keyOf(from, "n");
  const ties = inner.map(({ sql }, index) => `${sql} = ${key[index]?.sql}`).join(" AND ");
  const narrow = `${predicate(writing, scopeOf(from, "n"), 0)} AND ${predicate(writing, columns, 0)}`;
  const pins = random.chance(60) ? ` AND ${pinned(writing, key)}` : "";
  const condition = `EXISTS (SELECT FROM ${identifier(from.name)} AS n WHERE ${ties} AND ${narrow})${pins}`;
  const set = random.pickIfAny(
    table.columns.filter(
      ({ name, isOpaque, constraint }) =>
        !isOpaque &&
        constraint === "" &&
        !table.primaryKey.includes(name) &&
        !table.shardKey.includes(name),
    ),
  );
  if (set === undefined || random.chance(30))
    return {
      kind: "delete by sub-select",
      sql: `DELETE FROM ${identifier(table.name)} AS x WHERE ${condition}`,
      opaqueColumns: [],
      mayFailTwice: true,
    };
  const counted = set.type === "bigint" && random.chance(50);
  const written = counted
    ? `(SELECT count(*) FROM ${identifier(from.name)} AS m WHERE ${keyOf(from, "m")
        .map(({ sql }, index) => `${sql} = ${key[index]?.sql}`)
        .join(" AND ")})`
    : scalar(writing, columns, set.type, 1);
  return {
    kind: "update by sub-select",
    sql: `UPDATE ${identifier(table.name)} AS x SET ${identifier(set.name)} = ${written} WHERE ${condition}`,
    opaqueColumns: [],
    mayFailTwice: true,
  };
}

/** WITH … (DELETE or UPDATE … RETURNING) SELECT, of one key mostly. */
function withChange(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const columns = scopeOf(table, "x");
  const key = keyOf(table, "x");
  const pins = random.chance(80) ? pinned(writing, key) : predicate(writing, columns, 0);
  const shown = columns.find(({ type }) => type !== "jsonb") ?? columns[0];
  const set = random.pickIfAny(
    table.columns.filter(
      ({ name, isOpaque, constraint }) =>
        !isOpaque &&
        constraint === "" &&
        !table.primaryKey.includes(name) &&
        !table.shardKey.includes(name),
    ),
  );
  const change =
    set === undefined || random.chance(35)
      ? `DELETE FROM ${identifier(table.name)} AS x WHERE ${pins} AND ${predicate(writing, columns, 0)}`
      : `UPDATE ${identifier(table.name)} AS x SET ${identifier(set.name)} = ${scalar(writing, columns, columnOf(table, set.name).type, 1)} WHERE ${pins}`;
  const list = random.pick([
    "count(*)",
    "count(*), min(c::text)",
    "array_agg(c::text ORDER BY c::text)",
  ]);
  return {
    kind: "with change",
    sql: `WITH changed (c) AS (${change} RETURNING ${shown?.sql}) SELECT ${list} FROM changed`,
    opaqueColumns: [],
    mayFailTwice: true,
  };
}
