/**
 * What one map changes of another, in sentences, and for each whether the map may simply take
 * over or rows have to be moved first. Pure: it compares maps, and asks no database.
 *
 * diff.ts judges what would leave rows behind; here is what a person reads before publishing.
 */
import { isDeepStrictEqual } from "node:util";
import { isAtHome, mayBeUnlisted } from "./diff.ts";
import { printShards } from "./map-file/shard-numbers.ts";
import type { Colocation, MapTable, Placement, ShardMap } from "./shard-map.ts";

export interface MapChange {
  /** `colocation users`, `table orders`, `database users2`. */
  readonly object: string;
  /** What is different, without the object's name: `is added, at postgres://...`. */
  readonly change: string;
  /**
   * `migration`: rows are, or may be, where the next map would not look for them. `drop`: so they
   * are, and no migration brings them back to where unlisted tables are. `another map`: no migration
   * leads to this one. `no table`: nothing, unless there is such a table already, for which nobody has looked.
   */
  readonly needs: "nothing" | "no table" | "migration" | "drop" | "another map";
  /** Of `another map`: why, and what it could say. */
  readonly instead?: string;
  /** Logical shards that change places. */
  readonly move?: ShardMove;
}

export interface ShardMove {
  readonly colocation: Colocation;
  readonly from: Placement;
  readonly to: Placement;
  readonly shards: readonly number[];
}

/** Whether there is a table of the name; undefined where nobody has looked. See rowsLeftBehind. */
type Exists = ((table: string) => boolean) | undefined;

export function mapChanges(
  before: ShardMap,
  next: ShardMap,
  exists?: Exists,
): readonly MapChange[] {
  return [
    ...catalogChanges(before, next),
    ...databaseChanges(before, next),
    ...colocationChanges(before, next),
    ...tableChanges(before, next, exists),
    ...settingChanges(before, next),
  ];
}

function catalogChanges(before: ShardMap, next: ShardMap): readonly MapChange[] {
  const named = (map: ShardMap): string => `${map.catalog}.${map.canonicalSchema}`;
  if (named(before) === named(next)) return [];
  const change = `is ${named(next)} instead of ${named(before)}`;
  const instead = `the canonical tables, and the control schema with them, stay in ${named(before)}: no migration moves them. Keep \`catalog\` as it was; for another server, make a standby of this one, promote it, and give the database ${before.catalog} its URL`;
  return [{ object: "catalog", change, needs: "another map", instead }];
}

function databaseChanges(before: ShardMap, next: ShardMap): readonly MapChange[] {
  const changes: MapChange[] = [];
  for (const [name, { server }] of next.databases) {
    const object = `database ${name}`;
    const old = before.databases.get(name);
    if (old === undefined)
      changes.push({ object, change: "is added", needs: needsOfNewDatabase(next) });
    else if (!isDeepStrictEqual(old.server, server))
      changes.push({ object, change: "has another URL", needs: "nothing" });
  }
  for (const name of before.databases.keys())
    if (!next.databases.has(name))
      changes.push({ object: `database ${name}`, change: "is removed", needs: "nothing" });
  return changes;
}

/** Reference tables are whole in every database: a new one has to be given their rows first. */
function needsOfNewDatabase({ referenceTables }: ShardMap): MapChange["needs"] {
  return referenceTables.size === 0 ? "nothing" : "migration";
}

function colocationChanges(before: ShardMap, next: ShardMap): readonly MapChange[] {
  const changes: MapChange[] = [];
  for (const [name, colocation] of next.colocations) {
    const object = `colocation ${name}`;
    const old = before.colocations.get(name);
    if (old === undefined) changes.push({ object, change: "is added", needs: "nothing" });
    else if (
      !isDeepStrictEqual([old.keyTypes, old.function], [colocation.keyTypes, colocation.function])
    )
      changes.push(anotherLayout(object, old, colocation));
    else changes.push(...moves(old, colocation));
  }
  for (const name of before.colocations.keys())
    if (!next.colocations.has(name))
      changes.push({ object: `colocation ${name}`, change: "is removed", needs: "nothing" });
  return changes;
}

