/** A row's place follows from its shard key, so UPDATE may not assign to one: not even its own value. */
import type { Node } from "@pgsql/types";
import type { MapTable } from "../shardmap/shard-map.ts";
import { refuse } from "./refusal.ts";

/** `assignments`: the SET list of an UPDATE, or of an UPDATE within MERGE. */
export function checkKeyUnchanged(
  assignments: readonly Node[],
  table: Extract<MapTable, { kind: "sharded" }>,
): void {
  for (const item of assignments) {
    if (!("ResTarget" in item)) continue;
    const { name, location } = item.ResTarget;
    if (name === undefined || !table.keyColumns.includes(name)) continue;
    refuse(
      "shard_key_updated",
      `shard key column "${name}" of table "${table.name}" cannot be updated`,
      { location },
    );
  }
}
