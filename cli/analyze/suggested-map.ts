/** A shard map made of an assignment of tables: as YAML for a person, and read back by the map's own reader. */
import { stringify } from "yaml";
import { invariant } from "../../base/invariant.ts";
import type { DatabaseEntry, ShardMap } from "../../shardmap/shard-map.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { KeyDomain } from "./key-domains.ts";

export type Assignment = ReadonlyMap<string, TableHome>;

export type TableHome =
  | { readonly kind: "sharded"; readonly domain: KeyDomain }
  | { readonly kind: "reference" };

/** Divides well, and is many more than the placements of a beginning. */
const LOGICAL_SHARDS = 240;

export function suggestedMap(assignment: Assignment, given: ShardMap): ShardMap {
  const document = {
    version: given.version,
    catalog: given.catalog,
    databases: Object.fromEntries(
      [...given.databases.values()].map((entry) => [entry.name, databaseOf(entry)]),
    ),
    ...suggestedParts(assignment, given),
    unlisted_tables: "catalog",
  };
  const result = parseShardMap(stringify(document), "the suggestion");
  invariant("map" in result, "a suggested map is a map");
  return result.map;
}

/** The parts that a person puts into a shard map. */
export function suggestedYaml(assignment: Assignment, given: ShardMap): string {
  return stringify(suggestedParts(assignment, given));
}

/** The domains that have tables, each with those tables. */
export function shardedTables(assignment: Assignment): ReadonlyMap<KeyDomain, readonly string[]> {
  const tables = new Map<KeyDomain, string[]>();
  for (const [table, home] of assignment) {
    if (home.kind !== "sharded") continue;
    tables.set(home.domain, [...(tables.get(home.domain) ?? []), table]);
  }
  return tables;
}

function suggestedParts(assignment: Assignment, given: ShardMap): object {
  const colocations = [...shardedTables(assignment)].map(([domain, tables]) => [
    domain.name,
    {
      shard_key: domain.keyType,
      function: "hash",
      logical_shards: LOGICAL_SHARDS,
      tables: Object.fromEntries(tables.map((table) => [table, domain.columns.get(table)])),
      placements: placementsOf(given),
    },
  ]);
  const references = [...assignment].flatMap(([table, { kind }]) =>
    kind === "reference" ? [table] : [],
  );
  return {
    ...(colocations.length > 0 && { colocations: Object.fromEntries(colocations) }),
    ...(references.length > 0 && { reference_tables: references.toSorted() }),
  };
}

/** Spread over all databases; over two schemas where there is one database only. */
function placementsOf(given: ShardMap): readonly object[] {
  const names = [...given.databases.keys()];
  const homes: readonly object[] =
    names.length > 1
      ? names.map((database) => ({ database }))
      : names.flatMap((database) => [{ database }, { database, schema: "shard_2" }]);
  return homes.map((home, index) => {
    const from = Math.floor((index * LOGICAL_SHARDS) / homes.length);
    const to = Math.floor(((index + 1) * LOGICAL_SHARDS) / homes.length) - 1;
    return { shards: `${from}-${to}`, ...home };
  });
}

function databaseOf({ server }: DatabaseEntry): object {
  return server.kind === "embedded"
    ? { embedded: true }
    : { primary: server.primary, ...(server.replicas.length > 0 && { replicas: server.replicas }) };
}
