/**
 * Breaks deadlocks over several databases: each server sees only its own part of the circle
 * and would wait for ever.
 *
 * PostgreSQL's own detector is the model: nothing is asked until a statement has waited for
 * DEADLOCK_CHECK_AFTER_MS, which few do. While nobody holds backends of several servers, a
 * tick reads the size of a set.
 *
 * The servers are read at different instants, so a circle may be put together from waits that
 * never were at one time. It counts only where a second look finds each of its waits again,
 * by the same statement of the same transaction: then all of them lasted from the first look
 * to the second, and none can end by itself.
 *
 * It does not see through another proxy's transactions, nor through prepared ones.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  DEADLOCK_CHECK_AFTER_MS,
  DEADLOCK_CONFIRM_AFTER_MS,
  DEADLOCK_LOOK_TIMEOUT_MS,
  DEADLOCK_TICK_MS,
  DEADLOCKS_BROKEN_AT_ONCE,
} from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { BackendConnection } from "../backend/backend-connection.ts";
import { resetSettings } from "../backend/reset-settings.ts";
import type { LockHolder, LockHolders } from "./lock-holders.ts";
import { readLockWaits, serverProcess } from "./lock-waits.ts";
import { describeDeadlock, findDeadlocks, inBoth, joinWaits } from "./wait-graph.ts";
import type { Deadlock, LockWait, Party } from "./wait-graph.ts";

export interface DetectorBackends {
  /** An idle backend, where the pool has one. */
  tryAcquire(database: DatabaseName): BackendConnection | undefined;
  release(connection: BackendConnection): void;
  address(database: DatabaseName): BackendAddress | undefined;
}

export interface DeadlockDetectorParts {
  readonly holders: LockHolders;
  readonly backends: DetectorBackends;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface HolderParty extends Party {
  readonly holder: LockHolder;
}

/** A statement that has not been answered yet, since the tick that saw it first. */
interface Pending {
  readonly answeredCount: number;
  readonly since: number;
  nextLook: number;
}

export class DeadlockDetector {
  readonly #parts: DeadlockDetectorParts;
  readonly #unreadable = new Set<DatabaseName>();
  readonly #stopping = new AbortController();
  #pending = new Map<BackendConnection, Pending>();
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> | undefined;

  constructor(parts: DeadlockDetectorParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), DEADLOCK_TICK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#look;
  }

  #tick(): void {
    if (this.#parts.holders.values.size === 0 && this.#pending.size === 0) return;
    const now = performance.now();
    this.#notePending(now);
    if (this.#look !== undefined) return;
    const waiting = [...this.#pending].filter(
      ([, { since }]) => now >= since + DEADLOCK_CHECK_AFTER_MS,
    );
    if (!waiting.some(([, { nextLook }]) => now >= nextLook)) return;
    for (const [, pending] of waiting) pending.nextLook = now + DEADLOCK_CHECK_AFTER_MS;
    const databases = new Set(waiting.map(([{ database }]) => database));
    this.#look = this.#lookAt([...databases])
      .catch((error: unknown) => {
        this.#parts.log.error({ err: error }, "deadlocks could not be looked for");
      })
      .finally(() => {
        this.#look = undefined;
      });
  }

  #notePending(now: number): void {
    const pending = new Map<BackendConnection, Pending>();
    for (const { held } of this.#parts.holders.values) {
      for (const connection of held) {
        if (connection.pendingReadyForQuery === 0 || connection.isBroken) continue;
        const { answeredCount } = connection;
        const known = this.#pending.get(connection);
        pending.set(
          connection,
          known?.answeredCount === answeredCount
            ? known
            : { answeredCount, since: now, nextLook: now },
        );
      }
    }
    this.#pending = pending;
  }

  /** Every wait of a circle that is ours to break is in one of these databases, or follows such a wait in the same one. */
  async #lookAt(databases: readonly DatabaseName[]): Promise<void> {
    const parties = this.#parties();
    const earlier = joinWaits(await this.#readAll(databases), parties);
    if (findDeadlocks(earlier, 1).length === 0) return;
    await sleep(DEADLOCK_CONFIRM_AFTER_MS);
    const lockWaits = await this.#readAll(databases);
    const later = joinWaits(lockWaits, this.#parties());
    for (const deadlock of findDeadlocks(inBoth(earlier, later), DEADLOCKS_BROKEN_AT_ONCE))
      this.#break(deadlock);
  }

  #break({ waits, victim }: Deadlock<HolderParty>): void {
    const detail = describeDeadlock(waits);
    this.#parts.log.warn({ detail }, "deadlock over several databases");
    this.#parts.metrics.increment("colonnade_deadlocks_total", {});
    victim.holder.breakDeadlock(new SqlError("deadlock_detected", "deadlock detected", { detail }));
  }

  #parties(): readonly HolderParty[] {
    return [...this.#parts.holders.values].map((holder) => ({
      holder,
      number: holder.holdNumber,
      processes: [...holder.held].map((connection) =>
        serverProcess(connection, connection.processId),
      ),
    }));
  }

  async #readAll(databases: readonly DatabaseName[]): Promise<readonly LockWait[]> {
    const waits = await Promise.all(databases.map((database) => this.#read(database)));
    return waits.flat();
  }

  /** A database that cannot be read shows no waits: a circle over the others is found nevertheless. */
  async #read(database: DatabaseName): Promise<readonly LockWait[]> {
    const { log } = this.#parts;
    const timeout = AbortSignal.timeout(DEADLOCK_LOOK_TIMEOUT_MS);
    const signal = AbortSignal.any([timeout, this.#stopping.signal]);
    try {
      const waits = await this.#withBackend(database, signal, (connection) =>
        readLockWaits(connection, signal),
      );
      this.#unreadable.delete(database);
      return waits;
    } catch (error) {
      if (!this.#unreadable.has(database) && !this.#stopping.signal.aborted)
        log.warn({ err: error, database }, "database cannot be asked for lock waits");
      this.#unreadable.add(database);
      return [];
    }
  }

  /** One of the pool, or, since those who wait may hold all of them, one of its own. */
  async #withBackend<T>(
    database: DatabaseName,
    signal: AbortSignal,
    use: (connection: BackendConnection) => Promise<T>,
  ): Promise<T> {
    const { backends } = this.#parts;
    const pooled = backends.tryAcquire(database);
    if (pooled !== undefined) {
      return resetSettings(pooled, signal)
        .then(() => use(pooled))
        .finally(() => backends.release(pooled));
    }
    const address = backends.address(database);
    if (address === undefined)
      throw new SqlError("pool_closed", `database "${database}" is not in the shard map`);
    const own = await BackendConnection.open(address, {
      database,
      signal,
      connectTimeoutMs: DEADLOCK_LOOK_TIMEOUT_MS,
    });
    return use(own).finally(() => own.close());
  }
}
