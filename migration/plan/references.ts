/** Databases that are new, and have to be given the reference tables before they are given anything else. */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { migrationName, movesOf } from "./names.ts";
import type { Findings } from "./planned-migration.ts";

export function moveOfReferences(before: ShardMap, next: ShardMap): Findings {
  const added = [...next.databases.keys()].filter((name) => !before.databases.has(name));
  const kept = [...next.referenceTables].filter((table) => before.referenceTables.has(table));
  if (added.length === 0 || kept.length === 0) return { migrations: [], refusals: [] };
  const schema = next.canonicalSchema;
  const placements = added.map((database) => ({ database, schema }));
  const tables = kept.map((name) => ({
    source: next.catalog,
    schema,
    name,
    destination: { kind: "everywhere" as const, placements },
  }));
  const name = migrationName("reference", ...added);
  const object = `database ${added.join(", ")}`;
  return {
    migrations: [{ name, kind: "reference", object, moves: movesOf(name, tables) }],
    refusals: [],
  };
}
