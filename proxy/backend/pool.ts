/**
 * The connections to one database, lent for a transaction at a time and handed out first
 * come, first served. The user is the one of the database's URL, so a pool is one of
 * (database, user). It knows nothing of statements: what a session left behind on a
 * connection (settings, prepared statements) is the session layer's to know and undo.
 *
 * When the server is down: a failed connect is the answer to everyone waiting then, so
 * nobody waits longer than one attempt, and no statement hangs until its deadline on a
 * server that says no. The next attempt is made after a short pause, by one connection
 * alone until it succeeds; who asks in between waits for that attempt. Only a server that is
 * full keeps its waiters, since connections of this pool will come back to them.
 */
import { invariant } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import {
  BACKEND_CHECK_TIMEOUT_MS,
  POOL_PINNED_SHARE_MAX,
  POOL_SWEEP_INTERVAL_MS,
  POOL_WAITERS_MAX,
} from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendAddress } from "./backend-address.ts";
import { BackendConnection } from "./backend-connection.ts";
import { addCounts, NO_COUNTS } from "./connection-counts.ts";
import { bringForward, newMember } from "./pool-member.ts";
import type { Member, Rank } from "./pool-member.ts";
import { POOL_OPTIONS_DEFAULT } from "./pool-options.ts";
import type { PoolOptions } from "./pool-options.ts";
import { serverState } from "./pool-stats.ts";
import type { PoolStats, ServerReport } from "./pool-stats.ts";
import { ReconnectPause } from "./reconnect-pause.ts";
import { WaitQueue } from "./wait-queue.ts";
import type { WaitOrder } from "./wait-queue.ts";

export class Pool {
  readonly database: DatabaseName;
  readonly address: BackendAddress;
  readonly #options: PoolOptions;
  readonly #members = new Map<BackendConnection, Member>();
  /** The last one came back last: it is lent first, so that the surplus grows old and is closed. */
  readonly #idle: Member[] = [];
  readonly #waiting: WaitQueue<BackendConnection>;
  readonly #closing = new AbortController();
  readonly #sweep: NodeJS.Timeout;
  readonly #reconnect = new ReconnectPause(() => this.#serve());
  #opening = 0;
  /** Grows with every loss: the server may have restarted, and idle connections to it with it. */
  #generation = 0;
  #whenUnused: (() => void) | undefined;
  #acquired = 0;
  #opened = 0;
  #openFailures = 0;
  #lost = 0;
  #lentMs = 0;
  /** Of the connections that are no more. */
  #pastCounts = NO_COUNTS;