/** Every row may belong elsewhere then, so a migration moves all of them, to where none is served yet. */
function anotherLayout(object: string, before: Colocation, next: Colocation): MapChange {
  const change = "has another shard key, shard function or number of logical shards";
  const old = new Set(before.placements.map(({ id }) => id));
  const kept = next.placements.filter(({ id }) => old.has(id));
  const [first] = kept;
  if (first === undefined) return { object, change, needs: "migration" };
  const names = kept.map(({ id }) => id).join(", ");
  const instead = `all its rows would be laid out anew, and ${names} cannot take them while serving them. Give the colocation new placements, in another schema if need be (${first.database}.${first.schema}_new), and a migration moves the rows there`;
  return { object, change, needs: "another map", instead };
}

/** One for each pair of placements between which shards move. A table without rows has none to move. */
function moves(before: Colocation, next: Colocation): readonly MapChange[] {
  const found = new Map<string, ShardMove & { readonly shards: number[] }>();
  for (const [shard, from] of before.placementByShard.entries()) {
    const to = next.placementByShard[shard];
    if (to === undefined || to.id === from.id) continue;
    const key = JSON.stringify([from.id, to.id]);
    const move = found.get(key) ?? { colocation: before, from, to, shards: [] };
    move.shards.push(shard);
    found.set(key, move);
  }
  return [...found.values()].map((move) => ({
    object: `colocation ${before.name}`,
    change: `has logical shards ${printShards(move.shards)} (${move.shards.length} of ${before.placementByShard.length}) in ${move.to.id} instead of ${move.from.id}`,
    needs: "migration",
    move,
  }));
}

function tableChanges(before: ShardMap, next: ShardMap, exists: Exists): readonly MapChange[] {
  const changes: MapChange[] = [];
  for (const [name, table] of next.tables) {
    const old = before.tables.get(name);
    const home = homeOf(table);
    if (old === undefined)
      changes.push({ object: `table ${name}`, ...listing(before, next, table, exists) });
    else if (homeOf(old) !== home)
      changes.push({
        object: `table ${name}`,
        change: `is ${home} instead of ${homeOf(old)}`,
        needs: "migration",
      });
  }
  for (const [name, table] of before.tables)
    if (!next.tables.has(name))
      changes.push({
        object: `table ${name}`,
        change: `is no longer listed ${homeOf(table)}`,
        needs: mayBeUnlisted(before, next, name, exists ?? (() => true)) ? "nothing" : "drop",
      });
  return changes;
}

/** Only a table yet to be made is simply listed: the rows of another are where unlisted tables are. */
function listing(
  before: ShardMap,
  next: ShardMap,
  table: MapTable,
  exists: Exists,
): Pick<MapChange, "change" | "needs"> {
  const change = `is listed ${homeOf(table)}`;
  if (isAtHome(before, next, table)) return { change, needs: "nothing" };
  if (exists === undefined) return { change, needs: "no table" };
  if (!exists(table.name)) return { change, needs: "nothing" };
  return { change: `${change}, and is in the catalog database already`, needs: "migration" };
}

/** Where a table's rows are, as far as a map says so without its placements. */
function homeOf(table: MapTable): string {
  switch (table.kind) {
    case "sharded":
      return `in colocation ${table.colocation.name} by ${table.keyColumns.join(", ")}`;
    case "group":
      return `in group ${table.group.name} in ${table.group.database}.${table.group.schema}`;
    case "reference":
      return "as a reference table";
  }
}

function settingChanges(before: ShardMap, next: ShardMap): readonly MapChange[] {
  const changes: MapChange[] = [];
  if (before.unlistedTables !== next.unlistedTables)
    changes.push({
      object: "unlisted_tables",
      change: `is ${next.unlistedTables} instead of ${before.unlistedTables}`,
      needs: "nothing",
    });
  if (!isDeepStrictEqual(before.coalescedTables, next.coalescedTables))
    changes.push({ object: "coalesce_reads", change: "lists other tables", needs: "nothing" });
  if (!isDeepStrictEqual(before.sequenceBlocks, next.sequenceBlocks))
    changes.push({ object: "sequences", change: "have other block sizes", needs: "nothing" });
  return changes;
}

/** `database users2 is added`. */
export function printChange({ object, change }: MapChange): string {
  return `${object} ${change}`;
}
