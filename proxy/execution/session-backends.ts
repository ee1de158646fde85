/**
 * Backends as one session gets them: with its settings applied, and only of databases that
 * show every transaction this proxy has reported as committed.
 *
 * One of the catalog database may be pinned: the session keeps it between transactions for as
 * long as there is a reason, since state of the session lives there (pinned-backend.ts).
 */
import { invariant } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { isCanceled, resetSettings } from "../backend/reset-settings.ts";
import { applySettings } from "./apply-settings.ts";
import type { BackendUse } from "./backend-use.ts";
import { plainClaimant } from "./claimant.ts";
import { isUsableWith, rankFor } from "./custom-settings.ts";
import type { InDoubt } from "./in-doubt.ts";
import { LentBackends } from "./lent-backends.ts";
import type { LockHolder, LockHolders } from "./lock-holders.ts";
import type { Pauses } from "./pauses.ts";
import { PinnedBackend } from "./pinned-backend.ts";
import type { PinReason } from "./pinned-backend.ts";
import { ReadyWait } from "./ready-wait.ts";
import type { PinnableBackends, SessionTaker } from "./session-pools.ts";
import type { SettingsScript } from "./session-settings.ts";
import { SessionWaits } from "./session-waits.ts";

/** Brings a connection to the settings it is wanted with. */
type SetUp = (connection: BackendConnection) => Promise<void>;

