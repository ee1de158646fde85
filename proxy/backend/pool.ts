/**
 * The connections to one database, lent for a transaction at a time, in the order that wait-queue.ts
 * says, and to new transactions as far as admission.ts says. The user is the one of the database's
 * URL, so a pool is one of (database, user). It knows nothing of statements: what a session left
 * behind on a connection (settings, prepared statements) is the session layer's to know and undo.
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
} from "../../base/limits.ts";
import type { BackendAddress } from "./backend-address.ts";
import { BackendConnection } from "./backend-connection.ts";
import { OWN_CLAIM, type Claim } from "./claim.ts";
import { poolClosed } from "./pool-errors.ts";
import { isFull, PoolGate } from "./pool-gate.ts";
import { meanAnswerMs, newMember, noteLending, type Member, type Rank } from "./pool-member.ts";
import { PoolMembers } from "./pool-members.ts";
import { POOL_OPTIONS_DEFAULT, type PoolOptions } from "./pool-options.ts";
import { serverReport, type PoolStats, type ServerReport } from "./pool-stats.ts";
import { ReconnectPause } from "./reconnect-pause.ts";
import { WaitQueue, type Taker, type WaitEnd, type Waiting } from "./wait-queue.ts";

export class Pool {
  readonly database: DatabaseName;
  readonly address: BackendAddress;
  readonly #options: PoolOptions;
  readonly #members = new PoolMembers();
  readonly #waiting: WaitQueue<BackendConnection>;
  readonly #closing = new AbortController();
  readonly #sweep: NodeJS.Timeout;
  readonly #reconnect = new ReconnectPause(() => this.#serve());
  readonly #gate: PoolGate;
  #opening = 0;
  /** Grows with every loss: the server may have restarted, and idle connections to it with it. */
  #generation = 0;
  #whenUnused: (() => void) | undefined;
  readonly #totals = { acquired: 0, opened: 0, openFailures: 0, lost: 0, lentMs: 0 };

  constructor(database: DatabaseName, address: BackendAddress, options: Partial<PoolOptions> = {}) {
    this.database = database;
    this.address = address;
    this.#options = { ...POOL_OPTIONS_DEFAULT, ...options };
    this.#gate = new PoolGate({
      database,
      options: this.#options,
      waiting: () => this.#waiting,
      stats: () => this.stats(),
      open: () => this.#openOne(this.#closing.signal),
      onOpened: () => this.#serve(),
    });
    const { waitMs, waitersMax: sizeMax } = this.#options;
    const refusal = (reason: WaitEnd): Error => this.#gate.exhausted(reason);
    this.#waiting = new WaitQueue({ sizeMax, waitMs, refusal });
    this.#sweep = setInterval(() => this.#closeSurplus(), POOL_SWEEP_INTERVAL_MS).unref();
  }

  /** An idle connection at once, or undefined: nothing is waited for, and nobody is overtaken or refused. */
  tryAcquire(rank?: Rank): BackendConnection | undefined {
    if (this.#waiting.size > 0 || this.#closing.signal.aborted) return undefined;
    if (this.#members.lentCount >= this.#gate.limit) return undefined;
    if (rank !== undefined) this.#members.prefer(rank);
    return this.#takeIdle();
  }

  /**
   * A connection that is idle and outside a transaction. Rejects with `pool_exhausted` after
   * `waitMs`, with the connect's own error where none can be opened, or the signal's reason; and
   * what is new, at once, with `pool_overloaded` and `circuit_open`.
   */
  async acquire(signal?: AbortSignal, claim: Claim = OWN_CLAIM): Promise<BackendConnection> {
    const idle = this.#admit(claim);
    if (idle !== undefined) return idle;
    const acquired = this.#waiting.wait(signal, claim);
    this.#serve();
    return await acquired;
  }

  /** As `acquire`, for who is called back, perhaps at once. Throws what is refused at once. Gives its place in the queue. */
  join(taker: Taker<BackendConnection>, claim: Claim): Waiting | undefined {
    const idle = this.#admit(claim);
    if (idle !== undefined) {
      taker.given(idle);
      return undefined;
    }
    const waiting = this.#waiting.join(claim, taker);
    this.#serve();
    return waiting;
  }

  /** One that is idle; undefined for who has to wait. */
  #admit(claim: Claim): BackendConnection | undefined {
    if (this.#closing.signal.aborted) throw poolClosed(this.database);
    const isFirst = claim.standing !== "new" && this.#waiting.privilegedSize === 0;
    const idle = isFirst ? this.#takeIdle() : this.tryAcquire();
    const refusal = idle === undefined ? this.#gate.refusal(claim) : undefined;
    if (refusal !== undefined) throw refusal;
    return idle;
  }

  owns(connection: BackendConnection): boolean {
    return this.#members.of(connection) !== undefined;
  }

  /** Connections that may be pinned at once: the others go round. */
  get pinnedMax(): number {
    return Math.floor(this.#options.size * POOL_PINNED_SHARE_MAX);
  }

  /** Announces that a lent connection stays with its user; false where too many do already. */
  pin(connection: BackendConnection): boolean {
    return this.#members.pin(connection, this.pinnedMax);
  }

  unpin(connection: BackendConnection): void {
    this.#members.unpin(connection);
  }

  /**
   * Takes a connection back. One that is not idle, or has answers outstanding, cannot be
   * given to another: its statement is cancelled and it is closed.
   */
  release(connection: BackendConnection): void {
    const member = this.#members.of(connection);
    if (member === undefined) return; // lost while it was used, and already forgotten
    invariant(member.use === "lent", "a connection is released once");
    const now = performance.now();
    const lentMs = now - member.lentSince;
    this.#totals.lentMs += lentMs;
    if (connection.isBroken) this.#forgetLost(member);
    else if (!connection.isClean) this.#abandon(member);
    else {
      const answerMs = this.#gate.measuresAnswers ? meanAnswerMs(member) : 0;
      this.#gate.served(now, lentMs, answerMs, this.#members.lentCount);
      if (this.#isOver(member, now)) this.#close(member);
      else if (this.#passesOn(member, now)) return;
      else this.#putIdle(member, now);
    }
    this.#serve();
  }

  /** To who waits for it, without its having been idle: under load that is every connection. */
  #passesOn(member: Member, now: number): boolean {
    const { connection } = member;
    const lentCount = this.#members.lentCount - 1;
    const isHeld = this.#closing.signal.aborted || connection.hasArrived;
    if (isHeld || this.#servable(lentCount) <= 0) return false;
    noteLending(member, now, this.#gate.measuresAnswers);
    this.#totals.acquired += 1;
    this.#waiting.resolveFirst(connection, lentCount >= this.#gate.limit);
    return true;
  }

  /**
   * Another connection in the place of a lent one, which nobody else gets: newly opened, once
   * the old one is gone. Rejects as its opening does; the place is free then.
   */
  async renew(connection: BackendConnection, caller?: AbortSignal): Promise<BackendConnection> {
    const member = this.#members.of(connection);
    if (member === undefined) return await this.acquire(caller);
    this.#opening += 1;
    try {
      this.#totals.lentMs += performance.now() - member.lentSince;
      this.#close(member);
      await connection.ended;
      this.#adopt(
        await this.#connect(AbortSignal.any([this.#closing.signal, ...(caller ? [caller] : [])])),
      );
      const renewed = this.#takeIdle();
      if (renewed === undefined) throw poolClosed(this.database);
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
    const { busyCount: used } = this.#members;
    return {
      sizeMax: this.#options.size,
      idle: this.#members.size - used,
      used,
      opening: this.#opening,
      pinned: this.#members.pinnedCount,
      waiting: this.#waiting.size,
      longestWaitMs: this.#waiting.longestWaitMs,
      waitedMs: this.#waiting.waitedMs,
      waitTimeouts: this.#waiting.timeouts,
      ...this.#gate.stats,
      ...this.#totals,
      shedFull: this.#waiting.refused,
      counts: this.#members.counts,
    };
  }

  servers(): readonly ServerReport[] {
    const { checkAfterIdleMs: ms } = this.#options;
    const now = performance.now();
    return this.#members.all().map((each) => serverReport(each, this.#isOver(each, now), ms));
  }

  /** Closes what nobody uses, so that the server may be stopped without having to cut it off. */
  closeIdle(): void {
    for (const member of this.#members.takeIdle()) this.#close(member);
  }

  /** Refuses new work, waits for what is lent for up to `drainMs`, then cuts it off. Idempotent. */
  async close(drainMs: number): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(poolClosed(this.database));
      clearInterval(this.#sweep);
      this.#reconnect.stop();
      this.#gate.stop();
      this.#waiting.rejectAll(poolClosed(this.database));
      for (const member of this.#members.takeIdle()) this.#close(member);
    }
    if (this.#members.size > 0)
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, drainMs);
        this.#whenUnused = () => {
          clearTimeout(deadline);
          resolve();
        };
      });
    for (const member of this.#members.all())
      if (this.#members.delete(member)) member.connection.destroy();
  }

  /** Serves the waiting from what is idle, and opens or checks connections for the rest. */
  #serve(): void {
    if (this.#closing.signal.aborted) return;
    while (this.#servable() > 0) {
      const connection = this.#takeIdle();
      if (connection === undefined) break;
      // The one just taken is in use already.
      this.#waiting.resolveFirst(connection, this.#members.lentCount > this.#gate.limit);
    }
    for (let needed = this.#servable() - this.#arriving(); needed > 0; needed -= 1) {
      const stale = this.#members.takeLastIdle();
      if (stale !== undefined) void this.#check(stale);
      else if (this.#mayOpen()) void this.#open();
      else break;
    }
  }

  /** Those of the waiting who may have a connection, once there is one. */
  #servable(lentCount = this.#members.lentCount): number {
    const { size, privilegedSize } = this.#waiting;
    if (size === 0) return 0;
    const room = Math.max(0, this.#gate.limit - lentCount);
    return privilegedSize + Math.min(size - privilegedSize, room);
  }

  /** Connections that will be free in a moment without anyone releasing one. */
  #arriving(): number {
    return this.#opening + this.#members.checkingCount;
  }

  #mayOpen(): boolean {
    if (this.#members.size + this.#opening >= this.#options.size) return false;
    if (!this.#reconnect.hasFailed) return true;
    return this.#opening === 0 && this.#reconnect.mayTry();
  }

  /** The idle connection used last, if it can be lent without asking it first. */
  #takeIdle(): BackendConnection | undefined {
    for (;;) {
      const member = this.#members.lastIdle;
      if (member === undefined) return undefined;
      const now = performance.now();
      const isOver = member.connection.isBroken || this.#isOver(member, now);
      if (!isOver && now - member.idleSince > this.#options.checkAfterIdleMs) return undefined;
      this.#members.takeLastIdle();
      if (!isOver) return this.#lend(member, now);
      this.#close(member);
    }
  }

  #lend(member: Member, now: number): BackendConnection {
    this.#members.setUse(member, "lent");
    member.connection.unpark();
    noteLending(member, now, this.#gate.measuresAnswers);
    this.#totals.acquired += 1;
    return member.connection;
  }

  #putIdle(member: Member, now: number = performance.now()): void {
    member.idleSince = now;
    member.connection.park();
    if (member.connection.isBroken) this.#forgetLost(member);
    else this.#members.setUse(member, "idle");
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
    const connection = await this.#openOne(signal);
    this.#reconnect.succeeded();
    this.#totals.opened += 1;
    return connection;
  }

  #openOne(signal: AbortSignal): Promise<BackendConnection> {
    const { database } = this;
    const { settings, connectTimeoutMs } = this.#options;
    return BackendConnection.open(this.address, { database, settings, signal, connectTimeoutMs });
  }

  #adopt(connection: BackendConnection): void {
    if (this.#closing.signal.aborted) return connection.close();
    const member = newMember(connection, this.#generation, this.#options.lifetimeMs);
    this.#members.add(member);
    void connection.ended.then(() => this.#forgetLost(member));
    this.#putIdle(member);
  }

  #openFailed(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#reconnect.failed();
    this.#totals.openFailures += 1;
    if (isFull(error) && this.#members.size > 0) return;
    const count = Math.max(1, this.#waiting.size);
    this.#waiting.rejectAll(error);
    this.#gate.failed(count, error);
  }

  /** Asks a connection that was idle for long: its server, or a NAT between, may have dropped it silently. */
  async #check(member: Member): Promise<void> {
    this.#members.setUse(member, "checking");
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
    if (this.#members.of(member.connection) === undefined) return;
    this.#totals.lost += 1;
    this.#generation += 1;
    const wasAsked = member.use !== "idle";
    for (const idle of this.#members.takeIdle()) this.#close(idle);
    this.#close(member);
    if (wasAsked) this.#gate.failed(1, undefined);
    this.#serve();
  }

  /** Stops what the connection is still running, so that the server does not run on for nobody. */
  #abandon(member: Member): void {
    this.#members.setUse(member, "abandoned");
    void member.connection.abandon().then(() => {
      this.#close(member);
      this.#serve();
    });
  }

  #close(member: Member): void {
    if (!this.#members.delete(member)) return;
    member.connection.close();
    if (this.#members.size === 0) this.#whenUnused?.();
  }

  #isOver({ generation, expiresAt }: Member, now: number): boolean {
    return this.#closing.signal.aborted || generation !== this.#generation || now > expiresAt;
  }

  #closeSurplus(): void {
    const now = performance.now();
    const isIdle = ({ idleSince }: Member) => now - idleSince > this.#options.idleMs;
    const over = this.#members.takeIdle((each) => this.#isOver(each, now) || isIdle(each));
    for (const member of over) this.#close(member);
  }
}
