/**
 * A database that lacks a table which the shard map places there: its server says that the table does
 * not exist, and not where. Clients know it as one table, so the hint names the place.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

const UNDEFINED_TABLE = "42P01";

/** The fields, with a hint where the error is about a table of the map. */
export function withPlaceHint(
  fields: ErrorFields,
  database: DatabaseName | undefined,
  map: ShardMap,
): ErrorFields {
  if (fields.C !== UNDEFINED_TABLE || fields.H !== undefined || database === undefined)
    return fields;
  // In quotes in whichever language the server speaks.
  const name = /["«„“]([^"»“”]+)["»“”]/.exec(fields.M ?? "")?.[1];
  const [table, written] = (name ?? "").split(".").toReversed();
  if (table === undefined || !map.tables.has(table)) return fields;
  // There a name may also be one that the session's search_path does not find.
  if (written === undefined && database === map.catalog) return fields;
  const schema = written ?? map.canonicalSchema;
  const isOfMap =
    schema === map.canonicalSchema ||
    [...map.colocations.values()].some(({ placements }) =>
      placements.some((placement) => placement.schema === schema),
    );
  if (!isOfMap) return fields;
  const hint = `Database "${database}" has no table "${table}" in schema "${schema}", where the shard map places it. Create it there as it is in the catalog database, or correct the map.`;
  return { ...fields, H: hint };
}
