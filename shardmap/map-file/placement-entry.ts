/** What passes between the placements of a map file and the shard function that reads them. */
import type { LogicalShard } from "../../base/ids.ts";
import type { ShardFunction } from "../shard-function/shard-function.ts";
import type { PlacementFile } from "./format.ts";
import type { FieldPath } from "./problems.ts";

/** One placement of the file whose structure is sound; its number is that in the file. */
export interface PlacementEntry {
  readonly path: FieldPath;
  readonly file: PlacementFile;
}

/** What a shard function makes of the placements: itself, and each entry's logical shards. */
export interface AssignedShards {
  readonly function: ShardFunction;
  readonly shards: readonly (readonly LogicalShard[])[];
}