export class SessionBackends implements LockHolder {
  readonly #backends: PinnableBackends;
  readonly #inDoubt: InDoubt;
  readonly #settings: () => SettingsScript;
  readonly #holders: LockHolders;
  readonly #pauses: Pauses;
  /** What the session uses now. */
  readonly #lent = new LentBackends();
  #pinned: PinnedBackend | undefined;
  /** The pinned backend is lost, and what the session kept there with it: the session cannot go on. */
  onPinnedLost: (error: SqlError) => void = () => undefined;
  /** On what grounds it asks for connections. */
  claimant = plainClaimant();
  #holdNumber = 0;
  /** It is among the holders of several. */
  #isHolder = false;
  readonly #waits = new SessionWaits();
  readonly #readyWait = new ReadyWait(this.#waits, (connection) => {
    // What was paused or left unfinished meanwhile is looked at by who adopts it.
    const isShared = this.settingsToShare(connection.database) !== undefined;
    return isShared && this.#lendReady(connection);
  });
  /** What is still to be asked for a transaction that is over: a pause is not in its way. */
  isFinishing = false;
  /** Why the proxy itself has cancelled what runs. */
  #deadlock: SqlError | undefined;

  constructor(
    backends: PinnableBackends,
    inDoubt: InDoubt,
    settings: () => SettingsScript,
    holders: LockHolders,
    pauses: Pauses,
  ) {
    this.#backends = backends;
    this.#inDoubt = inDoubt;
    this.#settings = settings;
    this.#holders = holders;
    this.#pauses = pauses;
  }

  get use(): BackendUse {
    return {
      lent: [...this.#lent.connections],
      cancelling: this.#lent.cancelling,
      pinned: this.#pinned?.connection,
      wait: this.#waits.current,
    };
  }

  /** A statement runs on one of its backends, or will as soon as one is free. */
  uses(database: DatabaseName): boolean {
    return this.#waits.includes(database) || this.#lent.hasOf(database);
  }

  get holdNumber(): number {
    return this.#holdNumber;
  }

  /** The pinned one among them, used or not: its advisory locks are held in between, too. */
  get held(): Iterable<BackendConnection> {
    const held = new Set(this.#lent.connections);
    if (this.#pinned !== undefined) held.add(this.#pinned.connection);
    return held;
  }

  /** Why the session has a backend of its own; empty where it has none. */
  get pinReasons(): ReadonlySet<PinReason> {
    return this.#pinned?.reasons ?? NO_REASONS;
  }

  /** What is done now may be done as another role than the connections' user. */
  get isOtherRole(): boolean {
    return this.#settings().isOtherRole;
  }

  isPinned(connection: BackendConnection): boolean {
    return this.#pinned?.connection === connection;
  }

  /** The pinned one where it is of this database and not in use. */
  async acquire(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    if (this.#pauses.isAny) await this.#pass(database, signal);
    const pinned = this.#takePinned(database);
    if (pinned === undefined) return await this.#acquireFree(database, signal);
    const { connection } = pinned;
    this.#lend(connection);
    return await this.#asSessions(connection, pinned);
  }

  /** With what settings a backend is ready for the session as it is; undefined where it has to wait, or has one of its own. */
  settingsToShare(database: DatabaseName): SettingsScript | undefined {
    const mustWait = this.#pauses.isAny || this.#inDoubt.hasUnfinished(database);
    return mustWait || this.#pinned !== undefined ? undefined : this.#settings();
  }

  /** One that is idle, and ready for the session as it is; undefined leaves what is to be done to `acquire`. */
  acquireReady(database: DatabaseName): BackendConnection | undefined {
    const settings = this.settingsToShare(database);
    if (settings === undefined) return undefined;
    const { customNames } = settings;
    const connection = this.#backends.tryAcquire(database, rankFor(customNames));
    if (connection === undefined) return undefined;
    if (this.#lendReady(connection)) return connection;
    this.#backends.release(connection);
    return undefined;
  }

  /** Lends the session a connection that is ready for it as it is. */
  #lendReady(connection: BackendConnection): boolean {
    const { tag, customNames } = this.#settings();
    const isReady = connection.sessionTag === tag && isUsableWith(connection, customNames);
    if (isReady) this.#lend(connection);
    return isReady;
  }

  /**
   * Waits for one with others, where `acquireReady` has none, for a session that uses nothing else: it
   * is called back, perhaps at once. False where it is for `acquire` to do. Throws what is refused at once.
   */
  join(database: DatabaseName, taker: SessionTaker): boolean {
    if (this.settingsToShare(database) === undefined || this.#lent.size > 0) return false;
    const claim = this.claimant.claim(this.isFinishing);
    this.#readyWait.join(this.#backends, database, claim, taker);
    return true;
  }

  /** It does not wait any more. The taker is not told. */
  leave(): void {
    this.#readyWait.leave();
  }

  /** One of the pool, where what is done must not meet the session's own temporary tables. */
  async acquireUnpinned(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    if (this.#pauses.isAny) await this.#pass(database, signal);
    return await this.#acquireFree(database, signal);
  }

  async #acquireFree(
    database: DatabaseName,
    signal: AbortSignal,
    set?: SetUp,
  ): Promise<BackendConnection> {
    const idle = this.#backends.tryAcquire(database, rankFor(this.#settings().customNames));
    return await this.adopt(idle ?? (await this.#waitForConnection(database, signal)), signal, set);
  }

  /** Makes a connection of the pool the session's, with its settings, or gives it back and rejects. */
  async adopt(
    given: BackendConnection,
    signal: AbortSignal,
    set?: SetUp,
  ): Promise<BackendConnection> {
    const { customNames } = this.#settings();
    const isUsable = set !== undefined || isUsableWith(given, customNames);
    const connection = isUsable ? given : await this.#backends.renew(given, signal);
    this.#lend(connection);
    try {
      return await this.#setUp(connection, undefined, set);
    } catch (error) {
      const isAsked = this.#lent.cancelOf(connection) !== undefined || this.#deadlock !== undefined;
      if (isAsked || signal.aborted || !isCanceled(error)) {
        this.release(connection);
        throw error;
      }
    }
    // It ran under the last client's statement_timeout; a connection that is new has none.
    void this.#lent.delete(connection);
    const another = await this.#backends.renew(connection, signal);
    this.#lend(another);
    return await this.#asSessions(another, undefined, set);
  }

  async #waitForConnection(
    database: DatabaseName,
    signal: AbortSignal,
  ): Promise<BackendConnection> {
    this.#waits.begin(database);
    try {
      const claim = this.claimant.claim(this.#lent.size > 0 || this.isFinishing);
      if (this.#lent.size === 0) return await this.#backends.acquire(database, signal, claim);
      const waiter = { holdNumber: this.#holdNumber, held: this.held, awaited: database };
      return await this.#holders.poolWaits.wait(waiter, claim, this.#backends, signal);
    } finally {
      this.#waits.end(database);
    }
  }

  /** Waits for RESUME where the database is paused and this transaction is new to it. */
  async #pass(database: DatabaseName, signal: AbortSignal): Promise<void> {
    if (this.isFinishing || !this.#pauses.isPaused(database)) return;
    const holdNumber = this.#lent.size > 0 ? this.#holdNumber : undefined;
    await this.#waits.holdUp(database, this.#pauses.pass(database, holdNumber, signal));
  }

  /** One of the pool, as the connection's own user and under none of the client's settings. */
  async acquireOwn(database: DatabaseName, signal: AbortSignal): Promise<BackendConnection> {
    if (this.#pauses.isAny) await this.#pass(database, signal);
    return await this.#acquireFree(database, signal, resetSettings);
  }

  async #asSessions(
    connection: BackendConnection,
    pinned: PinnedBackend | undefined,
    set?: SetUp,
  ): Promise<BackendConnection> {
    try {
      return await this.#setUp(connection, pinned, set);
    } catch (error) {
      this.release(connection);
      throw error;
    }
  }

  async #setUp(
    connection: BackendConnection,
    pinned: PinnedBackend | undefined,
    set: SetUp = (each) => applySettings(each, this.#settings()),
  ): Promise<BackendConnection> {
    const { database } = connection;
    await pinned?.settled();
    if (this.#inDoubt.hasUnfinished(database)) {
      // A part is finished by the user that has prepared it.
      await resetSettings(connection);
      await this.#inDoubt.finish(database, connection);
    }
    await set(connection);
    return connection;
  }

  #takePinned(database: DatabaseName): PinnedBackend | undefined {
    const pinned = this.#pinned;
    if (pinned === undefined || pinned.connection.database !== database) return undefined;
    pinned.lost.throwIfAborted();
    return this.#lent.has(pinned.connection) ? undefined : pinned;
  }

  #lend(connection: BackendConnection): void {
    if (this.#lent.size === 0) {
      this.#holdNumber = this.#holders.nextHoldNumber();
      this.#deadlock = undefined;
    }
    this.#lent.add(connection);
    this.#countHeld();
  }

  /** Who uses nothing waits for nothing; who holds one backend is its server's own affair. */
  #countHeld(): void {
    const holdsOneAtMost = this.#lent.size <= 1 && this.#pinned === undefined;
    const isHolder = !holdsOneAtMost && this.#lent.size > 0 && [...this.held].length > 1;
    if (isHolder === this.#isHolder) return;
    this.#isHolder = isHolder;
    if (isHolder) this.#holders.add(this);
    else this.#holders.delete(this);
  }

  /**
   * Idle connections go back to their pool, but for the pinned one, which is kept; any other
   * is closed by it, which rolls back. One that a cancel request is on its way to waits for
   * it, so that it can hit nobody else, and no later statement.
   */
  release(connection: BackendConnection): void {
    const cancelling = this.#lent.delete(connection);
    this.#countHeld();
    const pinned = this.#pinned;
    if (pinned?.connection === connection) {
      if (connection.isClean) {
        pinned.waitFor(cancelling);
        if (pinned.reasons.size === 0) void this.#giveBack(pinned);
        return;
      }
      pinned.lose();
    }
    if (cancelling === undefined) this.#backends.release(connection);
    else void cancelling.finally(() => this.#backends.release(connection));
  }

  /**
   * Keeps a backend, which the session has lent, until the last reason for it is gone. Throws
   * where too many sessions keep one. There is one at most, so whatever needs one is on it.
   */
  pin(connection: BackendConnection, reason: PinReason): void {
    this.#pinned ??= this.#startPin(connection);
    invariant(this.#pinned.connection === connection, "a session has one pinned backend");
    this.#pinned.reasons.add(reason);
  }

  #startPin(connection: BackendConnection): PinnedBackend {
    if (!this.#backends.pin(connection)) {
      const { database } = connection;
      throw new SqlError(
        "pinned_backends_exhausted",
        `too many sessions keep a connection to database "${database}"`,
        {
          detail: `At most ${this.#backends.pinnedMax(database)} connections of its pool may be kept by sessions.`,
        },
      );
    }
    return new PinnedBackend(connection, (error) => this.onPinnedLost(error));
  }

  /** Resolves once the backend is back in its pool, where this was its last reason and it is not in use. */
  async unpin(reason: PinReason): Promise<void> {
    const pinned = this.#pinned;
    if (pinned?.reasons.delete(reason) !== true) return;
    const isFree = pinned.reasons.size === 0 && !this.#lent.has(pinned.connection);
    if (isFree) await this.#giveBack(pinned);
  }

  /** The client leaves, or says DISCARD ALL: no reason is left. The session's transaction is over. */
  async unpinAll(): Promise<void> {
    const pinned = this.#pinned;
    if (pinned === undefined) return;
    pinned.reasons.clear();
    if (!this.#lent.has(pinned.connection)) await this.#giveBack(pinned);
  }

  /** Cleaned before anybody else can have it, or closed. Never rejects. */
  async #giveBack(pinned: PinnedBackend): Promise<void> {
    const { connection } = pinned;
    this.#pinned = undefined;
    this.#countHeld();
    if (pinned.lost.aborted) return;
    await pinned.clean();
    this.#backends.unpin(connection);
    this.#backends.release(connection);
  }

  breakDeadlock(error: SqlError): void {
    this.cancel();
    this.#deadlock = error;
  }

  /** What ended a statement: the deadlock, where the server knows only that it was to cancel. */
  causeOf(error: unknown): unknown {
    const deadlock = this.#deadlock;
    if (deadlock === undefined || !isCanceled(error)) return error;
    this.#deadlock = undefined;
    return deadlock;
  }

  /** Asks every server that runs something for this session to stop it. Their answers tell what came of it. */
  cancel(): void {
    this.#deadlock = undefined;
    for (const connection of this.#lent.connections) {
      const isAsked = this.#lent.cancelOf(connection) !== undefined;
      if (isAsked || connection.pendingReadyForQuery === 0 || connection.isBroken) continue;
      const cancelled = connection
        .cancel()
        // A server that cannot be asked may hang for good: its connection is given up.
        .catch(() => connection.destroy())
        .finally(() => this.#lent.cancelled(connection, cancelled));
      this.#lent.cancel(connection, cancelled);
    }
  }
}

const NO_REASONS: ReadonlySet<PinReason> = new Set();
