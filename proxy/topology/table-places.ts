/** Where the tables of a map stand. */
import type { DatabaseName } from "../../base/ids.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";

/** One table in one place. */
export interface TablePlace {
  readonly database: DatabaseName;
  readonly schema: string;
  readonly table: MapTable;
}

export function placesOf(map: ShardMap, table: MapTable): readonly TablePlace[] {
  switch (table.kind) {
    case "sharded":
      return table.colocation.placements.map(({ database, schema }) => ({
        database,
        schema,
        table,
      }));
    case "group":
      return [{ database: table.group.database, schema: table.group.schema, table }];
    case "reference":
      return [...map.databases.keys()].map((database) => ({
        database,
        schema: map.canonicalSchema,
        table,
      }));
  }
}
