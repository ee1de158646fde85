/** Schemas that a map places tables in, and databases lack: no table can be made there. Pure. */
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { LiveFinding } from "./live-check.ts";
import type { DatabaseFacts } from "./live-facts.ts";

/** A warning: the tables themselves may be yet to be made. Of those that are there, each place is looked at. */
export function checkSchemas(
  map: ShardMap,
  facts: ReadonlyMap<DatabaseName, DatabaseFacts>,
): readonly LiveFinding[] {
  const { catalog, canonicalSchema, colocations, groups } = map;
  const places = [
    { database: catalog, schema: canonicalSchema },
    ...[...colocations.values()].flatMap(({ placements }) => placements),
    ...groups.values(),
  ];
  const missing = new Map<string, LiveFinding>();
  for (const { database, schema } of places) {
    const own = facts.get(database);
    if (own === undefined || own.catalog.relations.has(schema)) continue;
    missing.set(JSON.stringify([database, schema]), {
      severity: "warning",
      database,
      object: `schema ${schema}`,
      message: "does not exist, so no table can be made where the shard map places it",
      remedy: `CREATE SCHEMA ${quoteIdentifier(schema)} in this database, or correct the shard map.`,
    });
  }
  return [...missing.values()];
}
