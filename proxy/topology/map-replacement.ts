/** Whether a map may take the place of the one in use: what a file's reload may do by itself, and what it may not. */
import { SqlError } from "../../base/sql-error.ts";
import { rowsLeftBehind } from "../../shardmap/diff.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { TopologyView } from "./live-topology.ts";

/** Versions only grow, so that nobody takes an old file for the new one. */
export function refuseOlder({ map: before }: TopologyView, next: ShardMap): void {
  if (next.version >= before.version) return;
  throw new SqlError(
    "map_version_lower",
    `version ${next.version} of the shard map is lower than ${before.version}, which is in use`,
  );
}

/** A map says where rows are; it does not move them. */
export function refuseLeavingRows({ map: before, catalog }: TopologyView, next: ShardMap): void {
  const canonical = catalog.relations.get(next.canonicalSchema);
  // What the proxy knows of tables may be seconds old: one that is listed is taken to be there.
  const exists = (table: string): boolean =>
    before.tables.has(table) || canonical?.has(table) === true;
  const left = rowsLeftBehind(before, next, exists);
  if (left.length === 0) return;
  throw new SqlError(
    "map_leaves_rows",
    "the new shard map would leave rows where nobody finds them",
    {
      detail: left.join("; "),
    },
  );
}
