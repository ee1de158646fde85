/**
 * What planning may know besides the statement: the map, the catalog and the part of the
 * session's state that changes what names and parameters mean. All of it is part of the
 * key of a cached plan.
 */
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";

export interface PlanContext {
  readonly map: ShardMap;
  readonly catalog: Catalog;
  /** The entries of the session's search_path as written, unquoted: `$user` stands for `user`. */
  readonly searchPath: readonly string[];
  /** Type OIDs of `$1`, `$2`, ... as declared or resolved; 0 or absent where unknown. */
  readonly parameterTypes: readonly number[];
  /** The session's current role: what `$user` in the search_path stands for. */
  readonly user: string;
  /** That role is not the user of the catalog database's URL, or may be another. */
  readonly isOtherRole?: boolean;
  /** What the session listens to; absent where no session asks. Of no other plan's key than of pg_listening_channels(). */
  readonly listening?: readonly string[];
}
