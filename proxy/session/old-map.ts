/** DDL that was planned for one map and commits under another: its tables would be looked for elsewhere. */
import { isDeepStrictEqual } from "node:util";
import { SqlError } from "../../base/sql-error.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

/** Throws where `planned` is not what is in force. */
export function refuseOldMap(planned: ShardMap, inForce: ShardMap): void {
  if (planned === inForce || isDeepStrictEqual(planned, inForce)) return;
  throw new SqlError(
    "ddl_of_old_map",
    `the shard map has changed since the transaction's DDL: version ${inForce.version} is in force now`,
  );
}
