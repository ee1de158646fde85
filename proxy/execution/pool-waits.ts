/**
 * Transactions that hold connections of some pools and wait for one of another, and the circle in
 * which they do so for ever: every connection of one pool is held by those who wait for another,
 * and the other way round. No server sees it, since nobody waits for a lock. PostgreSQL has no such
 * circle; a pool of connections does.
 *
 * What is read is this process's own state at one instant, and all that is in a circle waits: so
 * it stays one until a member gives up, and the first look decides. Pools of other proxies have no
 * part in it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { DEADLOCK_CHECK_AFTER_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Claim } from "../backend/claim.ts";

export interface PoolWaiter {
  /** Larger for younger transactions; see LockHolder.holdNumber. */
  readonly holdNumber: number;
  readonly held: Iterable<Pick<BackendConnection, "database">>;
  readonly awaited: DatabaseName;
}

/** The pools, as far as waiting for them is concerned. */
export interface SharedPools {
  /** Who holds connections already is served before those who hold none; without a claim it is the proxy's own work. */
  acquire(database: DatabaseName, signal: AbortSignal, claim?: Claim): Promise<BackendConnection>;
  /** Connections that each database's pool may have. */
  readonly sizeMax: number;
}

export class PoolWaits {
  /** Each with what stops its waiting. */
  readonly #waiting = new Map<PoolWaiter, AbortController>();

  /** As the pool's `acquire`; rejects with `deadlock_detected` where this waiter is the one to stop. */
  async wait(
    waiter: PoolWaiter,
    claim: Claim,
    pools: SharedPools,
    signal: AbortSignal,
  ): Promise<BackendConnection> {
    const stop = new AbortController();
    this.#waiting.set(waiter, stop);
    const look = setTimeout(() => this.#look(pools.sizeMax), DEADLOCK_CHECK_AFTER_MS);
    try {
      const either = AbortSignal.any([signal, stop.signal]);
      return await pools.acquire(waiter.awaited, either, claim);
    } finally {
      clearTimeout(look);
      this.#waiting.delete(waiter);
    }
  }

  /** One at a time: what the first gives back may be all that the others need. */
  #look(sizeMax: number): void {
    const found = findPoolDeadlock([...this.#waiting.keys()], sizeMax);
    if (found === undefined) return;
    this.#waiting.get(found.victim)?.abort(poolDeadlock(found.pools));
    this.#waiting.delete(found.victim);
  }
}

export interface PoolDeadlock {
  readonly pools: readonly DatabaseName[];
  /** The youngest that holds connections of one of the pools and waits for another. */
  readonly victim: PoolWaiter;
}

/** Undefined where somebody can still give a connection back without being given one first. */
export function findPoolDeadlock(
  waiters: readonly PoolWaiter[],
  sizeMax: number,
): PoolDeadlock | undefined {
  let pools = new Set(waiters.map(({ awaited }) => awaited));
  for (;;) {
    const stuck = waiters.filter(({ awaited }) => pools.has(awaited));
    const held = Map.groupBy(
      stuck.flatMap((waiter) => [...waiter.held]),
      ({ database }) => database,
    );
    const exhausted = [...pools].filter((name) => (held.get(name)?.length ?? 0) >= sizeMax);
    if (exhausted.length === pools.size) {
      const holds = ({ held: own }: PoolWaiter) =>
        [...own].some((each) => pools.has(each.database));
      const members = stuck.filter(holds);
      const [victim] = members.toSorted((left, right) => right.holdNumber - left.holdNumber);
      return victim === undefined ? undefined : { pools: exhausted.toSorted(), victim };
    }
    pools = new Set(exhausted);
  }
}

function poolDeadlock(pools: readonly DatabaseName[]): SqlError {
  const names = pools.map((name) => `"${name}"`).join(", ");
  return new SqlError("deadlock_detected", "deadlock detected", {
    detail: `Every connection of the proxy's pools of databases ${names} is held by a transaction that waits for one of another.`,
    hint: "Retry the transaction; make pool.size larger, or use the databases in the same order everywhere.",
  });
}
