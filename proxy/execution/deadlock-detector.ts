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
 * Transactions of other proxies are known by what those tell of the ones that wait
 * (shared-holders.ts); each proxy breaks its own alone, and all agree on the one. It does not see
 * through prepared transactions: they end by themselves, or by recovery.
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
import { exchangeWaiting, stillWaiting, waitingOf } from "./shared-holders.ts";
import type { WaitingParty } from "./shared-holders.ts";
import { describeDeadlock, findDeadlocks, inBoth, joinWaits } from "./wait-graph.ts";
import type { Deadlock, LockWait, Party, Wait } from "./wait-graph.ts";

export interface DetectorBackends {
  /** An idle backend, where the pool has one. */
  tryAcquire(database: DatabaseName): BackendConnection | undefined;
  release(connection: BackendConnection): void;
  address(database: DatabaseName): BackendAddress | undefined;
}

export interface DeadlockDetectorParts {
  readonly holders: LockHolders;
  readonly backends: DetectorBackends;
  /** Names this process among all proxies. */
  readonly proxy: string;
  /** Where proxies tell each other who waits. */
  readonly catalog: () => DatabaseName;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface HolderParty extends Party {
  /** Undefined for one of another proxy, which breaks it. */
  readonly holder: LockHolder | undefined;
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
  #isHeard = true;

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

  /**
   * Every wait of a circle that is ours to break is in one of these databases, follows such a wait
   * in the same one, or is one that another proxy has told of.
   */
  async #lookAt(databases: readonly DatabaseName[]): Promise<void> {
    const parties = this.#parties();
    const here = await this.#readAll(databases);
    const told = await this.#tell(waitingOf(parties, here));
    const all = [...new Set([...databases, ...this.#databasesOf(told)])];
    const there = await this.#readAll(all.filter((database) => !databases.includes(database)));
    const earlier = joined([...here, ...there], parties, told);
    if (findDeadlocks(earlier, 1).length === 0) return;
    await sleep(DEADLOCK_CONFIRM_AFTER_MS);
    const later = joined(await this.#readAll(all), this.#parties(), told);
    for (const deadlock of findDeadlocks(inBoth(earlier, later), DEADLOCKS_BROKEN_AT_ONCE))
      this.#break(deadlock);
  }

  /** What other proxies say of theirs. Where they cannot be heard, circles within this proxy are found nevertheless. */
  async #tell(waiting: readonly WaitingParty[]): Promise<readonly WaitingParty[]> {
    if (waiting.length === 0) return [];
    const { catalog, proxy, log } = this.#parts;
    const signal = this.#lookSignal();
    try {
      const told = await this.#withBackend(catalog(), signal, (connection) =>
        exchangeWaiting(connection, proxy, waiting, signal),
      );
      this.#isHeard = true;
      return told;
    } catch (error) {
      if (this.#isHeard && !this.#stopping.signal.aborted)
        log.warn({ err: error }, "other proxies cannot be told of lock waits");
      this.#isHeard = false;
      return [];
    }
  }

  #databasesOf(told: readonly WaitingParty[]): readonly DatabaseName[] {
    const { backends } = this.#parts;
    return told
      .flatMap(({ waiting }) => waiting.map(({ process }) => process.database))
      .filter((database) => backends.address(database) !== undefined);
  }

  #break({ waits, victim }: Deadlock<HolderParty>): void {
    if (victim.holder === undefined) return;
    const detail = describeDeadlock(waits);
    this.#parts.log.warn({ detail }, "deadlock over several databases");
    this.#parts.metrics.increment("colonnade_deadlocks_total", {});
    victim.holder.breakDeadlock(new SqlError("deadlock_detected", "deadlock detected", { detail }));
  }

  #parties(): readonly HolderParty[] {
    return [...this.#parts.holders.values].map((holder) => ({
      holder,
      proxy: this.#parts.proxy,
      number: holder.holdNumber,
      processes: [...holder.held].map((connection) =>
        serverProcess(connection, connection.processId),
      ),
    }));
  }

  #lookSignal(): AbortSignal {
    const timeout = AbortSignal.timeout(DEADLOCK_LOOK_TIMEOUT_MS);
    return AbortSignal.any([timeout, this.#stopping.signal]);
  }

  async #readAll(databases: readonly DatabaseName[]): Promise<readonly LockWait[]> {
    const waits = await Promise.all(databases.map((database) => this.#read(database)));
    return waits.flat();
  }

  /** A database that cannot be read shows no waits: a circle over the others is found nevertheless. */
  async #read(database: DatabaseName): Promise<readonly LockWait[]> {
    const { log } = this.#parts;
    const signal = this.#lookSignal();
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

function joined(
  waits: readonly LockWait[],
  own: readonly HolderParty[],
  told: readonly WaitingParty[],
): readonly Wait<HolderParty>[] {
  const others = stillWaiting(told, waits).map((party) => ({ ...party, holder: undefined }));
  return joinWaits(waits, [...own, ...others]);
}