  constructor(database: DatabaseName, address: BackendAddress, options: Partial<PoolOptions> = {}) {
    this.database = database;
    this.address = address;
    this.#options = { ...POOL_OPTIONS_DEFAULT, ...options };
    this.#waiting = new WaitQueue(POOL_WAITERS_MAX, this.#options.waitMs, (reason) =>
      this.#exhausted(reason),
    );
    this.#sweep = setInterval(() => this.#closeSurplus(), POOL_SWEEP_INTERVAL_MS).unref();
  }

  /** An idle connection at once, or undefined: nothing is waited for and nobody is overtaken. */
  tryAcquire(rank?: Rank): BackendConnection | undefined {
    if (this.#waiting.size > 0 || this.#closing.signal.aborted) return undefined;
    if (rank !== undefined) bringForward(this.#idle, rank);
    return this.#takeIdle();
  }

  /**
   * A connection that is idle and outside a transaction. Rejects with `pool_exhausted` after
   * `waitMs`, with the connect's own error where none can be opened, or the signal's reason.
   */
  acquire(signal?: AbortSignal, order: WaitOrder = "holding none"): Promise<BackendConnection> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closedError());
    const idle = this.tryAcquire();
    if (idle !== undefined) return Promise.resolve(idle);
    const acquired = this.#waiting.wait(signal, order);
    this.#serve();
    return acquired;
  }

  owns(connection: BackendConnection): boolean {
    return this.#members.has(connection);
  }

  /** Connections that may be pinned at once: the others go round. */
  get pinnedMax(): number {
    return Math.floor(this.#options.size * POOL_PINNED_SHARE_MAX);
  }

  /** Announces that a lent connection stays with its user; false where too many do already. */
  pin(connection: BackendConnection): boolean {
    const member = this.#members.get(connection);
    if (member === undefined || this.#pinnedCount() >= this.pinnedMax) return false;
    member.isPinned = true;
    return true;
  }

  unpin(connection: BackendConnection): void {
    const member = this.#members.get(connection);
    if (member !== undefined) member.isPinned = false;
  }

  #pinnedCount(): number {
    return [...this.#members.values()].filter(({ isPinned }) => isPinned).length;
  }

  /**
   * Takes a connection back. One that is not idle, or has answers outstanding, cannot be
   * given to another: its statement is cancelled and it is closed.
   */
  release(connection: BackendConnection): void {
    const member = this.#members.get(connection);
    if (member === undefined) return; // lost while it was used, and already forgotten
    invariant(member.use === "used", "a connection is released once");
    const now = performance.now();
    this.#lentMs += now - member.lentSince;
    if (connection.isBroken) this.#forgetLost(member);
    else if (!connection.isClean) this.#abandon(member);
    else if (this.#isOver(member)) this.#close(member);
    else this.#putIdle(member, now);
    this.#serve();
  }

  /**
   * Another connection in the place of a lent one, which nobody else gets: newly opened, once
   * the old one is gone. Rejects as its opening does; the place is free then.
   */
  async renew(connection: BackendConnection, caller?: AbortSignal): Promise<BackendConnection> {
    const member = this.#members.get(connection);
    if (member === undefined) return await this.acquire(caller);
    this.#opening += 1;
    try {
      this.#lentMs += performance.now() - member.lentSince;
      this.#close(member);
      await connection.ended;
      this.#adopt(
        await this.#connect(AbortSignal.any([this.#closing.signal, ...(caller ? [caller] : [])])),
      );
      const renewed = this.#takeIdle();
      if (renewed === undefined) throw this.#closedError();
      return renewed;
    } catch (error) {
      if (caller?.aborted !== true) this.#openFailed(error);
      throw error;
    } finally {
      this.#opening -= 1;
      this.#serve();
    }
  }

  stats(): PoolStats {
    const used = [...this.#members.values()].filter(({ use }) => use !== "idle").length;
    return {
      sizeMax: this.#options.size,
      idle: this.#members.size - used,
      used,
      opening: this.#opening,
      pinned: this.#pinnedCount(),
      waiting: this.#waiting.size,
      longestWaitMs: this.#waiting.longestWaitMs,
      acquired: this.#acquired,
      waitedMs: this.#waiting.waitedMs,
      waitTimeouts: this.#waiting.timeouts,
      opened: this.#opened,
      openFailures: this.#openFailures,
      lost: this.#lost,
      lentMs: this.#lentMs,
      counts: [...this.#members.keys()]
        .map(({ counts }) => counts)
        .reduce(addCounts, this.#pastCounts),
    };
  }

  servers(): readonly ServerReport[] {
    return [...this.#members.values()].map((member) => ({
      connection: member.connection,
      state: serverState(member, this.#options.checkAfterIdleMs),
      isPinned: member.isPinned,
      isOver: this.#isOver(member),
      openedAtMs: member.openedAtMs,
      lentForMs: member.lentSince === 0 ? undefined : performance.now() - member.lentSince,
    }));
  }

  /** Closes what nobody uses, so that the server may be stopped without having to cut it off. */
  closeIdle(): void {
    for (const member of this.#idle.splice(0)) this.#close(member);
  }

  /** Refuses new work, waits for what is lent for up to `drainMs`, then cuts it off. Idempotent. */
  async close(drainMs: number): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(this.#closedError());
      clearInterval(this.#sweep);
      this.#reconnect.stop();
      this.#waiting.rejectAll(this.#closedError());
      for (const member of this.#idle.splice(0)) this.#close(member);
    }
    if (this.#members.size > 0) {
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, drainMs);
        this.#whenUnused = () => {
          clearTimeout(deadline);
          resolve();
        };
      });
    }
    for (const { connection } of this.#members.values()) connection.destroy();
    this.#members.clear();
  }

  /** Serves the waiting from what is idle, and opens or checks connections for the rest. */
  #serve(): void {
    if (this.#closing.signal.aborted) return;
    while (this.#waiting.size > 0) {
      const connection = this.#takeIdle();
      if (connection === undefined) break;
      this.#waiting.resolveFirst(connection);
    }
    for (let needed = this.#waiting.size - this.#arriving(); needed > 0; needed -= 1) {
      const stale = this.#idle.pop();
      if (stale !== undefined) void this.#check(stale);
      else if (this.#mayOpen()) void this.#open();
      else break;
    }
  }

  /** Connections that will be free in a moment without anyone releasing one. */
  #arriving(): number {
    const checking = [...this.#members.values()].filter(({ use }) => use === "checking").length;
    return this.#opening + checking;
  }

  #mayOpen(): boolean {
    if (this.#members.size + this.#opening >= this.#options.size) return false;
    if (!this.#reconnect.hasFailed) return true;
    return this.#opening === 0 && this.#reconnect.mayTry();
  }

  /** The idle connection used last, if it can be lent without asking it first. */
  #takeIdle(): BackendConnection | undefined {
    for (;;) {
      const member = this.#idle.at(-1);
      if (member === undefined) return undefined;
      const now = performance.now();
      if (member.connection.isBroken || this.#isOver(member)) {
        this.#idle.pop();
        this.#close(member);
        continue;
      }
      if (now - member.idleSince > this.#options.checkAfterIdleMs) return undefined;
      this.#idle.pop();
      return this.#lend(member, now);
    }
  }

  #lend(member: Member, now: number): BackendConnection {
    member.use = "used";
    member.lentSince = now;
    member.connection.unpark();
    this.#acquired += 1;
    return member.connection;
  }

  #putIdle(member: Member, now: number = performance.now()): void {
    member.use = "idle";
    member.idleSince = now;
    member.connection.park();
    if (member.connection.isBroken) this.#forgetLost(member);
    else this.#idle.push(member);
  }

  async #open(): Promise<void> {
    this.#opening += 1;
    try {
      this.#adopt(await this.#connect(this.#closing.signal));
    } catch (error) {
      this.#openFailed(error);
    } finally {
      this.#opening -= 1;
      this.#serve();
    }
  }

  async #connect(signal: AbortSignal): Promise<BackendConnection> {
    const connection = await BackendConnection.open(this.address, {
      database: this.database,
      settings: this.#options.settings,
      signal,
      connectTimeoutMs: this.#options.connectTimeoutMs,
    });
    this.#reconnect.succeeded();
    this.#opened += 1;
    return connection;
  }

  #adopt(connection: BackendConnection): void {
    if (this.#closing.signal.aborted) {
      connection.close();
      return;
    }
    const member = newMember(connection, this.#generation, this.#options.lifetimeMs);
    this.#members.set(connection, member);
    void connection.ended.then(() => this.#forgetLost(member));
    this.#putIdle(member);
  }

  #openFailed(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#reconnect.failed();
    this.#openFailures += 1;
    const isFull = error instanceof SqlError && error.id === "backend_too_many_connections";
    if (isFull && this.#members.size > 0) return;
    this.#waiting.rejectAll(error);
  }

  /** Asks a connection that was idle for long: its server, or a NAT between, may have dropped it silently. */
  async #check(member: Member): Promise<void> {
    member.use = "checking";
    member.connection.unpark();
    try {
      await member.connection.query("", AbortSignal.timeout(BACKEND_CHECK_TIMEOUT_MS));
      if (this.#closing.signal.aborted) this.#close(member);
      else this.#putIdle(member);
    } catch {
      this.#forgetLost(member);
    }
    this.#serve();
  }

  /** One connection was lost, so the server may have restarted: those idle are not to be trusted. */
  #forgetLost(member: Member): void {
    if (!this.#members.has(member.connection)) return;
    this.#lost += 1;
    this.#generation += 1;
    for (const idle of this.#idle.splice(0)) this.#close(idle);
    this.#close(member);
    this.#serve();
  }

  /** Stops what the connection is still running, so that the server does not run on for nobody. */
  #abandon(member: Member): void {
    member.use = "abandoned";
    void member.connection.abandon().then(() => {
      this.#close(member);
      this.#serve();
    });
  }

  #close(member: Member): void {
    if (!this.#members.delete(member.connection)) return;
    this.#pastCounts = addCounts(this.#pastCounts, member.connection.counts);
    member.connection.close();
    if (this.#members.size === 0) this.#whenUnused?.();
  }

  #isOver(member: Member): boolean {
    return (
      this.#closing.signal.aborted ||
      member.generation !== this.#generation ||
      performance.now() > member.expiresAt
    );
  }

  #closeSurplus(): void {
    const now = performance.now();
    const over = this.#idle.filter(
      (member) => this.#isOver(member) || now - member.idleSince > this.#options.idleMs,
    );
    for (const member of over) {
      this.#idle.splice(this.#idle.indexOf(member), 1);
      this.#close(member);
    }
  }

  #exhausted(reason: "deadline" | "queue full"): SqlError {
    const { used, sizeMax, waiting, opening } = this.stats();
    const message =
      reason === "deadline"
        ? `no connection to database "${this.database}" came free within ${this.#options.waitMs} ms`
        : `too many statements wait for a connection to database "${this.database}"`;
    return new SqlError("pool_exhausted", message, {
      detail: `Of at most ${sizeMax} connections, ${used} are in use and ${opening} are being opened; ${waiting} statements wait.`,
    });
  }

  #closedError(): SqlError {
    return new SqlError(
      "pool_closed",
      `the connections to database "${this.database}" are being closed`,
    );
  }
}
