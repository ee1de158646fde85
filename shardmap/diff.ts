/**
 * What would become unreachable if one map took the place of another while rows stay where
 * they are. Pure: it compares maps; whether a table holds rows it cannot know.
 */
import { isDeepStrictEqual } from "node:util";
import type { Colocation, MapTable, ShardMap } from "./shard-map.ts";

/**
 * One sentence for each table whose rows the next map would look for elsewhere; empty where
 * it may take over at once. `exists`: whether the catalog database has a table of that name. One
 * that is in none has no rows that a listing, or the end of one, could hide.
 */
export function rowsLeftBehind(
  before: ShardMap,
  next: ShardMap,
  exists: (table: string) => boolean,
): readonly string[] {
  const left: string[] = [];
  for (const [name, table] of before.tables) {
    const listed = next.tables.get(name);
    if (listed === undefined && mayBeUnlisted(before, next, name, exists)) continue;
    const reason = whyLeftBehind(table, listed);
    if (reason !== undefined) left.push(`table "${name}" ${reason}`);
  }
  for (const name of next.tables.keys()) {
    if (!before.tables.has(name) && exists(name) && !isAtHome(before, next, next.tables.get(name)))
      left.push(
        `table "${name}" is in the catalog database already, and would be looked for elsewhere`,
      );
  }
  return left;
}

/** Whether a table's rows, if there are any, are where unlisted tables are, and are still looked for there. */
export function mayBeUnlisted(
  before: ShardMap,
  next: ShardMap,
  name: string,
  exists: (table: string) => boolean,
): boolean {
  if (!exists(name)) return true;
  return next.unlistedTables === "catalog" && isAtHome(before, next, before.tables.get(name));
}

/** Of a table of one of the two maps: the other would have it unlisted, in the very same place. */
export function isAtHome(before: ShardMap, next: ShardMap, table: MapTable | undefined): boolean {
  return (
    table?.kind === "group" &&
    [before, next].every(
      (map) => map.catalog === table.group.database && map.canonicalSchema === table.group.schema,
    )
  );
}

function whyLeftBehind(before: MapTable, next: MapTable | undefined): string | undefined {
  if (next === undefined) return "is no longer listed";
  switch (before.kind) {
    case "sharded":
      return next.kind === "sharded"
        ? whyMoved(before.colocation, next.colocation, before.keyColumns, next.keyColumns)
        : "is no longer sharded";
    case "group":
      return next.kind === "group" &&
        next.group.database === before.group.database &&
        next.group.schema === before.group.schema
        ? undefined
        : "would move to another database or schema";
    case "reference":
      return next.kind === "reference" ? undefined : "is no longer a reference table";
  }
}

function whyMoved(
  before: Colocation,
  next: Colocation,
  keyBefore: readonly string[],
  keyNext: readonly string[],
): string | undefined {
  if (!isDeepStrictEqual([keyBefore, before.keyTypes], [keyNext, next.keyTypes]))
    return "would have another shard key";
  if (!isDeepStrictEqual(before.function, next.function))
    return "would have another shard function";
  for (const [shard, placement] of before.placementByShard.entries()) {
    const id = next.placementByShard[shard]?.id;
    if (id !== placement.id)
      return `would have its logical shard ${shard} in ${id ?? "no placement"} instead of ${placement.id}`;
  }
  return undefined;
}
