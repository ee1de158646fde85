/**
 * Rows of several placements become the one answer that a single server would have given.
 *
 * Pure: rows come as frames from ShardRows and leave as frames; it knows no socket, no
 * clock and no map. What it cannot do exactly it refuses before the first row.
 */
import { unreachable } from "../../../base/invariant.ts";
import type { BoundGather } from "../../../planner/physical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import { aggregateRows } from "./aggregate.ts";
import { agreeingRows, concatRows } from "./concat.ts";
import { mergeRows } from "./merge.ts";
import { RowWindow } from "./row-window.ts";
import type { GatherTypes } from "./values/type-lookup.ts";

export { combineCommandTags } from "./command-tags.ts";
export { insertOrderRows } from "./insert-order.ts";
export type { GatherTypes } from "./values/type-lookup.ts";

export interface GatherOptions {
  readonly types: GatherTypes;
  /** What groups may hold; more is gather_memory_exceeded. */
  readonly bytesMax: number;
}

/**
 * Rows for the client, in order. Every shard is stopped that has not ended when the gather
 * does, be it satisfied, failed or abandoned by its reader.
 *
 * Rows of `concat` and `merge` come in the client's formats (`output`), hidden columns of a
 * merge in either; partial rows of an aggregate come in text. The first shard's error is
 * thrown as it came.
 */
export async function* gatherRows(
  bound: Extract<BoundGather, { kind: "gather" }>,
  shards: readonly ShardRows[],
  output: readonly ColumnDescription[],
  { types, bytesMax }: GatherOptions,
): AsyncGenerator<DataRowRun> {
  const { gather } = bound;
  const window = new RowWindow(bound.offset, bound.count);
  if (window.isSatisfied) {
    for (const shard of shards) shard.stop();
    return;
  }
  switch (gather.kind) {
    case "concat":
    case "counts":
      return yield* concatRows(shards, output, window);
    case "agree":
      return yield* agreeingRows(shards, output);
    case "merge":
      return yield* mergeRows({ ...gather, shards, output, window, types });
    case "aggregate":
      return yield* aggregateRows({ gather, shards, output, window, types, bytesMax });
    default:
      return unreachable(gather);
  }
}
