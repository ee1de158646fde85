/** DDL that was planned for one map and commits under another: its tables would be looked for elsewhere. */
import { isDeepStrictEqual } from "node:util";
import { SqlError } from "../../base/sql-error.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

/** Throws where `map` is not in force any more, or where that cannot be told. */
export async function refuseOldMap(
  map: ShardMap,
  inForce: () => ShardMap,
  confirmMap: () => Promise<void>,
): Promise<void> {
  try {
    await confirmMap();
  } catch (cause) {
    const message = "DDL cannot commit while the control schema cannot be asked for the shard map";
    throw new SqlError("ddl_unconfirmed", message, { cause });
  }
  const now = inForce();
  if (map === now || isDeepStrictEqual(map, now)) return;
  throw new SqlError(
    "ddl_of_old_map",
    `the shard map has changed since the transaction's DDL: version ${now.version} is in force now`,
  );
}
