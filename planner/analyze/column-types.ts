/**
 * What the catalog says of a column's type and collation, as far as equality needs it.
 */
import type { Node } from "@pgsql/types";
import type { Catalog, CatalogCollation } from "../../shardmap/catalog.ts";
import type { KeyType } from "../../shardmap/shard-key.ts";
import { nameParts } from "../ast.ts";
import type { Column } from "./model.ts";

/**
 * Types within a family are compared by value, so that equality carries through several
 * of their columns. It does not through others: two bigints may equal one double.
 */
export type Family = "integer" | "text" | "uuid" | "date" | "timestamptz";

const FAMILIES: ReadonlyMap<number, Family> = new Map([
  [20, "integer"],
  [21, "integer"],
  [23, "integer"],
  [25, "text"],
  [1043, "text"],
  [2950, "uuid"],
  [1082, "date"],
  [1184, "timestamptz"],
]);

const KEY_FAMILIES: Readonly<Record<KeyType, Family>> = {
  smallint: "integer",
  integer: "integer",
  bigint: "integer",
  text: "text",
  varchar: "text",
  uuid: "uuid",
  date: "date",
  timestamptz: "timestamptz",
};

/** pg_type.typarray of the types of `FAMILIES`. */
const ARRAY_ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1016, 20],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1015, 1043],
  [2951, 2950],
  [1182, 1082],
  [1185, 1184],
]);

/** The other way about: pg_type.typarray by the element's OID. */
export const ARRAYS_OF: ReadonlyMap<number, number> = new Map(
  [...ARRAY_ELEMENTS].map(([array, element]) => [element, array]),
);

export function familyOfType(typeOid: number): Family | undefined {
  return FAMILIES.get(typeOid);
}

export function familyOfKey(type: KeyType): Family {
  return KEY_FAMILIES[type];
}

/** Element type of an array of one of the families' types; 0 for any other type. */
export function elementType(arrayOid: number): number {
  return ARRAY_ELEMENTS.get(arrayOid) ?? 0;
}

/** Names a cast may give the families' types, as the grammar spells them. */
export const TYPE_NAMES: ReadonlyMap<string, number> = new Map([
  ["int8", 20],
  ["int2", 21],
  ["int4", 23],
  ["text", 25],
  ["varchar", 1043],
  ["uuid", 2950],
  ["date", 1082],
  ["timestamptz", 1184],
]);

/** A table's column behind a chain of sub-selects that only hand it on. */
export function storedColumn(column: Column): Column {
  let at = column;
  while (at.inner !== undefined) at = at.inner;
  return at;
}

/** The column's type, a domain's base taken; 0 where it is not known. */
export function typeOfColumn(column: Column, catalog: Catalog): number {
  return baseType(storedColumn(column).catalog?.typeOid ?? 0, catalog);
}

/** The type itself, or what a domain is made of; 0 where domains are nested too deep. */
export function baseType(typeOid: number, catalog: Catalog): number {
  let oid = typeOid;
  for (let domains = 0; domains < 16; domains++) {
    const type = catalog.types.get(oid);
    if (type?.kind !== "domain") return oid;
    oid = type.baseOid;
  }
  return 0;
}

/** Undefined where equality of the column is not known to be equality of its bytes or value. */
export function equalityFamily(column: Column, catalog: Catalog): Family | undefined {
  const family = familyOfType(typeOfColumn(column, catalog));
  if (family !== "text") return family;
  return collationOfColumn(column, catalog)?.isDeterministic === true ? family : undefined;
}

const DEFAULT_COLLATION = 100;

export function collationOfColumn(column: Column, catalog: Catalog): CatalogCollation | undefined {
  const oid = storedColumn(column).catalog?.collationOid ?? 0;
  return oid === DEFAULT_COLLATION ? catalog.defaultCollation : catalog.collations.get(oid);
}

/** The collations a COLLATE clause may mean: those of the name, whichever the search_path finds. */
export function collationsNamed(
  names: readonly Node[] | undefined,
  catalog: Catalog,
): readonly CatalogCollation[] {
  const name = nameParts(names).at(-1);
  if (name === "default") return [catalog.defaultCollation];
  return [...catalog.collations.values()].filter((collation) => collation.name === name);
}
