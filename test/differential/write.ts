/** Random INSERT, UPDATE and DELETE statements. */
import { predicate, scalar, value, valueOrNull } from "./expressions.ts";
import type { ScopeColumn, Writing } from "./expressions.ts";
import { identifier } from "./model.ts";
import { tableNamed } from "./tables.ts";
import type { ColumnModel, TableModel } from "./model.ts";
import { pinned } from "./select-source.ts";
import type { RowOrder } from "./statement.ts";
import { randomText } from "./values.ts";

export interface WrittenChange {
  readonly kind: string;
  readonly sql: string;
  readonly opaqueColumns: readonly number[];
  readonly mayFailTwice: boolean;
  /** RETURNING of VALUES of which no row is left out comes in their order. */
  readonly order?: RowOrder;
}

export function writeInsert(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const columns = random.chance(20)
    ? table.columns
    : random.shuffle(
        table.columns.filter((column) => mustGive(table, column) || random.chance(70)),
      );
  const given = columns.filter(
    ({ isOpaque, constraint }) =>
      !isOpaque || (random.chance(15) && !constraint.includes("ALWAYS")),
  );
  if (given.length === 0)
    return change(
      `INSERT INTO ${identifier(table.name)} DEFAULT VALUES`,
      "insert default values",
      writing,
      table,
      false,
    );
  const rowCount = random.weighted([
    [60, 1],
    [25, random.integer(2, 4)],
    [10, random.integer(5, 15)],
  ]);
  const rows = Array.from(
    { length: rowCount },
    () => `(${given.map((column) => cell(writing, table, column)).join(", ")})`,
  );
  const columnList = ` (${given.map(({ name }) => identifier(name)).join(", ")})`;
  const conflict = random.chance(40) ? onConflict(writing, table) : "";
  const sql = `INSERT INTO ${identifier(table.name)}${columnList} VALUES ${rows.join(", ")}${conflict}`;
  const written = change(
    sql,
    rowCount === 1 ? "insert" : "insert rows",
    writing,
    table,
    rowCount > 1,
  );
  return { ...written, order: /DO NOTHING|DO UPDATE .* WHERE/.test(conflict) ? "any" : "total" };
}

export function writeUpdate(writing: Writing, table: TableModel): WrittenChange {
  const { random } = writing;
  const target = changeTarget(writing, table);
  const changed = table.columns.filter(
    ({ name, isOpaque }) => !isOpaque && !table.primaryKey.includes(name),
  );
  if (changed.length === 0) return writeInsert(writing, table);
  const sets = random
    .shuffle(changed)
    .slice(0, random.integer(1, 2))
    .map(({ name, type }) => {
      const set = random.chance(40)
        ? scalar(writing, target.readable, type, 1)
        : random.chance(8)
          ? "DEFAULT"
          : valueOrNull(writing, type, 10);
      return `${identifier(name)} = ${set}`;
    });
  if (table.shardKey.length > 0 && random.chance(2))
    sets.push(`${identifier(table.shardKey[0] as string)} = ${target.scope[0]?.sql}`);
  const sql = `UPDATE ${target.sql} SET ${sets.join(", ")}${target.from("FROM")}${target.where(writing)}`;
  return change(
    sql,
    target.isPinned ? "update" : "update unpinned",
    writing,
    table,
    !target.isPinned,
  );
}

export function writeDelete(writing: Writing, table: TableModel): WrittenChange {
  const target = changeTarget(writing, table);
  const sql = `DELETE FROM ${target.sql}${target.from("USING")}${target.where(writing)}`;
  return change(
    sql,
    target.isPinned ? "delete" : "delete unpinned",
    writing,
    table,
    !target.isPinned,
  );
}

/** What an INSERT without it could not do: the shard key (mostly), and NOT NULL without a default. */
function mustGive(table: TableModel, { name, constraint }: ColumnModel): boolean {
  return (
    table.primaryKey.includes(name) ||
    (constraint.includes("NOT NULL") && !constraint.includes("DEFAULT"))
  );
}

function cell(writing: Writing, table: TableModel, column: ColumnModel): string {
  const { random } = writing;
  const { name, type, constraint, isOpaque } = column;
  if (isOpaque) return "DEFAULT";
  if (constraint.includes("DEFAULT") && random.chance(20)) return "DEFAULT";
  if (name === "country")
    return random.chance(20)
      ? "NULL"
      : value(writing, type, random.pick(["DE", "AT", "FR", "BE", "CH"]));
  const isKey = table.primaryKey.includes(name);
  if (table.parent?.columns.includes(name) === true && random.chance(90))
    return value(writing, type, parentText(writing, column));
  if (isKey) return value(writing, type);
  if (random.chance(6)) return scalar(writing, [], type, 1);
  return valueOrNull(writing, type, constraint.includes("NOT NULL") ? 1 : 15);
}

