/**
 * Colocations whose placements change: split, merged, moved, or laid out anew. Placements that
 * exchange rows with each other, over however many others, are one migration: they have to
 * switch together. All the others have their own, and their own pause.
 */
import { isDeepStrictEqual } from "node:util";
import type { Colocation, Placement, ShardMap } from "../../shardmap/shard-map.ts";
import type { ShardedDestination } from "../move.ts";
import { migrationName, movesOf } from "./names.ts";
import type { Findings, MigrationKind, Refusal } from "./planned-migration.ts";

export function moveOfColocations(before: ShardMap, next: ShardMap): Findings {
  const found = [...before.colocations.values()].map((colocation) => {
    const changed = next.colocations.get(colocation.name);
    return changed === undefined
      ? { migrations: [], refusals: [] }
      : colocationFindings(colocation, changed, next);
  });
  return {
    migrations: found.flatMap(({ migrations }) => migrations),
    refusals: found.flatMap(({ refusals }) => refusals),
  };
}

function colocationFindings(old: Colocation, now: Colocation, next: ShardMap): Findings {
  const object = `colocation ${old.name}`;
  const refusals = keyRefusals(old, now);
  const groups = isSameLayout(old, now) ? exchanges(old, now) : [wholly(old, now)];
  const migrations = groups.flatMap((group) => {
    const refused = exchangeRefusals(object, group, next);
    refusals.push(...refused);
    return refused.length > 0 ? [] : [migrationOf(object, old, now, group)];
  });
  return { migrations: refusals.length > 0 ? [] : migrations, refusals };
}

/** Whether a row's shard is the same in both. */
export function isSameLayout(old: Colocation, now: Colocation): boolean {
  return isDeepStrictEqual([old.keyTypes, old.function], [now.keyTypes, now.function]);
}

function keyRefusals(old: Colocation, now: Colocation): Refusal[] {
  return [...old.tables].flatMap(([table, key]) => {
    const changed = now.tables.get(table);
    return changed === undefined || isDeepStrictEqual(key, changed) || !isSameLayout(old, now)
      ? []
      : [
          {
            object: `table ${table}`,
            because: `its shard key would be (${changed.join(", ")}) instead of (${key.join(", ")}) in the same placements, where its rows are served meanwhile. List it in another colocation, with placements of its own`,
          },
        ];
  });
}

/** Placements that give rows up, and those that take them. */
export interface Exchange {
  readonly from: readonly Placement[];
  readonly to: readonly Placement[];
}

/** Connected by shards that go from one to the other; what stays where it was is in none. Of two of the same layout. */
export function exchanges(old: Colocation, now: Colocation): readonly Exchange[] {
  const neighbours = new Map<string, Set<string>>();
  const placements = new Map<string, Placement>();
  const node = (side: "from" | "to", placement: Placement): string => {
    const id = `${side} ${placement.id}`;
    placements.set(id, placement);
    if (!neighbours.has(id)) neighbours.set(id, new Set());
    return id;
  };
  for (const [shard, from] of old.placementByShard.entries()) {
    const to = now.placementByShard[shard];
    if (to === undefined) continue;
    const [one, other] = [node("from", from), node("to", to)];
    neighbours.get(one)?.add(other);
    neighbours.get(other)?.add(one);
  }
  const seen = new Set<string>();
  const groups: Exchange[] = [];
  for (const start of neighbours.keys()) {
    if (seen.has(start)) continue;
    const group = [start];
    seen.add(start);
    for (const id of group)
      for (const neighbour of neighbours.get(id) ?? [])
        if (!seen.has(neighbour)) {
          seen.add(neighbour);
          group.push(neighbour);
        }
    const side = (name: string): Placement[] =>
      group.flatMap((id) => (id.startsWith(`${name} `) ? (placements.get(id) ?? []) : []));
    groups.push({ from: side("from"), to: side("to") });
  }
  return groups.filter(({ from, to }) => !isUnchanged(from, to));
}

function isUnchanged(from: readonly Placement[], to: readonly Placement[]): boolean {
  return from.length === 1 && to.length === 1 && from[0]?.id === to[0]?.id;
}

function wholly(old: Colocation, now: Colocation): Exchange {
  return { from: old.placements, to: now.placements };
}

function exchangeRefusals(object: string, { from, to }: Exchange, next: ShardMap): Refusal[] {
  const refusals: Refusal[] = [];
  const old = new Set(from.map(({ id }) => id));
  for (const { id, database, schema } of to) {
    if (old.has(id))
      refusals.push({
        object,
        because: `placement ${id} would give rows up or take others while it serves. Leave it as it is, or give its shards a new placement: another schema will do (${database}.${schema}_new)`,
      });
    else if (database === next.catalog && schema === next.canonicalSchema)
      refusals.push({
        object,
        because: `placement ${id} is where the canonical tables are, which are empty and guarded once their rows have left. Name another schema`,
      });
  }
  return refusals;
}

function migrationOf(
  object: string,
  old: Colocation,
  now: Colocation,
  { from, to }: Exchange,
): Findings["migrations"][number] {
  const kind = kindOf(old, now, from.length, to.length);
  const only = kind === "merge" ? to[0] : from[0];
  const name =
    kind === "reshard" && !isSameLayout(old, now)
      ? migrationName("reshard", old.name)
      : migrationName(
          kind === "placement" ? "move" : kind,
          old.name,
          only?.database ?? "",
          only?.schema ?? "",
        );
  const targets = new Set(to.map(({ id }) => id));
  const tables = from.flatMap(({ id, database, schema }) =>
    [...old.tables].flatMap(([table, oldKey]) => {
      const key = now.tables.get(table);
      if (key === undefined) return [];
      const destination = destinationOf(now, key, targets);
      const moved = { source: database, schema, name: table, destination };
      return [
        from.length === 1 ? moved : { ...moved, home: destinationOf(old, oldKey, new Set([id])) },
      ];
    }),
  );
  return { name, kind, object, moves: movesOf(name, tables) };
}

function kindOf(old: Colocation, now: Colocation, from: number, to: number): MigrationKind {
  if (!isSameLayout(old, now)) return "reshard";
  if (from === 1) return to === 1 ? "placement" : "split";
  return to === 1 ? "merge" : "reshard";
}

/** A table's rows in a colocation; `targets` are the placements that this migration fills, all unless given. */
export function destinationOf(
  { keyTypes, function: shardFunction, placementByShard }: Colocation,
  keyColumns: readonly string[],
  targets?: ReadonlySet<string>,
): ShardedDestination {
  return {
    kind: "sharded",
    key: keyColumns.flatMap((column, index) => {
      const type = keyTypes[index];
      return type === undefined ? [] : [{ column, type }];
    }),
    function: shardFunction,
    placementByShard: placementByShard.map(({ id, database, schema }) =>
      targets === undefined || targets.has(id) ? { database, schema } : undefined,
    ),
  };
}
