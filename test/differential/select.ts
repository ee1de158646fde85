/** Random SELECT statements: from a point read to windows and set operations. */
import { predicate, membership, scalar, value } from "./expressions.ts";
import type { ScopeColumn, Writing } from "./expressions.ts";
import { identifier } from "./model.ts";
import type { TableModel, TypeName } from "./model.ts";
import { GROUPABLE, aggregateCall } from "./aggregates.ts";
import { pinned, sourceOf } from "./select-source.ts";
import type { Source } from "./select-source.ts";
import { randomText } from "./values.ts";
import type { RowOrder } from "./statement.ts";

export interface WrittenSelect {
  readonly kind: string;
  readonly sql: string;
  readonly order: RowOrder;
}

type Form = (writing: Writing, tables: readonly TableModel[]) => WrittenSelect;

const FORMS: readonly (readonly [number, Form])[] = [
  [24, plain],
  [8, keyList],
  [16, ordered],
  [14, aggregate],
  [12, grouped],
  [5, distinct],
  [6, subquery],
  [4, commonTable],
  [4, setOperation],
  [4, window],
  [3, withoutTable],
  [2, catalog],
  [2, locking],
];

export function writeSelect(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  return writing.random.weighted(FORMS)(writing, tables);
}

function plain(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const source = sourceOf(writing, tables);
  const list = outputs(writing, source, 4);
  return {
    kind: `select ${source.kind}`,
    sql: `SELECT ${list} FROM ${source.from}${where(writing, source)}`,
    order: "any",
  };
}

function keyList(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const source = sourceOf(writing, tables, "single");
  const key = source.scope.find(({ name }) => name === source.tables[0]?.shardKey[0]);
  if (key === undefined) return plain(writing, tables);
  const list = outputs(writing, source, 3);
  const texts = Array.from({ length: random.integer(1, 6) }, () => randomText(key.type, random));
  const also = random.chance(30) ? ` AND ${predicate(writing, source.scope, 1)}` : "";
  return {
    kind: "select key list",
    sql: `SELECT ${list} FROM ${source.from} WHERE ${membership(writing, key, texts)}${also}`,
    order: "any",
  };
}

/** ORDER BY something, then what makes the order total; often with LIMIT and OFFSET. */
function ordered(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const limit = random.chance(65) ? limits(writing) : "";
  const safe = { ...writing, mayFail: limit === "" };
  const source = sourceOf(safe, tables);
  const list = outputs(safe, source, 4);
  const condition = where(safe, source);
  const first = random.shuffle(sortable(source.scope)).slice(0, random.integer(0, 2));
  const keys = [...first.map(({ sql }) => sql + direction(writing)), ...source.totalOrder];
  return {
    kind: `order by${limit === "" ? "" : " limit"}`,
    sql: `SELECT ${list} FROM ${source.from}${condition} ORDER BY ${keys.join(", ")}${limit}`,
    order: "total",
  };
}

function aggregate(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const source = sourceOf(writing, tables);
  const count = writing.random.integer(1, 4);
  const list = Array.from({ length: count }, () => aggregateCall(writing, source.scope)).join(", ");
  return {
    kind: "aggregate",
    sql: `SELECT ${list} FROM ${source.from}${where(writing, source)}`,
    order: "any",
  };
}

function grouped(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const source = sourceOf(writing, tables);
  const candidates = source.scope.filter(({ type }) => GROUPABLE.has(type));
  if (candidates.length === 0) return plain(writing, tables);
  const keys = random.shuffle(candidates).slice(0, random.integer(1, 2));
  const isSorted = random.chance(50);
  const limit = isSorted && random.chance(40) ? limits(writing) : "";
  const safe = { ...writing, mayFail: limit === "" };
  const calls = Array.from({ length: random.integer(1, 3) }, () =>
    aggregateCall(safe, source.scope),
  );
  const list = [...keys.map(({ sql }) => sql), ...calls].join(", ");
  const condition = where(writing, source);
  const having = random.chance(25)
    ? ` HAVING ${random.pick(["count(*) > 1", "count(*) = 1", "max(1) = 1", `min(${keys[0]?.sql}) IS NOT NULL`])}`
    : "";
  const groupBy = random.chance(20)
    ? keys.map((_, index) => index + 1).join(", ")
    : keys.map(({ sql }) => sql).join(", ");
  const sort = isSorted
    ? ` ORDER BY ${random.chance(30) ? "count(*) DESC, " : ""}${keys.map(({ sql }) => sql + direction(writing)).join(", ")}`
    : "";
  return {
    kind: "group by",
    sql: `SELECT ${list} FROM ${source.from}${condition} GROUP BY ${groupBy}${having}${sort}${limit}`,
    order: sort === "" ? "any" : "total",
  };
}

