/** Where tables stand, as DDL must know: the canonical table in the catalog database first, then every copy or part. */
import type { RangeVar } from "@pgsql/types";
import type { DatabaseName } from "../../base/ids.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import { relationSchemas, searchedSchemas } from "../names.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";

export interface TableHome {
  readonly database: DatabaseName;
  readonly schema: string;
}

export type DdlTable =
  | {
      readonly kind: "mapped";
      readonly table: MapTable;
      readonly relation: CatalogRelation | undefined;
    }
  /** A relation of the catalog database alone, or one that does not exist. */
  | {
      readonly kind: "catalogOnly";
      readonly name: string;
      readonly relation: CatalogRelation | undefined;
    };

/** The catalog database, then the others in the order of the map. */
export function databasesOf(map: ShardMap): readonly DatabaseName[] {
  return [map.catalog, ...[...map.databases.keys()].filter((name) => name !== map.catalog)];
}

/** Every place that has the table, each once. */
export function homesOf(table: MapTable, map: ShardMap): readonly TableHome[] {
  const canonical: TableHome = { database: map.catalog, schema: map.canonicalSchema };
  return distinctHomes([canonical, ...otherHomes(table, map)], map);
}

function otherHomes(table: MapTable, map: ShardMap): readonly TableHome[] {
  switch (table.kind) {
    case "sharded":
      return table.colocation.placements;
    case "group":
      return [table.group];
    case "reference":
      return databasesOf(map).map((database) => ({ database, schema: map.canonicalSchema }));
  }
}

/** Every place that has any mapped table: where an index of a table not known by name may be. */
export function allHomes(map: ShardMap): readonly TableHome[] {
  return distinctHomes(
    [...map.tables.values()].flatMap((table) => homesOf(table, map)),
    map,
  );
}

function distinctHomes(homes: readonly TableHome[], map: ShardMap): readonly TableHome[] {
  const order = databasesOf(map);
  const distinct = homes.filter(
    (home, index) =>
      homes.findIndex(
        ({ database, schema }) => database === home.database && schema === home.schema,
      ) === index,
  );
  return distinct
    .map(({ database, schema }) => ({ database, schema }))
    .toSorted((left, right) => order.indexOf(left.database) - order.indexOf(right.database));
}

/** What an existing table's name means. */
export function existingTable(reference: RangeVar, context: PlanContext): DdlTable {
  const name = reference.relname ?? "";
  const schemas =
    reference.schemaname === undefined ? relationSchemas(context) : [reference.schemaname];
  const relation = schemas
    .map((schema) => context.catalog.relations.get(schema)?.get(name))
    .find((found) => found !== undefined);
  // A table of the map that the catalog has not yet is where the map says.
  const { canonicalSchema, tables } = context.map;
  const listed =
    tables.has(name) && schemas.includes(canonicalSchema) ? canonicalSchema : undefined;
  const schema = relation?.schema ?? reference.schemaname ?? listed;
  return placeTable(name, schema, relation, reference, context);
}

/** What a new table's name will mean: unqualified ones are made in the first schema of the search_path that exists. */
export function newTable(reference: RangeVar, context: PlanContext): DdlTable {
  const name = reference.relname ?? "";
  const schema =
    reference.schemaname ??
    searchedSchemas(context).find((searched) => context.catalog.relations.has(searched));
  const relation =
    schema === undefined ? undefined : context.catalog.relations.get(schema)?.get(name);
  return placeTable(name, schema, relation, reference, context);
}

function placeTable(
  name: string,
  schema: string | undefined,
  relation: CatalogRelation | undefined,
  { location }: RangeVar,
  { map }: PlanContext,
): DdlTable {
  const table = map.tables.get(name);
  if (table !== undefined && schema === map.canonicalSchema)
    return { kind: "mapped", table, relation };
  if (
    schema !== undefined &&
    table !== undefined &&
    homesOf(table, map).some((home) => home.schema === schema)
  ) {
    refuse("placement_table_named", `table "${schema}.${name}" belongs to a placement`, {
      location,
      hint: `Name the table "${map.canonicalSchema}.${name}": the proxy changes it in every placement.`,
    });
  }
  return { kind: "catalogOnly", name, relation };
}
