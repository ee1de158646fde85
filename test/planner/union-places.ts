/** Placements by hand, for tests of what is asked of them. */
import { databaseName } from "../../base/ids.ts";
import type { Place } from "../../planner/bind-fragments.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

export function placement(database: string, schema: string): Place {
  const name = databaseName(database);
  return {
    database: name,
    placement: { id: `${database}.${schema}`, database: name, schema, shards: [] },
  };
}

export function sampleMap(): ShardMap {
  const parsed = parseShardMap(
    'version: 1\ncatalog: main\ndatabases:\n  main: { primary: "postgres://app@127.0.0.1/app" }\n',
    "map.yaml",
  );
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.map;
}
