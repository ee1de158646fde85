/**
 * How rows of a schema are made that nobody has described: for each table which columns an INSERT
 * names, with what values, and which column tells one version of a row from the next. Tables that
 * refer to each other make a family: a row in each, with one number, parents first.
 *
 * It knows catalogs and maps, and no servers.
 */
import { quoteQualified } from "../../base/sql-quoting.ts";
import type { Catalog, CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import type { KeyRange } from "../../shardmap/shard-function/shard-function.ts";
import type { KeyValue } from "../../shardmap/shard-key.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import { CommandFailure } from "../failure.ts";
import { valuesOf } from "./values.ts";
import type { ValueOf } from "./values.ts";

export interface ColumnRecipe {
  readonly name: string;
  /** As SQL names it. */
  readonly type: string;
  readonly valueOf: ValueOf;
}

export interface TableRecipe {
  readonly table: string;
  /** What an INSERT names, the stamp left out. */
  readonly columns: readonly ColumnRecipe[];
  readonly key: readonly ColumnRecipe[];
  /** A column of numbers or text that every change sets anew; undefined where the table has none to spare. */
  readonly stamp: string | undefined;
}

/** Tables in the order in which a row is made in each. */
export type Family = readonly TableRecipe[];

export interface Recipes {
  readonly families: readonly Family[];
  /** Tables whose keys a sequence gives: one row at a time, told apart by their stamps. */
  readonly drawn: readonly (TableRecipe & { readonly stamp: string })[];
  /** Rows that others refer to, made once. */
  readonly reference: readonly TableRecipe[];
}

/** Reference tables have so many rows: others refer to one after the other. */
export const REFERENCE_ROWS = 20;

/**
 * `isIndexed`: by any index, so that a value has to be small. Throws CommandFailure where a table's
 * rows cannot be made up.
 */
export function recipesOf(
  catalog: Catalog,
  map: ShardMap,
  isIndexed: (table: string, column: string) => boolean,
): Recipes {
  const relations = new Map<string, CatalogRelation>();
  for (const name of map.tables.keys()) {
    const relation = catalog.relations.get(map.canonicalSchema)?.get(name);
    if (relation !== undefined) relations.set(name, relation);
  }
  const cook = new Cook(catalog, map, relations, isIndexed);
  const isReference = (name: string): boolean => map.referenceTables.has(name);
  const moving = [...relations.keys()].filter((name) => !isReference(name));
  const drawn = moving.flatMap((name) => cook.drawn(name));
  const families = groupsOf(moving, relations)
    .map((tables) => tables.filter((name) => !cook.isOnlyDrawn(name)))
    .filter((tables) => tables.length > 0)
    .map((tables) => inOrder(tables, relations).map((name) => cook.recipe(name)));
  const reference = inOrder([...relations.keys()].filter(isReference), relations);
  return { families, drawn, reference: reference.map((name) => cook.recipe(name)) };
}

/** Tables that foreign keys connect. */
function groupsOf(
  names: readonly string[],
  relations: ReadonlyMap<string, CatalogRelation>,
): readonly (readonly string[])[] {
  const groupOf = new Map(names.map((name) => [name, new Set([name])]));
  for (const name of names)
    for (const { referencedTable } of relations.get(name)?.foreignKeys ?? []) {
      const [own, other] = [groupOf.get(name), groupOf.get(referencedTable)];
      if (own === undefined || other === undefined || own === other) continue;
      for (const each of other) {
        own.add(each);
        groupOf.set(each, own);
      }
    }
  return [...new Set(groupOf.values())].map((group) => [...group]);
}

/** Those referred to come first; of tables that refer to each other, as they come. */
function inOrder(
  names: readonly string[],
  relations: ReadonlyMap<string, CatalogRelation>,
): readonly string[] {
  const ordered = new Set<string>();
  const visited = new Set<string>();
  const visit = (name: string): void => {
    if (visited.has(name)) return;
    visited.add(name);
    for (const { referencedTable } of relations.get(name)?.foreignKeys ?? [])
      if (names.includes(referencedTable)) visit(referencedTable);
    ordered.add(name);
  };
  for (const name of names) visit(name);
  return [...ordered];
}

class Cook {
  readonly #catalog: Catalog;
  readonly #map: ShardMap;
  readonly #relations: ReadonlyMap<string, CatalogRelation>;
  readonly #isIndexed: (table: string, column: string) => boolean;

  constructor(
    catalog: Catalog,
    map: ShardMap,
    relations: ReadonlyMap<string, CatalogRelation>,
    isIndexed: (table: string, column: string) => boolean,
  ) {
    this.#isIndexed = isIndexed;
    this.#catalog = catalog;
    this.#map = map;
    this.#relations = relations;
  }

  recipe(table: string): TableRecipe {
    const relation = this.#relation(table);
    if (relation.primaryKey.length === 0)
      throw new CommandFailure(
        `table ${table} has no primary key: its rows cannot be told apart. Add one to the schema file`,
      );
    const stamp = this.#stampOf(relation);
    const columns = relation.columns.flatMap((column) => {
      if (column.name === stamp) return [];
      const valueOf = this.#valueOf(relation, column);
      return valueOf === undefined ? [] : [this.#columnRecipe(column, valueOf)];
    });
    const key = relation.primaryKey.map((name) => {
      const found = columns.find((column) => column.name === name);
      if (found !== undefined) return found;
      throw new CommandFailure(
        `table ${table}: values of the key column ${name} cannot be made up, as it is ${this.#typeName(relation, name)}`,
      );
    });
    return { table, columns, key, stamp };
  }

  /** None unless a sequence gives the key, the table refers to no other, and has a column to tell rows apart. */
  drawn(table: string): readonly (TableRecipe & { readonly stamp: string })[] {
    const relation = this.#relation(table);
    const [keyName, ...others] = relation.primaryKey;
    const key = relation.columns.find(({ name }) => name === keyName);
    const isGiven = key?.fill.kind === "identity" || key?.fill.kind === "sequence";
    if (!isGiven || others.length > 0 || relation.foreignKeys.length > 0) return [];
    const stamp = this.#stampOf(relation);
    if (stamp === undefined) return [];
    const columns = relation.columns.flatMap((column) => {
      const valueOf = this.#valueOf(relation, column);
      const isNamed = valueOf !== undefined && column.name !== stamp && column !== key;
      return isNamed ? [this.#columnRecipe(column, valueOf)] : [];
    });
    return [{ table, columns, key: [], stamp }];
  }

  /** Its keys cannot be given. */
  isOnlyDrawn(table: string): boolean {
    return this.#relation(table).columns.some(
      ({ fill }) => fill.kind === "identity" && fill.always,
    );
  }

  #relation(table: string): CatalogRelation {
    const relation = this.#relations.get(table);
    if (relation === undefined) throw new CommandFailure(`the schema file does not make ${table}`);
    return relation;
  }

  #columnRecipe({ name, typeOid }: CatalogColumn, valueOf: ValueOf): ColumnRecipe {
    const type = this.#catalog.types.get(typeOid);
    return {
      name,
      type: type === undefined ? "text" : quoteQualified(type.schema, type.name),
      valueOf,
    };
  }

  #typeName(relation: CatalogRelation, column: string): string {
    const { typeOid } = relation.columns.find(({ name }) => name === column) ?? {};
    return this.#catalog.types.get(typeOid ?? 0)?.name ?? "of an unknown type";
  }

  /** Undefined where an INSERT leaves the column out. */
  #valueOf(relation: CatalogRelation, column: CatalogColumn): ValueOf | undefined {
    const { fill, notNull, name } = column;
    const isKey = relation.primaryKey.includes(name) || isUnique(relation, name);
    if (fill.kind === "generated" || (fill.kind === "identity" && fill.always)) return undefined;
    const referred = this.#referred(relation, column);
    if (referred !== undefined) return referred;
    if (!isKey && fill.kind !== "null") return undefined;
    const value =
      this.#listed(relation, name) ??
      valuesOf(this.#catalog, column, isKey || this.#isIndexed(relation.name, name));
    if (value !== undefined || !notNull) return value;
    throw new CommandFailure(
      `table ${relation.name}: values of column ${name} cannot be made up, as it is ${this.#typeName(relation, name)}. Give it a default in the schema file`,
    );
  }

  /** Of a foreign key's column: what the row of that number has there. */
  #referred(relation: CatalogRelation, column: CatalogColumn): ValueOf | undefined {
    for (const key of relation.foreignKeys) {
      const at = key.columns.indexOf(column.name);
      if (at < 0) continue;
      const parent = this.#relations.get(key.referencedTable);
      const named = parent?.columns.find(({ name }) => name === key.referencedColumns[at]);
      if (parent === undefined || named === undefined || parent === relation)
        return column.notNull ? undefined : () => null;
      const value = this.#valueOf(parent, named);
      if (value === undefined || !this.#map.referenceTables.has(parent.name)) return value;
      return (number) => value(number % REFERENCE_ROWS);
    }
    return undefined;
  }

  /** Shard keys that a list or ranges of the map allow. */
  #listed(relation: CatalogRelation, column: string): ValueOf | undefined {
    const table: MapTable | undefined = this.#map.tables.get(relation.name);
    if (table?.kind !== "sharded" || table.keyColumns[0] !== column) return undefined;
    const shards = table.colocation.function;
    if (shards.kind === "list") {
      const keys = shards.entries.flat().map(textOfKey);
      if (shards.defaultEntry !== undefined || keys.includes(undefined)) return undefined;
      return (number) => keys[number % keys.length] ?? null;
    }
    if (shards.kind !== "range") return undefined;
    const spans = shards.ranges.flatMap(spanOf);
    // Where a range has no end, any number is somebody's.
    if (spans.length < shards.ranges.length) return undefined;
    return (number) => {
      const { from, length } = spans[number % spans.length] as Span;
      return String(from + (BigInt(number) % length));
    };
  }

  /** Whatever may be set to any number, and is nobody's key. Numbers first: a text may be one of a few words. */
  #stampOf(relation: CatalogRelation): string | undefined {
    const table = this.#map.tables.get(relation.name);
    const shardKey = table?.kind === "sharded" ? table.keyColumns : [];
    const free = relation.columns.filter(
      ({ name, fill }) =>
        !shardKey.includes(name) &&
        !relation.primaryKey.includes(name) &&
        !isUnique(relation, name) &&
        !relation.foreignKeys.some(({ columns }) => columns.includes(name)) &&
        (fill.kind === "null" || fill.kind === "constant"),
    );
    for (const wanted of ["int8", "int4", "numeric", "text", "varchar"])
      for (const { name, typeOid, typmod } of free)
        if (this.#catalog.types.get(typeOid)?.name === wanted && hasRoom(wanted, typmod))
          return name;
    return undefined;
  }
}

interface Span {
  readonly from: bigint;
  readonly length: bigint;
}

function spanOf({ from, to }: KeyRange): readonly Span[] {
  if (from?.kind !== "integer" || to?.kind !== "integer") return [];
  return [{ from: from.value, length: to.value - from.value }];
}

function textOfKey(key: KeyValue): string | undefined {
  if (key.kind === "integer") return String(key.value);
  return key.kind === "text" ? key.bytes.toString() : undefined;
}

function isUnique({ uniqueKeys }: CatalogRelation, column: string): boolean {
  return uniqueKeys.some(({ columns }) => columns?.includes(column) === true);
}

/** For seven digits. */
function hasRoom(type: string, typmod: number): boolean {
  if (typmod < 4) return true;
  const digits = type === "numeric" ? ((typmod - 4) >> 16) - ((typmod - 4) & 0x7ff) : typmod - 4;
  return digits >= 9;
}