/** From a part of the pool only, so that parents and children meet. */
function parentText({ random }: Writing, { type }: ColumnModel): string {
  return type === "bigint" || type === "integer"
    ? String(random.integer(0, 12))
    : randomText(type, random);
}

function onConflict(writing: Writing, table: TableModel): string {
  const { random } = writing;
  const target = `(${table.primaryKey.map(identifier).join(", ")})`;
  const free = table.columns.filter(
    ({ name, isOpaque }) => !isOpaque && !table.primaryKey.includes(name),
  );
  const constraint = `ON CONSTRAINT ${identifier(`${table.name}_pkey`)}`;
  const arbiter = random.chance(15) ? constraint : target;
  if (free.length === 0 || random.chance(45))
    return ` ON CONFLICT${random.chance(60) ? ` ${arbiter}` : ""} DO NOTHING`;
  const { name, type } = random.pick(free);
  const set = random.pick([`excluded.${identifier(name)}`, valueOrNull(writing, type, 5)]);
  const where = random.chance(15)
    ? ` WHERE ${identifier(table.name)}.${identifier(name)} IS NOT NULL`
    : "";
  return ` ON CONFLICT ${arbiter} DO UPDATE SET ${identifier(name)} = ${set}${where}`;
}

interface ChangeTarget {
  readonly sql: string;
  readonly scope: readonly ScopeColumn[];
  /** With the columns of the parent that is joined. */
  readonly readable: readonly ScopeColumn[];
  readonly isPinned: boolean;
  readonly from: (keyword: string) => string;
  readonly where: (writing: Writing) => string;
}

function changeTarget(writing: Writing, table: TableModel): ChangeTarget {
  const { random } = writing;
  const name = identifier(table.name);
  const qualifier = random.chance(30) ? "x" : name;
  const scope = table.columns
    .filter(({ isOpaque }) => !isOpaque)
    .map((column) => ({
      sql: `${qualifier}.${identifier(column.name)}`,
      name: column.name,
      type: column.type,
    }));
  const key = scope.filter((column) =>
    (table.shardKey.length > 0 ? table.shardKey : table.primaryKey).includes(column.name),
  );
  const keyWidth = table.shardKey.length > 0 ? table.shardKey.length : table.primaryKey.length;
  const isPinned = key.length === keyWidth && random.chance(70);
  const parent =
    table.parent !== undefined && random.chance(16) ? tableNamed(table.parent.table) : undefined;
  const join =
    parent === undefined
      ? []
      : (table.parent?.columns ?? []).map(
          (column, index) =>
            `p.${identifier(parent.primaryKey[index] as string)} = ${qualifier}.${identifier(column)}`,
        );
  // Each row meets one parent at most, so that what is read from it is one value.
  const parentScope = (parent?.columns ?? [])
    .filter(({ isOpaque }) => !isOpaque)
    .map((column) => ({
      sql: `p.${identifier(column.name)}`,
      name: column.name,
      type: column.type,
    }));
  return {
    sql: qualifier === "x" ? `${name} AS x` : name,
    scope,
    readable: [...scope, ...parentScope],
    isPinned,
    from: (keyword) => (parent === undefined ? "" : ` ${keyword} ${identifier(parent.name)} p`),
    where: (where) => {
      const conjuncts = [...join];
      if (isPinned) conjuncts.push(pinned(where, key));
      // Unpinned changes keep a part of the rows alive, so that later statements find some.
      if (!isPinned || random.chance(50))
        conjuncts.push(
          predicate(where, scope, 0),
          ...(isPinned ? [] : [predicate(where, scope, 0)]),
        );
      return ` WHERE ${conjuncts.join(" AND ")}`;
    },
  };
}

function change(
  sql: string,
  kind: string,
  writing: Writing,
  table: TableModel,
  mayFailTwice: boolean,
): WrittenChange {
  const { random } = writing;
  if (!random.chance(30)) return { kind, sql, opaqueColumns: [], mayFailTwice };
  const isAliased = sql.includes(" AS x");
  const qualifier = isAliased ? "x" : identifier(table.name);
  if (random.chance(25) && !/ (USING|FROM) \S+ p WHERE/.test(sql)) {
    const opaqueColumns = table.columns.flatMap(({ isOpaque }, index) => (isOpaque ? [index] : []));
    return { kind: `${kind} returning`, sql: `${sql} RETURNING *`, opaqueColumns, mayFailTwice };
  }
  const columns = random.shuffle(table.columns).slice(0, random.integer(1, 3));
  const list = columns.map(({ name }) => `${qualifier}.${identifier(name)}`).join(", ");
  const opaqueColumns = columns.flatMap(({ isOpaque }, index) => (isOpaque ? [index] : []));
  return {
    kind: `${kind} returning`,
    sql: `${sql} RETURNING ${list}`,
    opaqueColumns,
    mayFailTwice,
  };
}
