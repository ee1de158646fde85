/** The pools of all databases, as far as sessions need them. */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Claim } from "../backend/claim.ts";
import type { Rank } from "../backend/pool-member.ts";
import type { Taker, Waiting } from "../backend/wait-queue.ts";
import type { InDoubtBackends } from "./in-doubt.ts";
import type { SharedPools } from "./pool-waits.ts";

export interface PinnableBackends extends SharedPools, Omit<InDoubtBackends, "acquire"> {
  /** One that is idle, without waiting; undefined where there is none, or others wait for one. */
  tryAcquire(database: DatabaseName, rank: Rank): BackendConnection | undefined;
  /** See Pool.join. */
  join(database: DatabaseName, taker: Taker<BackendConnection>, claim: Claim): Waiting | undefined;
  /** Another in the place of one that is lent, newly opened. */
  renew(connection: BackendConnection, signal: AbortSignal): Promise<BackendConnection>;
  /** False where as many as may be are pinned. */
  pin(connection: BackendConnection): boolean;
  unpin(connection: BackendConnection): void;
  pinnedMax(database: DatabaseName): number;
}

/** Who waits for a connection with others. It is called back once. */
export interface SessionTaker {
  /** It is the session's. */
  lent(connection: BackendConnection): void;
  /** It is nobody's: `adopt` makes it the session's. */
  offered(connection: BackendConnection): void;
  refused(error: unknown): void;
}
