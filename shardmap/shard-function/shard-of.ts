/**
 * Applies a shard function: from a row's key values to its logical shard. It knows
 * neither tables nor placements; `Colocation.placementByShard` takes it from there.
 */
import { logicalShard, type LogicalShard } from "../../base/ids.ts";
import { invariant, unreachable } from "../../base/invariant.ts";
import type { KeyValue } from "../shard-key.ts";
import { partitionHashModulo } from "./hash.ts";
import { listEntriesBetween, listEntryOf } from "./list.ts";
import { rangeEntriesBetween, rangeEntryOf } from "./range.ts";
import type { ShardFunction } from "./shard-function.ts";

/**
 * The logical shard of a key: one value for each key column, in the order of the
 * colocation's key types, none of them NULL. Undefined where no range or list entry
 * covers the value: such a row can be neither stored nor found.
 */
export function shardOf(fn: ShardFunction, key: readonly KeyValue[]): LogicalShard | undefined {
  switch (fn.kind) {
    case "hash":
      return logicalShard(partitionHashModulo(key, fn.logicalShards));
    case "range":
      return asShard(rangeEntryOf(fn.ranges, onlyValue(key)));
    case "list":
      return asShard(listEntryOf(fn, onlyValue(key)));
    default:
      return unreachable(fn);
  }
}

/** How many logical shards the function has; they are numbered from 0. */
export function shardCount(fn: ShardFunction): number {
  switch (fn.kind) {
    case "hash":
      return fn.logicalShards;
    case "range":
      return fn.ranges.length;
    case "list":
      return fn.entries.length;
    default:
      return unreachable(fn);
  }
}

/**
 * Every logical shard that may hold a key k with from <= k and k < to (k <= to where
 * `toInclusive`); undefined is unbounded. A superset for some bounds, never less: a hash
 * says nothing of order, and text is compared by its column's collation in PostgreSQL but
 * by its bytes here, so neither leaves a shard out.
 */
export function shardsInRange(
  fn: ShardFunction,
  from: KeyValue | undefined,
  to: KeyValue | undefined,
  toInclusive: boolean,
): readonly LogicalShard[] {
  const isText = from?.kind === "text" || to?.kind === "text";
  if (fn.kind === "hash" || isText)
    return Array.from({ length: shardCount(fn) }, (_, shard) => logicalShard(shard));
  switch (fn.kind) {
    case "range":
      return rangeEntriesBetween(fn.ranges, from, to, toInclusive).map(logicalShard);
    case "list":
      return listEntriesBetween(fn, from, to, toInclusive).map(logicalShard);
    default:
      return unreachable(fn);
  }
}

function onlyValue(key: readonly KeyValue[]): KeyValue {
  const [value] = key;
  invariant(value !== undefined && key.length === 1, "ranges and lists have one key column");
  return value;
}

function asShard(entry: number | undefined): LogicalShard | undefined {
  return entry === undefined ? undefined : logicalShard(entry);
}
