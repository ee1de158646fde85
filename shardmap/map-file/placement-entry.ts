/** What passes between the placements of a map file and the shard function that reads them. */
import type { LogicalShard } from "../../base/ids.ts";
import type { ShardFunction } from "../shard-function/shard-function.ts";
import type { PlacementFile } from "./format.ts";
import type { FieldPath } from "../../base/document/problems.ts";

/** One placement of the file. What is wrong in it is reported with the file's structure; the rest is checked. */
export interface PlacementEntry {
  readonly path: FieldPath;
  /** Undefined: absent, or unreadable. */
  readonly file: { readonly [Field in keyof PlacementFile]-?: PlacementFile[Field] | undefined };
  /** Fields that are there and could not be read: they are not missing, and what they say is not known. */
  readonly unreadable: ReadonlySet<string>;
}

/** What a shard function makes of the placements: itself, and each entry's logical shards. */
export interface AssignedShards {
  readonly function: ShardFunction;
  readonly shards: readonly (readonly LogicalShard[])[];
}
