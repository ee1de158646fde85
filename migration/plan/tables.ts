/**
 * Tables that change their kind of home: out of the catalog database or a group, into a group or
 * a colocation. The tables that arrive in one group or colocation are one migration, since
 * statements that join them would else meet them in two databases.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import type { Destination } from "../move.ts";
import { placementsOf } from "../move.ts";
import { destinationOf } from "./colocations.ts";
import { migrationName, movesOf } from "./names.ts";
import type { Findings, Refusal } from "./planned-migration.ts";

interface Arrival {
  readonly table: string;
  readonly source: DatabaseName;
  readonly schema: string;
  readonly destination: Destination;
  readonly kind: "vertical" | "horizontal";
  /** The group or colocation it arrives in. */
  readonly home: string;
}

export function moveOfTables(before: ShardMap, next: ShardMap, catalog: Catalog): Findings {
  const arrivals: Arrival[] = [];
  const refusals: Refusal[] = [];
  for (const table of new Set([...before.tables.keys(), ...next.tables.keys()])) {
    const found = arrivalOf(table, before, next, catalog);
    if (found === undefined) continue;
    if ("because" in found) refusals.push(found);
    else arrivals.push(found);
  }
  const homes = Map.groupBy(arrivals, ({ kind, home }) => `${kind} ${home}`);
  const migrations = [...homes.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const isGroup = first.kind === "vertical";
    const name = migrationName(isGroup ? "group" : "shard", first.home);
    const tables = same.map(({ source, schema, table, destination }) => ({
      source,
      schema,
      name: table,
      destination,
    }));
    const object = `${isGroup ? "group" : "colocation"} ${first.home}`;
    return [{ name, kind: first.kind, object, moves: movesOf(name, tables) }];
  });
  return { migrations, refusals };
}

function arrivalOf(
  table: string,
  before: ShardMap,
  next: ShardMap,
  catalog: Catalog,
): Arrival | Refusal | undefined {
  const object = `table ${table}`;
  const [old, now] = [before.tables.get(table), next.tables.get(table)];
  if (old === undefined && !isThere(table, before, catalog)) return undefined;
  const refused = refusalOf(old, now);
  if (refused !== undefined) return { object, because: refused };
  if (old?.kind === "sharded" || now === undefined || now.kind === "reference") return undefined;
  const source =
    old?.kind === "group"
      ? { database: old.group.database, schema: old.group.schema }
      : { database: before.catalog, schema: before.canonicalSchema };
  const destination: Destination =
    now.kind === "group"
      ? { kind: "one", placement: { database: now.group.database, schema: now.group.schema } }
      : destinationOf(now.colocation, now.keyColumns);
  const home = now.kind === "group" ? now.group.name : now.colocation.name;
  const isSame = placementsOf(destination).find(
    ({ database, schema }) => database === source.database && schema === source.schema,
  );
  if (isSame !== undefined && now.kind === "group") return undefined;
  if (isSame !== undefined)
    return {
      object,
      because: `some of its rows would stay in ${isSame.database}.${isSame.schema}, where all of them are served meanwhile. Give that placement of colocation ${home} another schema`,
    };
  const canonical = placementsOf(destination).some(
    ({ database, schema }) => database === next.catalog && schema === next.canonicalSchema,
  );
  if (canonical)
    return {
      object,
      because: `its rows would come to ${next.catalog}.${next.canonicalSchema}, where its canonical table is kept empty. Name another schema for ${now.kind === "group" ? "group" : "colocation"} ${home}`,
    };
  const kind = now.kind === "group" ? "vertical" : "horizontal";
  return { table, source: source.database, schema: source.schema, destination, kind, home };
}

/** Unlisted tables are in the catalog database; what is not there yet has no rows to move. */
function isThere(table: string, { canonicalSchema }: ShardMap, catalog: Catalog): boolean {
  const kind = catalog.relations.get(canonicalSchema)?.get(table)?.kind;
  return kind === "table" || kind === "partitioned table";
}

function refusalOf(old: MapTable | undefined, now: MapTable | undefined): string | undefined {
  if (old === undefined)
    return now?.kind === "reference"
      ? "making a table with rows a reference table would need it in every database at once. Create it anew as a reference table under another name, and copy its rows through the proxy"
      : undefined;
  if (now === undefined)
    return "it is no longer listed, and its rows would have to come back to the catalog database, where its canonical table is kept empty. Keep it listed; a group can hold it in a database of its own";
  if (old.kind === "reference" || now.kind === "reference")
    return old.kind === now.kind
      ? undefined
      : "a table does not become a reference table, nor stop being one, by a migration. Create it anew under another name, and copy its rows through the proxy";
  if (old.kind !== "sharded") return undefined;
  if (now.kind === "group")
    return `it would no longer be sharded. Merge colocation ${old.colocation.name} into one placement instead`;
  return old.colocation.name === now.colocation.name
    ? undefined
    : `it would leave colocation ${old.colocation.name} for ${now.colocation.name}, with rows in both meanwhile. Make a new table in ${now.colocation.name}, and copy the rows through the proxy`;
}
