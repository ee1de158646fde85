/** FROM clauses: one table, colocated joins, joins with reference tables, and some that must be refused. */
import { predicate, value } from "./expressions.ts";
import type { ScopeColumn, Writing } from "./expressions.ts";
import { identifier } from "./model.ts";
import { TABLES } from "./tables.ts";
import type { TableModel } from "./model.ts";

export interface Source {
  readonly kind: string;
  readonly from: string;
  readonly tables: readonly TableModel[];
  readonly qualifiers: readonly string[];
  readonly scope: readonly ScopeColumn[];
  /** The first table's shard key. */
  readonly key: readonly ScopeColumn[];
  /** Join conditions that stand in WHERE. */
  readonly conjuncts: readonly string[];
  /** Sort keys after which no two different rows tie. */
  readonly totalOrder: readonly string[];
  /** `*` would show values that are the server's own. */
  readonly hasOpaque: boolean;
}

interface Member {
  readonly table: TableModel;
  readonly qualifier: string;
  readonly reference: string;
}

/** `only: "single"` gives one table; `prefix` keeps the aliases of two sources apart. */
export function sourceOf(
  writing: Writing,
  tables: readonly TableModel[],
  only: "single" | "any" = "any",
  prefix = "t",
): Source {
  const { random } = writing;
  const table = random.pick(tables);
  const first = member(writing, table, prefix === "t" ? "t" : prefix);
  if (only === "single" || random.chance(55)) return finish("", [first], first.reference, []);
  const colocated = isJoinable(table)
    ? TABLES.filter((other) => other.home === table.home && isJoinable(other))
    : [];
  if (table.home === "users" && random.chance(30)) return withReference(writing, first);
  if (colocated.length > 0 && random.chance(85)) return colocatedJoin(writing, first, colocated);
  return anyJoin(writing, first);
}

/** Keys that the servers draw themselves meet by chance alone. */
function isJoinable({ columns, shardKey }: TableModel): boolean {
  return (
    shardKey.length > 0 &&
    !columns.some(({ name, isOpaque }) => isOpaque && shardKey.includes(name))
  );
}

/** Every column of the shard key equal to a value. */
export function pinned(writing: Writing, key: readonly ScopeColumn[]): string {
  if (key.length === 0) return "true";
  return key
    .map(({ sql, type }) => {
      const wanted = value(writing, type);
      return writing.random.chance(15) ? `${wanted} = ${sql}` : `${sql} = ${wanted}`;
    })
    .join(" AND ");
}

function member({ random }: Writing, table: TableModel, alias: string): Member {
  const name = identifier(table.name);
  const written = random.chance(8) ? `public.${name}` : name;
  if (alias === "t" && random.chance(40)) return { table, qualifier: name, reference: written };
  return {
    table,
    qualifier: alias,
    reference: `${written}${random.chance(50) ? " AS" : ""} ${alias}`,
  };
}

function colocatedJoin(writing: Writing, first: Member, colocated: readonly TableModel[]): Source {
  const { random } = writing;
  const members = [first];
  let from = first.reference;
  const conjuncts: string[] = [];
  const count = random.chance(25) ? 2 : 1;
  const isComma = random.chance(15);
  for (let index = 0; index < count; index++) {
    const next = member(writing, random.pick(colocated), `j${index}`);
    const on = next.table.shardKey.map(
      (name, at) =>
        `${next.qualifier}.${identifier(name)} = ${first.qualifier}.${identifier(first.table.shardKey[at] ?? name)}`,
    );
    const sameNames = next.table.shardKey.every((name, at) => name === first.table.shardKey[at]);
    if (isComma) {
      from += `, ${next.reference}`;
      conjuncts.push(...on);
    } else {
      const join = random.pick([
        "JOIN",
        "JOIN",
        "INNER JOIN",
        "LEFT JOIN",
        "RIGHT JOIN",
        "FULL JOIN",
        "LEFT OUTER JOIN",
      ]);
      const also = random.chance(20) ? ` AND ${predicate(writing, scopeOf(next), 0)}` : "";
      const using = members.length === 1 && sameNames && random.chance(25);
      from += using
        ? ` ${join} ${next.reference} USING (${next.table.shardKey.map(identifier).join(", ")})`
        : ` ${join} ${next.reference} ON ${on.join(" AND ")}${join === "FULL JOIN" ? "" : also}`;
    }
    members.push(next);
  }
  return finish(" colocated join", members, from, conjuncts);
}

function withReference(writing: Writing, first: Member): Source {
  const { random } = writing;
  const users = first.table.columns.some(({ name }) => name === "country")
    ? first
    : member(writing, TABLES.find(({ name }) => name === "users") as TableModel, "u");
  const countries = member(
    writing,
    TABLES.find(({ name }) => name === "countries") as TableModel,
    "c",
  );
  const join = random.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
  const on = `${users.qualifier}.country = ${countries.qualifier}.code`;
  const isReversed = random.chance(30);
  const from = isReversed
    ? `${countries.reference} ${join} ${users.reference} ON ${on}`
    : `${users.reference} ${join} ${countries.reference} ON ${on}`;
  return finish(" reference join", [users, countries], from, []);
}

/** Two tables on columns of one type, wherever they live. */
function anyJoin(writing: Writing, first: Member): Source {
  const { random } = writing;
  const second = member(writing, random.pick(TABLES), "o");
  for (const left of random.shuffle(scopeOf(first))) {
    const right = scopeOf(second).find(({ type }) => type === left.type);
    if (right === undefined) continue;
    const join = random.pick(["JOIN", "LEFT JOIN"]);
    return finish(
      " join",
      [first, second],
      `${first.reference} ${join} ${second.reference} ON ${left.sql} = ${right.sql}`,
      [],
    );
  }
  return finish("", [first], first.reference, []);
}

function scopeOf({ table, qualifier }: Member): ScopeColumn[] {
  return table.columns
    .filter(({ isOpaque }) => !isOpaque)
    .map(({ name, type }) => ({ sql: `${qualifier}.${identifier(name)}`, name, type }));
}

function finish(
  kind: string,
  members: readonly Member[],
  from: string,
  conjuncts: readonly string[],
): Source {
  const [first] = members as readonly [Member, ...Member[]];
  const opaque = (table: TableModel): boolean => table.columns.some(({ isOpaque }) => isOpaque);
  const key = scopeOf(first).filter(({ name }) => first.table.shardKey.includes(name));
  const totalOrder = members.flatMap(({ table, qualifier }) => {
    const visible = table.columns.filter(({ isOpaque }) => !isOpaque).map(({ name }) => name);
    const names = opaque(table) ? visible : table.primaryKey;
    return names.map((name) => `${qualifier}.${identifier(name)}`);
  });
  return {
    kind: `${first.table.shardKey.length > 0 ? "sharded" : first.table.home}${kind}`,
    from,
    tables: members.map(({ table }) => table),
    qualifiers: members.map(({ qualifier }) => qualifier),
    scope: members.flatMap(scopeOf),
    key: key.length === first.table.shardKey.length ? key : [],
    conjuncts,
    totalOrder,
    hasOpaque: members.some(({ table }) => opaque(table)),
  };
}
