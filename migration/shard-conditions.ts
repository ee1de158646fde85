/** Which rows a destination's shards have, as SQL: the expression that guards are made of, and no other. */
import { shardsGuard } from "../shardmap/guard.ts";
import { placementId } from "./move.ts";
import type { Destination, ShardedDestination, TargetPlacement } from "./move.ts";
import type { TargetTable } from "./target-change.ts";

export function shardsCondition(
  { key, function: fn }: ShardedDestination,
  shards: readonly number[],
): string {
  const keyTypes = key.map(({ type }) => type);
  return shardsGuard(
    { keyTypes, function: fn },
    shards,
    key.map(({ column }) => column),
  );
}

export function shardsIn(destination: Destination, placement: TargetPlacement): readonly number[] {
  if (destination.kind !== "sharded") return [];
  const id = placementId(placement);
  return [...destination.placementByShard.keys()].filter((shard) => {
    const each = destination.placementByShard[shard];
    return each !== undefined && placementId(each) === id;
  });
}

/**
 * Of a table whose source has a guard: that one is of the rows that the source has, and the target
 * may get those of several sources. Undefined where the rows of no shard come.
 */
export function targetGuard(table: TargetTable): string | undefined {
  const { destination } = table.source;
  if (destination.kind !== "sharded") return undefined;
  return `CHECK (${shardsCondition(destination, shardsIn(destination, table))})`;
}
