/**
 * A database that lacks a table or schema which the shard map places there: its server says that it does
 * not exist, and not where. Clients know one table, and no placement, so the hint names the place.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

const UNDEFINED_TABLE = "42P01";
const INVALID_SCHEMA_NAME = "3F000";

/** The fields, with a hint where the error is about a table of the map, or a schema of its placements. */
export function withPlaceHint(
  fields: ErrorFields,
  database: DatabaseName | undefined,
  map: ShardMap,
): ErrorFields {
  if (fields.H !== undefined || database === undefined) return fields;
  const hint = hintOf(fields, database, map);
  return hint === undefined ? fields : { ...fields, H: hint };
}

function hintOf(
  { C: sqlstate, M: message = "" }: ErrorFields,
  database: DatabaseName,
  map: ShardMap,
): string | undefined {
  // In quotes in whichever language the server speaks.
  const name = /["«„“]([^"»“”]+)["»“”]/.exec(message)?.[1];
  if (name === undefined) return undefined;
  switch (sqlstate) {
    case UNDEFINED_TABLE:
      return tableHint(name, database, map);
    case INVALID_SCHEMA_NAME:
      return schemaHint(name, database, map);
    default:
      return undefined;
  }
}

function tableHint(name: string, database: DatabaseName, map: ShardMap): string | undefined {
  const [table, written] = name.split(".").toReversed();
  if (table === undefined || !map.tables.has(table)) return undefined;
  // There a name may also be one that the session's search_path does not find.
  if (written === undefined && database === map.catalog) return undefined;
  const schema = written ?? map.canonicalSchema;
  if (schema !== map.canonicalSchema && !placesOf(map).some((place) => place.schema === schema))
    return undefined;
  return `Database "${database}" has no table "${table}" in schema "${schema}", where the shard map places it. Create it there as it is in the catalog database, or correct the map.`;
}

function schemaHint(schema: string, database: DatabaseName, map: ShardMap): string | undefined {
  const places = [...placesOf(map), { database: map.catalog, schema: map.canonicalSchema }];
  if (!places.some((place) => place.database === database && place.schema === schema))
    return undefined;
  return `Database "${database}" has no schema "${schema}", where the shard map places tables. CREATE SCHEMA ${quoteIdentifier(schema)} there, or correct the map; colonnade check --live names all that are missing.`;
}

function placesOf({ colocations, groups }: ShardMap): readonly {
  readonly database: DatabaseName;
  readonly schema: string;
}[] {
  return [...[...colocations.values()].flatMap(({ placements }) => placements), ...groups.values()];
}