function distinct(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const source = sourceOf(writing, tables);
  const candidates = source.scope.filter(({ type }) => GROUPABLE.has(type));
  if (candidates.length === 0) return plain(writing, tables);
  const columns = random.shuffle(candidates).slice(0, random.integer(1, 2));
  const list = columns.map(({ sql }) => sql).join(", ");
  const condition = where(writing, source);
  if (random.chance(20)) {
    const keys = [...columns.map(({ sql }) => sql), ...source.totalOrder].join(", ");
    return {
      kind: "distinct on",
      sql: `SELECT DISTINCT ON (${list}) ${source.scope.map(({ sql }) => sql).join(", ")} FROM ${source.from}${condition} ORDER BY ${keys}`,
      order: "total",
    };
  }
  const isSorted = random.chance(50);
  const sort = isSorted
    ? ` ORDER BY ${columns.map(({ sql }) => sql + direction(writing)).join(", ")}${random.chance(40) ? limits(writing) : ""}`
    : "";
  return {
    kind: "distinct",
    sql: `SELECT DISTINCT ${list} FROM ${source.from}${condition}${sort}`,
    order: isSorted ? "total" : "any",
  };
}

function subquery(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const outer = sourceOf(writing, tables, "single");
  const inner = sourceOf(writing, tables, "single", "s");
  const outerKey = outer.key[0] ?? outer.scope[0];
  const innerKey = inner.key[0] ?? inner.scope[0];
  if (outerKey === undefined || innerKey === undefined) return plain(writing, tables);
  const list = outer.scope.map(({ sql }) => sql).join(", ");
  const pins = random.chance(50) ? ` AND ${pinned(writing, outer.key)}` : "";
  const innerPins = random.chance(30) ? ` AND ${pinned(writing, inner.key)}` : "";
  const forms = [
    `SELECT ${list} FROM ${outer.from} WHERE EXISTS (SELECT 1 FROM ${inner.from} WHERE ${innerKey.sql} = ${outerKey.sql})${pins}`,
    `SELECT ${list} FROM ${outer.from} WHERE ${outerKey.sql} IN (SELECT ${innerKey.sql} FROM ${inner.from} WHERE true${innerPins})${pins}`,
    `SELECT ${list}, (SELECT count(*) FROM ${inner.from} WHERE ${innerKey.sql} = ${outerKey.sql}${innerPins}) FROM ${outer.from} WHERE true${pins}`,
    `SELECT count(*) FROM (SELECT ${innerKey.sql} AS k FROM ${inner.from} WHERE true${innerPins}) AS d`,
    `SELECT ${list} FROM ${outer.from} WHERE NOT EXISTS (SELECT FROM ${inner.from} WHERE ${innerKey.sql} = ${outerKey.sql}${innerPins})${pins}`,
    `SELECT d.k, d.n FROM (SELECT ${innerKey.sql} AS k, count(*) AS n FROM ${inner.from} WHERE true${innerPins} GROUP BY 1) AS d WHERE d.n > 0`,
    `SELECT ${list}, x.n FROM ${outer.from} CROSS JOIN LATERAL (SELECT count(*) AS n FROM ${inner.from} WHERE ${innerKey.sql} = ${outerKey.sql}) AS x WHERE true${pins}`,
  ];
  return { kind: "subquery", sql: random.pick(forms), order: "any" };
}

function commonTable(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const source = sourceOf(writing, tables, "single");
  const columns = source.scope.map(({ sql }, index) => `${sql} AS c${index}`).join(", ");
  const pins =
    random.chance(60) && source.key.length > 0 ? ` WHERE ${pinned(writing, source.key)}` : "";
  const outer = random.pick([
    "SELECT * FROM w",
    "SELECT count(*) FROM w",
    "SELECT c0 FROM w ORDER BY c0",
    "SELECT a.c0, b.c0 FROM w a JOIN w b ON a.c0 = b.c0",
  ]);
  return {
    kind: "with",
    sql: `WITH w AS (SELECT ${columns} FROM ${source.from}${pins}) ${outer}`,
    order: "any",
  };
}

