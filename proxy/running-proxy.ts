/** A started proxy, as the commands that start one see it. */
import type { UnfinishedPart } from "./execution/in-doubt.ts";
import type { Holds } from "./execution/holds.ts";
import type { AdminSources } from "./admin/http.ts";
import type { OtherWorkers } from "./console/other-workers.ts";
import type { CatalogTrust } from "./topology/catalog-trust.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";

export interface MapReload {
  /** Whoever published the map answers for its rows being where it says: it may put them elsewhere. */
  readonly hasMovedRows: boolean;
}

export interface RunningProxy {
  readonly port: number;
  /** Absent where the admin interface is off. */
  readonly adminPort?: number;
  /** Statements that begin after it use the new map; a map it cannot serve is refused by throwing, and the old one stays. */
  reload(map: ShardMap, reload?: MapReload): Promise<void>;
  /** Fulfilled once DRAIN was given on the admin console: whoever runs the proxy is to call `drain`. */
  readonly drainRequested: Promise<void>;
  /** What a fleet demands of it. */
  readonly holds: Holds;
  /** Which DDL of the fleet it has to heed. */
  readonly catalogTrust: CatalogTrust;
  /** Takes no new clients and closes each client when its transaction ends, or all after `ms`. */
  drain(ms: number): Promise<void>;
  /** Closes every client and server connection at once. Twice is once. */
  close(): Promise<void>;
  ready(): boolean;
  /** What the admin interface tells, for one that is in another process. */
  readonly admin: AdminSources;
  /** The console, for that of another process of the same address. */
  readonly console: OtherWorkers;
  /** See InDoubt.unfinished. */
  unfinished(): readonly UnfinishedPart[];
  /** A cancel request for a client of this process, which another process got. */
  cancel(processId: number, secretKey: Buffer): void;
}
