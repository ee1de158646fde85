/**
 * What the levels of one composed query share: whose tables they read, the names already
 * given, and the columns that outer levels lend to inner ones.
 *
 * Composed queries stay with one colocation (or the group's tables) and reference tables:
 * those are what the proxy should answer. Joins of what does not belong together are
 * written by `select-source.ts`.
 */
import { GROUPABLE } from "../aggregates.ts";
import type { ScopeColumn, Writing } from "../expressions.ts";
import { membership, value } from "../expressions.ts";
import { columnOf, identifier } from "../model.ts";
import type { TableModel, TypeName } from "../model.ts";
import { randomText } from "../values.ts";
import type { RowOrder } from "../statement.ts";

/** What a FROM item shows, whatever it is: a table, a view, a sub-select, a name of WITH. */
export interface Relation {
  /** As it stands in FROM, with its alias. */
  readonly reference: string;
  readonly qualifier: string;
  readonly columns: readonly VisibleColumn[];
  /** The shard key, in order; none where the relation has none or hides it. */
  readonly key: readonly VisibleColumn[];
  /** Columns after which only rows that look alike tie. */
  readonly order: readonly VisibleColumn[];
  /** No two rows look alike, so that `order` leaves none tied. */
  readonly isUnique: boolean;
}

export interface VisibleColumn extends ScopeColumn {
  /** `default` or the COLLATE of the column: two that differ may not be compared. */
  readonly collation: string;
}

export interface Output {
  readonly name: string;
  readonly type: TypeName;
  readonly collation: string;
}

/** One SELECT, with every column named. */
export interface Level {
  readonly sql: string;
  readonly outputs: readonly Output[];
  readonly order: RowOrder;
}

export interface Composing {
  readonly writing: Writing;
  /** The tables of one home. */
  readonly tables: readonly TableModel[];
  /** How many levels may still stand inside of this one. */
  readonly depth: number;
  /** Columns of the levels around this one, for correlation. */
  readonly outer: readonly Relation[];
  /** Names of WITH that may be read here. */
  readonly named: readonly NamedQuery[];
  /** Handed out over all levels, so that no alias hides another. */
  readonly aliases: { next: number };
  /** Writes a level; passed along, since levels hold relations and relations hold levels. */
  readonly level: (composing: Composing, wanted: Wanted) => Level;
}

export interface NamedQuery {
  readonly name: string;
  readonly outputs: readonly Output[];
  readonly key: readonly number[];
}

export type Wanted =
  | { readonly kind: "any" }
  /** The first outputs are a shard key, so that others can be joined to it. */
  | { readonly kind: "keyed" }
  /** One output, of this type. */
  | { readonly kind: "column"; readonly type: TypeName; readonly collation: string };

export function freshAlias({ aliases }: Composing, prefix: string): string {
  aliases.next += 1;
  return `${prefix}${aliases.next}`;
}

/** Inside of a level: one less may follow. */
export function below(composing: Composing, outer: readonly Relation[]): Composing {
  return { ...composing, depth: composing.depth - 1, outer: [...composing.outer, ...outer] };
}

export function visible(qualifier: string, { name, type, collation }: Output): VisibleColumn {
  return { sql: `${qualifier}.${identifier(name)}`, name, type, collation };
}

/** A table under an alias, without the columns whose values are the server's own. */
export function tableRelation(composing: Composing, table: TableModel): Relation {
  const qualifier = freshAlias(composing, "t");
  const columns = table.columns
    .filter(({ isOpaque }) => !isOpaque)
    .map(({ name, type, constraint }) =>
      visible(qualifier, { name, type, collation: collationOf(constraint) }),
    );
  const isOpaque = (name: string): boolean => columnOf(table, name).isOpaque;
  const isUnique = !table.primaryKey.some(isOpaque);
  const keyed = (names: readonly string[]): VisibleColumn[] =>
    names.flatMap((name) => columns.find((column) => column.name === name) ?? []);
  return {
    reference: `${identifier(table.name)} ${qualifier}`,
    qualifier,
    columns,
    key: table.shardKey.some(isOpaque) ? [] : keyed(table.shardKey),
    order: isUnique ? keyed(table.primaryKey) : columns.filter(isSortable),
    isUnique,
  };
}

