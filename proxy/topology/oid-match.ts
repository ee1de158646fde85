/**
 * Matches the OIDs of one database with the catalog database's, by what the shard map says
 * each name is: `shard_3.orders` of a placement is the canonical `orders`. Pure.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { Catalog, CatalogType } from "../../shardmap/catalog.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { FIXED_OID_MAX } from "./oid-patch.ts";
import { OidTranslator } from "./oid-translator.ts";
import type { CanonicalRelation, DatabaseTypes } from "./oid-translator.ts";

/** What one database has, of one moment. */
export interface DatabaseOids {
  readonly types: DatabaseTypes;
  readonly relations: readonly DatabaseRelation[];
}

export interface DatabaseRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** By column name. */
  readonly columnNumbers: ReadonlyMap<string, number>;
}

export function matchOids(
  map: ShardMap,
  database: DatabaseName,
  own: DatabaseOids,
  catalog: Catalog,
): OidTranslator {
  const canonicalName = canonicalNames(map, database);
  const { toCatalog, fromCatalog } = matchTypes(own.types.byOid, catalog.types, canonicalName);
  return new OidTranslator({
    database,
    isCatalog: database === map.catalog,
    databaseTypes: own.types,
    catalogTypes: catalog.types,
    toCatalog,
    fromCatalog,
    relations: matchRelations(own.relations, relationsOf(catalog), canonicalName),
  });
}

/** The catalog database's own relations, in the shape of any database's. */
function relationsOf(catalog: Catalog): readonly DatabaseRelation[] {
  const relations: DatabaseRelation[] = [];
  for (const schema of catalog.relations.values()) {
    for (const { oid, schema: schemaName, name, columns } of schema.values()) {
      const columnNumbers = new Map(columns.map((column) => [column.name, column.number]));
      relations.push({ oid, schema: schemaName, name, columnNumbers });
    }
  }
  return relations;
}

type Naming = (schema: string, name: string) => string;

/** Names as keys of a Map: the canonical table's for one of a placement or group, else itself. */
function canonicalNames(map: ShardMap, database: DatabaseName): Naming {
  const renamed = new Map<string, string>();
  const add = (schema: string, table: string): void => {
    renamed.set(nameKey(schema, table), nameKey(map.canonicalSchema, table));
  };
  for (const { tables, placements } of map.colocations.values()) {
    for (const placement of placements) {
      if (placement.database !== database) continue;
      for (const table of tables.keys()) add(placement.schema, table);
    }
  }
  for (const group of map.groups.values()) {
    if (group.database === database) for (const table of group.tables) add(group.schema, table);
  }
  return (schema, name) => renamed.get(nameKey(schema, name)) ?? nameKey(schema, name);
}

function nameKey(schema: string, name: string): string {
  return JSON.stringify([schema, name]);
}

interface MatchedTypes {
  readonly toCatalog: ReadonlyMap<number, number>;
  readonly fromCatalog: ReadonlyMap<number, number>;
}

/**
 * By name; arrays by their element, since the server makes up their names and may have had to
 * evade another type's. Row types of several placements are one type of the catalog: on the
 * way back it is the one of its own name, or any, since their columns are alike.
 */
function matchTypes(
  own: ReadonlyMap<number, CatalogType>,
  catalog: ReadonlyMap<number, CatalogType>,
  canonicalName: Naming,
): MatchedTypes {
  const byName = new Map<string, number>();
  const arrayOf = new Map<number, number>();
  for (const { elementOid, oid, schema, name } of catalog.values()) {
    if (elementOid === 0) byName.set(nameKey(schema, name), oid);
    else arrayOf.set(elementOid, oid);
  }
  const toCatalog = new Map<number, number>();
  const fromCatalog = new Map<number, number>();
  const match = (from: CatalogType, to: number | undefined): void => {
    if (to === undefined) return;
    toCatalog.set(from.oid, to);
    const target = catalog.get(to);
    const isSameName = target?.schema === from.schema && target.name === from.name;
    if (isSameName || !fromCatalog.has(to)) fromCatalog.set(to, from.oid);
  };
  for (const type of own.values()) {
    if (type.elementOid === 0) match(type, byName.get(canonicalName(type.schema, type.name)));
  }
  for (const type of own.values()) {
    const element = toCatalog.get(type.elementOid);
    if (element !== undefined && type.oid > FIXED_OID_MAX) match(type, arrayOf.get(element));
  }
  return { toCatalog, fromCatalog };
}

function matchRelations(
  own: readonly DatabaseRelation[],
  catalog: readonly DatabaseRelation[],
  canonicalName: Naming,
): ReadonlyMap<number, CanonicalRelation> {
  const byName = new Map(catalog.map((each) => [nameKey(each.schema, each.name), each]));
  const matched = new Map<number, CanonicalRelation>();
  // Of each canonical relation, by the columns of those that stand for it, which are mostly the same.
  const known = new Map<DatabaseRelation, Map<ColumnNumbers, CanonicalRelation>>();
  for (const { oid, schema, name, columnNumbers } of own) {
    const canonical = byName.get(canonicalName(schema, name));
    if (canonical === undefined) continue;
    const alike = known.get(canonical) ?? new Map<ColumnNumbers, CanonicalRelation>();
    known.set(canonical, alike);
    const found = alike.get(columnNumbers) ?? canonicalRelation(canonical, columnNumbers);
    alike.set(columnNumbers, found);
    matched.set(oid, found);
  }
  return matched;
}

type ColumnNumbers = DatabaseRelation["columnNumbers"];

function canonicalRelation(canonical: DatabaseRelation, own: ColumnNumbers): CanonicalRelation {
  const numbers = new Map<number, number>();
  for (const [column, number] of own) {
    const canonicalNumber = canonical.columnNumbers.get(column);
    if (canonicalNumber !== undefined) numbers.set(number, canonicalNumber);
  }
  return { oid: canonical.oid, columnNumbers: numbers };
}
