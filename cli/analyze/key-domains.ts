/**
 * Columns that hold the same keys: those that the workload equates, that a foreign key
 * ties, or that transactions give a value beside each other under the same name. Each such
 * domain may become a colocation, with one column of each of its tables as its shard key.
 */
import type { PlanContext } from "../../planner/plan-context.ts";
import type { CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import type { KeyType } from "../../shardmap/shard-key.ts";
import { relationOf, type StatementLinks, type TableColumn } from "./links.ts";
import type { Together } from "./workload.ts";

export interface KeyDomain {
  /** The table whose primary key the domain is, else the one that weighs most. */
  readonly name: string;
  /** That of all its columns, or the widest of their family. */
  readonly keyType: KeyType;
  /** By table, the column that weighs most in it. */
  readonly columns: ReadonlyMap<string, string>;
  /** Calls that pin or join its columns. */
  readonly weight: number;
}

/** By type OID; dates and times say when a row was made and not whose it is. */
const KEY_TYPES: ReadonlyMap<number, { readonly type: KeyType; readonly widest: KeyType }> =
  new Map([
    [20, { type: "bigint", widest: "bigint" }],
    [21, { type: "smallint", widest: "bigint" }],
    [23, { type: "integer", widest: "bigint" }],
    [25, { type: "text", widest: "text" }],
    [1043, { type: "varchar", widest: "text" }],
    [2950, { type: "uuid", widest: "uuid" }],
  ]);

/** Undefined for a column that cannot be a shard key. */
export function keyTypeOf(column: CatalogColumn | undefined): KeyType | undefined {
  return KEY_TYPES.get(column?.typeOid ?? 0)?.type;
}

/** Those that no database could enforce if the table were sharded by the column. */
export function uniqueKeysWithout(
  { uniqueKeys }: CatalogRelation,
  column: string,
): CatalogRelation["uniqueKeys"] {
  return uniqueKeys.filter(({ columns }) => columns?.includes(column) !== true);
}

/** The heaviest first. */
export function keyDomains(
  links: readonly StatementLinks[],
  together: readonly Together[],
  context: PlanContext,
): readonly KeyDomain[] {
  const domains = new ColumnSets(context);
  for (const { statement, joins, pins } of links) {
    for (const [left, right] of joins) domains.join(left, right, statement.calls);
    for (const pinned of pins) domains.weigh(pinned, statement.calls);
  }
  for (const [left, right] of foreignKeys(links, context)) domains.join(left, right, 0);
  for (const [left, right] of pinnedTogether(links, together)) domains.join(left, right, 0);
  return domains.list().toSorted((left, right) => right.weight - left.weight);
}

function* foreignKeys(
  links: readonly StatementLinks[],
  context: PlanContext,
): Generator<readonly [TableColumn, TableColumn]> {
  const tables = new Set(links.flatMap((link) => link.tables));
  for (const table of tables) {
    for (const key of relationOf(table, context)?.foreignKeys ?? []) {
      const [column, ...more] = key.columns;
      const [referenced] = key.referencedColumns;
      if (column === undefined || referenced === undefined || more.length > 0) continue;
      if (!tables.has(key.referencedTable)) continue;
      yield [
        { table, column },
        { table: key.referencedTable, column: referenced },
      ];
    }
  }
}

/** `orders.user_id = $1` and `carts.user_id = $1` in one transaction mean the same user. */
function* pinnedTogether(
  links: readonly StatementLinks[],
  together: readonly Together[],
): Generator<readonly [TableColumn, TableColumn]> {
  const byStatement = new Map(links.map((link) => [link.statement, link]));
  for (const { statements } of together) {
    const pins = statements.flatMap((statement) => byStatement.get(statement)?.pins ?? []);
    for (const [index, left] of pins.entries()) {
      for (const right of pins.slice(index + 1)) {
        if (left.table !== right.table && meansTheSame(left, right)) yield [left, right];
      }
    }
  }
}

function meansTheSame(left: TableColumn, right: TableColumn): boolean {
  if (left.column === right.column) return left.column !== "id";
  return isReferenceTo(left, right) || isReferenceTo(right, left);
}

/** `user_id` to `users.id`. */
function isReferenceTo({ column }: TableColumn, to: TableColumn): boolean {
  const singular = to.table.replace(/s$/, "");
  return to.column === "id" && (column === `${singular}_id` || column === `${to.table}_id`);
}

/** Disjoint sets of columns of one type each. */
class ColumnSets {
  readonly #context: PlanContext;
  readonly #parents = new Map<string, string>();
  readonly #columns = new Map<
    string,
    TableColumn & {
      readonly type: KeyType;
      readonly widest: KeyType;
      /** How many of its table's keys do not contain it. */
      readonly keysWithout: number;
    }
  >();
  readonly #weights = new Map<string, number>();

  constructor(context: PlanContext) {
    this.#context = context;
  }

  weigh(column: TableColumn, weight: number): void {
    const key = this.#known(column);
    if (key !== undefined) this.#weights.set(key, (this.#weights.get(key) ?? 0) + weight);
  }

  join(left: TableColumn, right: TableColumn, weight: number): void {
    this.weigh(left, weight);
    this.weigh(right, weight);
    const one = this.#known(left);
    const other = this.#known(right);
    if (one === undefined || other === undefined) return;
    if (this.#columns.get(one)?.widest !== this.#columns.get(other)?.widest) return;
    this.#parents.set(this.#root(one), this.#root(other));
  }

  list(): readonly KeyDomain[] {
    const sets = Map.groupBy(this.#columns.keys(), (key) => this.#root(key));
    return [...sets.values()].flatMap((keys) => this.#domain(keys) ?? []);
  }

  #domain(keys: readonly string[]): KeyDomain | undefined {
    // Of two columns that weigh the same, the one that leaves the table's keys as they are.
    const heaviestFirst = keys.toSorted(
      (a, b) => this.#weight(b) - this.#weight(a) || this.#keysWithout(a) - this.#keysWithout(b),
    );
    const columns = new Map<string, string>();
    const types = new Set<KeyType>();
    let weight = 0;
    for (const key of heaviestFirst) {
      weight += this.#weight(key);
      const known = this.#columns.get(key);
      if (known === undefined || columns.has(known.table)) continue;
      columns.set(known.table, known.column);
      types.add(known.type);
    }
    const [type] = types;
    const keyType = types.size === 1 ? type : this.#columns.get(keys[0] ?? "")?.widest;
    const owner = [...columns].find(([table, column]) => {
      const primaryKey = relationOf(table, this.#context)?.primaryKey;
      return primaryKey?.length === 1 && primaryKey[0] === column;
    });
    const [first] = columns;
    if (first === undefined || keyType === undefined || weight === 0) return undefined;
    // A table's own name is taken by the domain of its primary key, of which there is one.
    return { name: owner?.[0] ?? first.join("_"), keyType, columns, weight };
  }

  #weight(key: string): number {
    return this.#weights.get(key) ?? 0;
  }

  #keysWithout(key: string): number {
    return this.#columns.get(key)?.keysWithout ?? 0;
  }

  #known({ table, column }: TableColumn): string | undefined {
    const key = `${table}.${column}`;
    if (this.#columns.has(key)) return key;
    const relation = relationOf(table, this.#context);
    const found = relation?.columns.find(({ name }) => name === column);
    const types = KEY_TYPES.get(found?.typeOid ?? 0);
    if (relation === undefined || found === undefined || types === undefined) return undefined;
    const collation = this.#context.catalog.collations.get(found.collationOid);
    if (found.fill.kind === "generated" || collation?.isDeterministic === false) return undefined;
    const keysWithout = uniqueKeysWithout(relation, column).length;
    this.#columns.set(key, { table, column, ...types, keysWithout });
    return key;
  }

  #root(key: string): string {
    let at = key;
    for (
      let up = this.#parents.get(at);
      up !== undefined && up !== at;
      up = this.#parents.get(at)
    ) {
      at = up;
    }
    return at;
  }
}