export function collationOf(constraint: string): string {
  return /COLLATE ("[^"]+")/.exec(constraint)?.[1] ?? "default";
}

export function isSortable({ type }: ScopeColumn): boolean {
  return type !== "jsonb";
}

/** Equal values look alike, so that a group, a DISTINCT or a set operation shows the same one everywhere. */
export function isGroupable({ type }: { readonly type: TypeName }): boolean {
  return GROUPABLE.has(type);
}

/** Comparable without a cast, and of one collation. */
export function areAlike(
  left: { readonly type: TypeName; readonly collation: string },
  right: { readonly type: TypeName; readonly collation: string },
): boolean {
  return left.type === right.type && left.collation === right.collation;
}

/**
 * A condition that cannot fail, whichever rows it is asked of and in whatever order: where
 * it stands beside others, the server may ask it of rows that others leave out.
 */
export function condition({ writing }: Composing, columns: readonly VisibleColumn[]): string {
  const { random } = writing;
  const column = random.pick(columns);
  const { sql, type } = column;
  const other = columns.find((each) => each.sql !== sql && areAlike(each, column));
  switch (random.integer(0, 9)) {
    case 0:
      return `${sql} IS ${random.pick(["", "NOT "])}NULL`;
    case 1:
      return membership(
        writing,
        column,
        Array.from({ length: random.integer(1, 4) }, () => randomText(type, random)),
      );
    case 2:
      return `${sql} IS ${random.pick(["", "NOT "])}DISTINCT FROM ${value(writing, type)}`;
    case 3:
      return type === "jsonb"
        ? `${sql} IS NOT NULL`
        : `${sql} BETWEEN ${value(writing, type)} AND ${value(writing, type)}`;
    case 4:
      return rowComparison(writing, columns);
    case 5:
      return other === undefined
        ? `${sql} IS NOT NULL`
        : `${sql} ${random.pick(["=", "<>", "<=", ">"])} ${other.sql}`;
    case 6:
      return `(${sql} IS NULL OR ${sql} ${random.pick(["<>", "="])} ${value(writing, type)})`;
    default:
      return `${sql} ${random.pick(["=", "<>", "<", ">", "<=", ">="])} ${value(writing, type)}`;
  }
}

/** `(a, b) >= (1, 'x')`, as of a page that begins after another. */
function rowComparison(writing: Writing, columns: readonly VisibleColumn[]): string {
  const { random } = writing;
  const picked = random.shuffle(columns.filter(isGroupable)).slice(0, random.integer(2, 3));
  if (picked.length < 2) return "true";
  const left = `${random.pick(["", "ROW"])}(${picked.map(({ sql }) => sql).join(", ")})`;
  const right = (): string => `(${picked.map(({ type }) => value(writing, type)).join(", ")})`;
  if (random.chance(30)) return `${left} IN (${right()}, ${right()})`;
  return `${left} ${random.pick(["=", ">", ">=", "<", "<="])} ${random.pick(["", "ROW"])}${right()}`;
}

/** ASC, DESC and NULLS in all their spellings. */
export function direction({ writing: { random } }: Composing): string {
  return random.pick(["", "", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
}

export function limitOf({ writing }: Composing): string {
  const { random } = writing;
  const count = value(writing, "bigint", String(random.integer(0, 9)));
  const offset = random.chance(35) ? ` OFFSET ${random.integer(0, 4)}` : "";
  return random.pick([
    ` LIMIT ${count}${offset}`,
    `${offset} LIMIT ${count}`,
    `${offset} FETCH FIRST ${random.integer(1, 6)} ROWS ONLY`,
  ]);
}
