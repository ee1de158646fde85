/**
 * Every database's pool, under the database's name. A reload of the shard map replaces the
 * pools whose address changed; what is lent from an old pool is finished there. It knows
 * addresses, not the map: proxy/topology/backend-addresses.ts reads them from it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { isDeepStrictEqual } from "node:util";
import type { BackendAddress } from "./backend-address.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { Claim } from "./claim.ts";
import { Pool } from "./pool.ts";
import type { Rank } from "./pool-member.ts";
import { POOL_OPTIONS_DEFAULT } from "./pool-options.ts";
import type { PoolOptions } from "./pool-options.ts";
import type { PoolStats, ServerReport } from "./pool-stats.ts";
import { isCanceled, resetSettings } from "./reset-settings.ts";
import type { Taker, Waiting } from "./wait-queue.ts";

export interface BackendsOptions {
  readonly pool: Partial<PoolOptions>;
  /** How long transactions on a pool that is replaced or removed may go on. */
  readonly drainMs: number;
}

export class Backends {
  readonly #options: BackendsOptions;
  readonly #pools = new Map<DatabaseName, Pool>();
  readonly #draining = new Map<Pool, Promise<void>>();

  constructor(addresses: ReadonlyMap<DatabaseName, BackendAddress>, options: BackendsOptions) {
    this.#options = options;
    this.update(addresses);
  }

  /** See Pool.tryAcquire; undefined also for a database without a pool. */
  tryAcquire(database: DatabaseName, rank?: Rank): BackendConnection | undefined {
    return this.#pools.get(database)?.tryAcquire(rank);
  }

  /** See Pool.renew. Of a pool that is being replaced, it is one of the new pool. */
  renew(connection: BackendConnection, signal?: AbortSignal): Promise<BackendConnection> {
    const pool = this.#pools.get(connection.database);
    if (pool?.owns(connection) === true) return pool.renew(connection, signal);
    this.release(connection);
    return this.acquire(connection.database, signal);
  }

  /** See Pool.acquire. A database the map no longer names rejects with `pool_closed`. */
  acquire(database: DatabaseName, signal?: AbortSignal, claim?: Claim): Promise<BackendConnection> {
    const pool = this.#pools.get(database);
    if (pool !== undefined) return pool.acquire(signal, claim);
    return Promise.reject(notInMap(database));
  }

  /** See Pool.join. */
  join(database: DatabaseName, taker: Taker<BackendConnection>, claim: Claim): Waiting | undefined {
    const pool = this.#pools.get(database);
    if (pool === undefined) throw notInMap(database);
    return pool.join(taker, claim);
  }

  /** One with its server's own settings, as the connection's user: for what the proxy itself asks. */
  async acquireOwn(database: DatabaseName, signal?: AbortSignal): Promise<BackendConnection> {
    const connection = await this.acquire(database, signal);
    try {
      await resetSettings(connection, signal);
      return connection;
    } catch (error) {
      if (isCanceled(error)) return await this.renew(connection, signal);
      this.release(connection);
      throw error;
    }
  }

  /** Gives a connection back to the pool it is from, which may have been replaced meanwhile. */
  release(connection: BackendConnection): void {
    const current = this.#pools.get(connection.database);
    if (current?.owns(connection) === true) {
      current.release(connection);
      return;
    }
    for (const pool of this.#draining.keys()) pool.release(connection);
  }

  /** It is of the pool that statements of its database go to now. */
  isCurrent(connection: BackendConnection): boolean {
    return this.#pools.get(connection.database)?.owns(connection) === true;
  }

  /** See Pool.pin. One of a pool that is being replaced stays with its user no longer than the pool does. */
  pin(connection: BackendConnection): boolean {
    return this.#pools.get(connection.database)?.pin(connection) === true;
  }

  unpin(connection: BackendConnection): void {
    this.#pools.get(connection.database)?.unpin(connection);
  }

  /** See Pool.pinnedMax. */
  pinnedMax(database: DatabaseName): number {
    return this.#pools.get(database)?.pinnedMax ?? 0;
  }

  /** Connections that each pool may have. */
  get sizeMax(): number {
    return this.#options.pool.size ?? POOL_OPTIONS_DEFAULT.size;
  }

  has(database: DatabaseName): boolean {
    return this.#pools.has(database);
  }

  /** The address statements of `database` go to now. */
  address(database: DatabaseName): BackendAddress | undefined {
    return this.#pools.get(database)?.address;
  }

  /** New and changed addresses get new pools; the pools of changed and removed ones drain. */
  update(addresses: ReadonlyMap<DatabaseName, BackendAddress>): void {
    for (const [database, pool] of this.#pools) {
      if (isDeepStrictEqual(addresses.get(database), pool.address)) continue;
      this.#pools.delete(database);
      const drained = pool.close(this.#options.drainMs).finally(() => this.#draining.delete(pool));
      this.#draining.set(pool, drained);
    }
    for (const [database, address] of addresses) {
      if (this.#pools.has(database)) continue;
      this.#pools.set(database, new Pool(database, address, this.#options.pool));
    }
  }

  stats(): ReadonlyMap<DatabaseName, PoolStats> {
    return new Map([...this.#pools].map(([database, pool]) => [database, pool.stats()]));
  }

  /** Every open connection of the pools, those of pools that are being replaced among them. */
  servers(): readonly ServerReport[] {
    const replaced = [...this.#draining.keys()];
    return [...this.#pools.values(), ...replaced].flatMap((pool) => pool.servers());
  }

  /** See Pool.closeIdle. */
  closeIdle(database: DatabaseName): void {
    this.#pools.get(database)?.closeIdle();
  }

  /** Drains every pool for up to `drainMs`, then cuts off what is left. */
  async close(): Promise<void> {
    this.update(new Map());
    await Promise.all(this.#draining.values());
  }
}

function notInMap(database: DatabaseName): SqlError {
  return new SqlError("pool_closed", `database "${database}" is not in the shard map`);
}
