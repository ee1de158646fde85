/**
 * FROM clauses of one to four relations that are tied by the shard key, with reference
 * tables among them: every kind of join, sub-selects, LATERAL, and names of WITH.
 */
import { identifier } from "../model.ts";

import { tableNamed } from "../tables.ts";
import { VIEWS } from "../views.ts";
import {
  areAlike,
  below,
  condition,
  freshAlias,
  isGroupable,
  tableRelation,
  visible,
} from "./composing.ts";
import type { Composing, Relation, VisibleColumn } from "./composing.ts";

export interface From {
  readonly sql: string;
  readonly relations: readonly Relation[];
  /** Conditions that must stand in WHERE: those of a comma join. */
  readonly conjuncts: readonly string[];
}

export function columnsOf({ relations }: Pick<From, "relations">): VisibleColumn[] {
  return relations.flatMap(({ columns }) => columns);
}

export function orderOf({ relations }: Pick<From, "relations">): VisibleColumn[] {
  return relations.flatMap(({ order }) => order);
}

/** The first relation's key, by which others may be joined. */
export function keyOf({ relations }: Pick<From, "relations">): readonly VisibleColumn[] {
  return relations[0]?.key ?? [];
}

export function writeFrom(composing: Composing, most = 4): From {
  const { random } = composing.writing;
  const count = Math.min(
    most,
    random.weighted([
      [46, 1],
      [27, 2],
      [16, 3],
      [11, 4],
    ]),
  );
  const first = relation(composing);
  let from: From = { sql: first.reference, relations: [first], conjuncts: [] };
  let isMerged = true;
  while (from.relations.length < count) {
    const joined = joinedTo(composing, from, isMerged);
    isMerged &&= joined.sql.includes("USING") || joined.sql.includes("NATURAL");
    from = joined;
  }
  return from;
}

/** A table mostly; a view, a sub-select or a name of WITH now and then. */
function relation(composing: Composing): Relation {
  const { random } = composing.writing;
  const views = VIEWS.filter(({ home }) => home === composing.tables[0]?.home);
  return random.weighted<() => Relation>([
    [75, () => tableRelation(composing, random.pick(composing.tables))],
    [views.length > 0 ? 8 : 0, () => tableRelation(composing, random.pick(views))],
    [composing.depth > 0 ? 12 : 0, () => subSelect(composing, "")],
    [composing.named.length > 0 ? 30 : 0, () => namedRelation(composing)],
  ])();
}

function subSelect(
  composing: Composing,
  keyword: "" | "LATERAL ",
  outer: readonly Relation[] = [],
): Relation {
  const inner =
    keyword === "" ? { ...below(composing, []), outer: composing.outer } : below(composing, outer);
  const { sql, outputs } = composing.level(inner, { kind: "keyed" });
  const qualifier = freshAlias(composing, "d");
  const columns = outputs.map((output) => visible(qualifier, output));
  const width = composing.tables[0]?.shardKey.length ?? 0;
  return {
    reference: `${keyword}(${sql}) AS ${qualifier}`,
    qualifier,
    columns,
    key: columns.slice(0, width),
    order: columns.filter(isGroupable),
    isUnique: false,
  };
}

function namedRelation(composing: Composing): Relation {
  const { name, outputs, key } = composing.writing.random.pick(composing.named);
  const qualifier = freshAlias(composing, "w");
  const columns = outputs.map((output) => visible(qualifier, output));
  return {
    reference: `${name} AS ${qualifier}`,
    qualifier,
    columns,
    key: key.flatMap((index) => columns[index] ?? []),
    order: columns.filter(isGroupable),
    isUnique: false,
  };
}

function joinedTo(composing: Composing, from: From, isMerged: boolean): From {
  const { random } = composing.writing;
  const country = columnsOf(from).find(
    ({ name, type }) => name === "country" && type === "varchar(20)",
  );
  if (country !== undefined && random.chance(25)) return withCountries(composing, from, country);
  if (composing.depth > 0 && random.chance(12)) return withLateral(composing, from);
  const next = relation(composing);
  const anchor = random.pickIfAny(from.relations.filter(({ key }) => key.length > 0));
  if (anchor === undefined || next.key.length === 0) return cross(composing, from, next);
  const ties = next.key.map((column, index) => tie(composing, column, anchor.key[index]));
  const shared = sharedNames(from, next);
  const isSameNames = next.key.every(({ name }, index) => name === keyOf(from)[index]?.name);
  const join = random.pick([
    "JOIN",
    "JOIN",
    "INNER JOIN",
    "LEFT JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL JOIN",
  ]);
  const relations = [...from.relations, next];
  if (
    from.relations.length === 1 &&
    isSameNames &&
    shared.length === next.key.length &&
    random.chance(30)
  )
    return { ...from, relations, sql: `${from.sql} NATURAL ${join} ${next.reference}` };
  if (isMerged && isSameNames && random.chance(35))
    return {
      ...from,
      relations,
      sql: `${from.sql} ${join} ${next.reference} USING (${next.key.map(({ name }) => identifier(name)).join(", ")})`,
    };
  if (random.chance(10))
    return {
      relations,
      sql: `${from.sql} CROSS JOIN ${next.reference}`,
      conjuncts: [...from.conjuncts, ...ties],
    };
  const also =
    join !== "FULL JOIN" && random.chance(25) ? ` AND ${condition(composing, next.columns)}` : "";
  return {
    ...from,
    relations,
    sql: `${from.sql} ${join} ${next.reference} ON ${ties.join(" AND ")}${also}`,
  };
}

function tie(
  { writing }: Composing,
  left: VisibleColumn,
  right: VisibleColumn | undefined,
): string {
  const other = right?.sql ?? left.sql;
  return writing.random.chance(30) ? `${other} = ${left.sql}` : `${left.sql} = ${other}`;
}

/** Names that NATURAL would join by. */
function sharedNames(from: From, next: Relation): string[] {
  const names = new Set(columnsOf(from).map(({ name }) => name));
  return next.columns.map(({ name }) => name).filter((name) => names.has(name));
}

/** Tables that have no key in common (those of the group) meet on columns of one type. */
function cross(composing: Composing, from: From, next: Relation): From {
  for (const left of composing.writing.random.shuffle(columnsOf(from))) {
    const right = next.columns.find((column) => areAlike(column, left) && isGroupable(column));
    if (right === undefined) continue;
    return {
      ...from,
      relations: [...from.relations, next],
      sql: `${from.sql} JOIN ${next.reference} ON ${left.sql} = ${right.sql}`,
    };
  }
  return {
    ...from,
    relations: [...from.relations, next],
    sql: `${from.sql} CROSS JOIN ${next.reference}`,
  };
}

function withCountries(composing: Composing, from: From, country: VisibleColumn): From {
  const { random } = composing.writing;
  const countries = tableRelation(composing, tableNamed("countries"));
  const join = random.pick(["JOIN", "JOIN", "LEFT JOIN"]);
  return {
    ...from,
    relations: [...from.relations, countries],
    sql: `${from.sql} ${join} ${countries.reference} ON ${country.sql} = ${countries.qualifier}.code`,
  };
}

function withLateral(composing: Composing, from: From): From {
  const { random } = composing.writing;
  const lateral = subSelect(composing, "LATERAL ", from.relations);
  const join = random.pick([
    `CROSS JOIN ${lateral.reference}`,
    `LEFT JOIN ${lateral.reference} ON true`,
    `JOIN ${lateral.reference} ON true`,
  ]);
  return { ...from, relations: [...from.relations, lateral], sql: `${from.sql} ${join}` };
}