function setOperation(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const left = sourceOf(writing, tables, "single");
  const right = sourceOf(writing, tables, "single", "s");
  const shared = left.scope.find(
    ({ type }) => GROUPABLE.has(type) && right.scope.some((other) => other.type === type),
  );
  const other = right.scope.find(({ type }) => type === shared?.type);
  if (shared === undefined || other === undefined) return plain(writing, tables);
  const pinLeft =
    random.chance(60) && left.key.length > 0 ? ` WHERE ${pinned(writing, left.key)}` : "";
  const pinRight =
    random.chance(60) && right.key.length > 0 ? ` WHERE ${pinned(writing, right.key)}` : "";
  const operator = random.pick(["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
  const sort = random.chance(40) ? " ORDER BY 1" : "";
  return {
    kind: "set operation",
    sql: `SELECT ${shared.sql} FROM ${left.from}${pinLeft} ${operator} SELECT ${other.sql} FROM ${right.from}${pinRight}${sort}`,
    order: sort === "" ? "any" : "total",
  };
}

function window(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const { random } = writing;
  const source = sourceOf(writing, tables, "single");
  const partition =
    random.chance(70) && source.key.length > 0
      ? `PARTITION BY ${source.key.map(({ sql }) => sql).join(", ")} `
      : "";
  const call = random.pick(["row_number()", "rank()", "count(*)", `lag(${source.scope[0]?.sql})`]);
  const list = source.scope
    .slice(0, 3)
    .map(({ sql }) => sql)
    .join(", ");
  return {
    kind: "window",
    sql: `SELECT ${list}, ${call} OVER (${partition}ORDER BY ${source.totalOrder.join(", ")}) FROM ${source.from}${where(writing, source)}`,
    order: "any",
  };
}

function withoutTable(writing: Writing): WrittenSelect {
  const { random } = writing;
  const type = random.pick<TypeName>([
    "integer",
    "bigint",
    "text",
    "numeric",
    "date",
    "timestamptz",
    "boolean",
    "mood",
    "jsonb",
    "interval",
    "integer[]",
  ]);
  const forms = [
    () => `SELECT ${scalar(writing, [], type, 2)} AS x`,
    () => `VALUES (${value(writing, type)}), (${value(writing, type)})`,
    () => "SELECT generate_series(1, 5) AS n ORDER BY n DESC",
    () => "SELECT 1 AS one, NULL AS nothing, 'x' AS unknown",
    () => "SELECT double_of(21), pg_typeof(1.5), 'happy'::mood, ROW(1, 'a')",
    () => "SELECT",
  ];
  return { kind: "no table", sql: random.pick(forms)(), order: "any" };
}

function catalog({ random }: Writing): WrittenSelect {
  const sql = random.pick([
    "SELECT typname, typtype FROM pg_type WHERE typname = 'mood'",
    "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders' ORDER BY ordinal_position",
    "SELECT c.relname, c.relkind FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1",
    "SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY enumsortorder",
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = 'users'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    "SHOW standard_conforming_strings",
    "SHOW TimeZone",
  ]);
  return { kind: "catalog", sql, order: sql.includes("ORDER BY") ? "total" : "any" };
}

function locking(writing: Writing, tables: readonly TableModel[]): WrittenSelect {
  const source = sourceOf(writing, tables, "single");
  const pins = source.key.length > 0 ? ` WHERE ${pinned(writing, source.key)}` : "";
  const strength = writing.random.pick([
    "FOR UPDATE",
    "FOR SHARE",
    "FOR NO KEY UPDATE",
    "FOR KEY SHARE",
    "FOR UPDATE SKIP LOCKED",
  ]);
  return {
    kind: "for update",
    sql: `SELECT ${source.scope.map(({ sql }) => sql).join(", ")} FROM ${source.from}${pins} ${strength}`,
    order: "any",
  };
}

function outputs(writing: Writing, source: Source, most: number): string {
  const { random } = writing;
  if (random.chance(15) && !source.hasOpaque)
    return random.chance(50) ? "*" : `${source.qualifiers[0]}.*`;
  const columns = random.shuffle(source.scope).slice(0, random.integer(1, most));
  const list = columns.map(({ sql, type }) => {
    const written = random.chance(20) ? scalar(writing, source.scope, type, 2) : sql;
    return random.chance(15)
      ? `${written} AS ${identifier(random.pick(["a", "b", "Mixed Case", "id2", "ü"]))}`
      : written;
  });
  return list.join(", ");
}

function where(writing: Writing, source: Source): string {
  const { random } = writing;
  const conjuncts = [...source.conjuncts];
  if (source.key.length > 0 && random.chance(45)) conjuncts.push(pinned(writing, source.key));
  if (random.chance(45)) conjuncts.push(predicate(writing, source.scope, 1));
  return conjuncts.length === 0 ? "" : ` WHERE ${random.shuffle(conjuncts).join(" AND ")}`;
}

function sortable(scope: readonly ScopeColumn[]): ScopeColumn[] {
  return scope.filter(({ type }) => type !== "jsonb");
}

function direction({ random }: Writing): string {
  return random.pick([
    "",
    "",
    " ASC",
    " DESC",
    " NULLS FIRST",
    " DESC NULLS LAST",
    " ASC NULLS LAST",
  ]);
}

function limits(writing: Writing): string {
  const { random } = writing;
  const count = value(writing, "bigint", String(random.integer(0, 12)));
  const offset = random.chance(40)
    ? ` OFFSET ${value(writing, "bigint", String(random.integer(0, 5)))}`
    : "";
  return random.pick([
    ` LIMIT ${count}${offset}`,
    ` LIMIT ${count}${offset}`,
    `${offset} LIMIT ${count}`,
  ]);
}
