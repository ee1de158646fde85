/**
 * One client's session, from its first ReadyForQuery to its end: reads messages in order,
 * has each answered, and is the only place that turns what was thrown into an ErrorResponse.
 */
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { PinReason } from "../execution/pinned-backend.ts";
import type { Frame } from "../protocol/frame-reader.ts";
import { decodeBind } from "../protocol/frontend/bind.ts";
import { decodeClose } from "../protocol/frontend/close.ts";
import { decodeDescribe } from "../protocol/frontend/describe.ts";
import { decodeExecute } from "../protocol/frontend/execute.ts";
import { decodeParse } from "../protocol/frontend/parse.ts";
import { decodeQuery } from "../protocol/frontend/query.ts";
import { FRONTEND_TYPE, READY_TYPES } from "../protocol/message-type.ts";
import { functionCallRefused, SESSION_TYPES, shutdown, unknownType } from "./session-messages.ts";
import type { Client, Sleeper } from "./client.ts";
import { Commands } from "./commands.ts";
import { Cursors } from "./cursors.ts";
import { decoded } from "./decoded-message.ts";
import { DirectPath } from "./direct-path.ts";
import { changedEnvironment } from "./changed-environment.ts";
import type { Environment } from "./environment.ts";
import { errorFields } from "./error-fields.ts";
import { causeOf, reportError } from "./error-report.ts";
import { Listening } from "./listening.ts";
import { ExtendedQuery } from "./extended-query.ts";
import { Portals } from "./portals.ts";
import type { Responder } from "./responder.ts";
import { sessionClaimant } from "./session-claimant.ts";
import type { SessionServices } from "./session-services.ts";
import { maySleep, sessionState, sleepingSession } from "./sleeping-session.ts";
import type { SessionState, SleepingSession } from "./sleeping-session.ts";
import { sessionStatus, type SessionStatus } from "./session-status.ts";
import { endedByTimeout, SessionTimeouts } from "./session-timeouts.ts";
import { runSimpleQuery, type QueryParts } from "./simple-query.ts";
import { StatementRunner } from "./statement-runner.ts";

export class Session {
  readonly #client: Client;
  readonly #services: SessionServices;
  readonly #state: SessionState;
  readonly #responder: Responder;
  readonly #listening: Listening;
  readonly #runner: StatementRunner;
  readonly #extended: ExtendedQuery;
  readonly #parts: QueryParts;
  readonly #direct: DirectPath;
  readonly #timeouts: SessionTimeouts;
  /** After an error in the extended protocol, messages are skipped up to the next Sync. */
  #isSkipping = false;
  /** Aborts what the running statement waits for; undefined while none runs. */
  #statement: AbortController | undefined;
  #isClosing = false;
  /** What the session kept on a backend is gone, or an operator ends it: it goes no further. */
  #lost: SqlError | undefined;
  #isKilled = false;
  #isAsleep = false;
  /** Query and Execute messages so far. */
  statementCount: number;

  /** `slept`: what the session was before it slept. */
  constructor(client: Client, services: SessionServices, slept: SleepingSession | undefined) {
    this.#client = client;
    this.#services = services;
    this.statementCount = slept?.statementCount ?? 0;
    this.#state = sessionState(client, services, slept);
    const { settings, prepared, sequenceValues, responder } = this.#state;
    this.#responder = responder;
    this.#listening = new Listening({
      notifications: services.notifications,
      client,
      sendAway: (error) => this.#sendAway(error),
      leave: (error) => this.#leaveOver(error),
    });
    this.#runner = new StatementRunner(services, settings, this.#listening, sequenceValues);
    this.#runner.backends.onPinnedLost = (error) => this.#leaveOver(error);
    const portals = new Portals();
    const cursors = new Cursors({ runner: this.#runner, portals, responder });
    this.#runner.transaction.beforeCommit = async (signal) => {
      // Of a session that ends, nobody would be told of it.
      if (this.#isKilled) throw this.#lost;
      await cursors.hold(signal);
    };
    this.#timeouts = new SessionTimeouts(
      (error) => this.kill(error),
      () => this.#runner.transaction.status === "inTransaction",
    );
    const { planner } = services;
    const shared = { client, runner: this.#runner, planner, portals, cursors, ...this.#state };
    const commands = new Commands({ ...shared, listening: this.#listening });
    this.#parts = { ...shared, commands };
    this.#extended = new ExtendedQuery(this.#parts, prepared);
    this.#direct = new DirectPath({
      ...this.#parts,
      services,
      backends: this.#runner.backends,
      listening: this.#listening,
      isReady: () => this.#statement === undefined && !this.#isSkipping && !this.#isClosing,
      mayGoOn: () => this.#lost === undefined,
      started: () => {
        this.#timeouts.busy();
        this.statementCount += 1;
      },
      during: (work) => this.#during(work),
      rested: () => {
        this.#timeouts.idle(this.#runner.transaction.status);
        this.#leaveWhereAsked();
      },
    });
    if (services.isDirectPathOn) client.direct = this.#direct;
    this.#runner.binding.use.isActive = () => !this.isIdle;
  }

  /** Between transactions: may be sent away when the proxy drains. */
  get isIdle(): boolean {
    return (
      this.#statement === undefined &&
      !this.#direct.isBusy &&
      this.#runner.transaction.current === undefined
    );
  }

  /** What pg_stat_activity would show of it, and why it has a backend of its own. */
  get status(): SessionStatus {
    return sessionStatus({
      isActive: this.#statement !== undefined || this.#direct.isBusy,
      transaction: this.#runner.transaction.status,
      use: this.#runner.backends.use,
      pinned: this.pinReasons,
      applicationName: this.#responder.told("application_name") ?? "",
      statementCount: this.statementCount,
      preparedCount: this.#parts.prepared.size,
    });
  }

  get pinReasons(): ReadonlySet<PinReason> {
    return this.#runner.pins.reasons;
  }

  /** A statement of its runs in the database, or will as soon as a backend is free. */
  uses(database: DatabaseName): boolean {
    return this.#runner.backends.uses(database) || this.#direct.shares(database);
  }

  /** Ends `run`, where another session for the client can go on with what is given back; undefined where not. */
  sleep(sleeper: Sleeper): SleepingSession | undefined {
    if (!this.isIdle || this.#isSkipping || this.#isClosing || this.#lost !== undefined) return;
    const parts = { ...this.#parts, listening: this.#listening, timeouts: this.#timeouts };
    if (!maySleep(parts) || !this.#client.sleep(sleeper)) return;
    this.#isAsleep = true;
    return sleepingSession(this.#state, this.statementCount);
  }

  /** Runs to the client's end, or until it sleeps; `isGreeted`: it has slept. Never rejects. */
  async run(isGreeted: boolean): Promise<"over" | "asleep"> {
    const { gone } = this.#client;
    const { backends } = this.#runner;
    backends.claimant = sessionClaimant(this.#services, this.#client, this.#responder);
    const onGone = () => this.cancel();
    gone.addEventListener("abort", onGone, { once: true });
    try {
      if (isGreeted || (await this.#greet())) await this.#serve();
    } catch (error) {
      this.#report(error, "FATAL");
    } finally {
      gone.removeEventListener("abort", onGone);
      if (!this.#isAsleep) await this.#end();
      this.#runner.binding.use.end();
    }
    if (this.#isAsleep) return "asleep";
    this.#client.end();
    return "over";
  }

  async #end(): Promise<void> {
    this.#timeouts.close();
    this.#listening.end();
    await this.#direct.rest();
    await this.#runner.transaction.rollback().catch((error: unknown) => {
      this.#services.log.error({ err: error }, "a session's transaction could not be rolled back");
    });
    await this.#runner.pins.end();
  }

  /** A CancelRequest, or a client that is gone: stops what runs, and whatever it waits for. */
  cancel(): void {
    this.#direct.cancel();
    if (this.#statement === undefined) return;
    this.#statement.abort(
      new SqlError("query_canceled", "canceling statement due to user request"),
    );
    this.#runner.backends.cancel();
  }

  /** An operator ends the session: what runs is stopped, and the client is told of nothing but that. */
  kill(error: SqlError): void {
    this.#isKilled = true;
    this.#lost = error;
    if (this.#statement === undefined) this.#sendAway(error);
    else this.cancel();
  }

  /** The proxy is going away: an idle client at once, any other after its transaction. */
  close(): void {
    this.#isClosing = true;
    if (this.isIdle) this.#sendAway(shutdown());
  }

  #sendAway(error: SqlError): void {
    this.#responder.error(errorFields(error, "FATAL"));
    this.#client.end();
  }

  /** Applies the startup packet's settings on a real server, which may refuse them. */
  async #greet(): Promise<boolean> {
    const { signal } = (this.#statement = new AbortController());
    try {
      this.#adopt(await this.#runner.view.environment(signal));
      this.#responder.backendKeyData();
      this.#responder.readyForQuery("idle");
      this.#timeouts.idle("idle");
      return true;
    } catch (error) {
      this.#report(error, "FATAL");
      return false;
    } finally {
      this.#statement = undefined;
    }
  }

  async #serve(): Promise<void> {
    for (;;) {
      const frame = await this.#client.receive();
      this.#timeouts.busy();
      this.#listening.wake();
      if (frame === undefined || frame.type === FRONTEND_TYPE.terminate) return;
      if (this.#isSkipping && frame.type !== FRONTEND_TYPE.sync) {
        if (!SESSION_TYPES.has(frame.type)) throw unknownType(frame);
        continue;
      }
      const { signal } = (this.#statement = new AbortController());
      // What the last statement used is no part of a transaction that begins now.
      if (this.#runner.transaction.current === undefined) this.#runner.binding.use.clear();
      try {
        await this.#answer(frame, signal);
      } catch (error) {
        if (error instanceof ProtocolViolation) throw error;
        await this.#fail(frame.type, error, signal);
      } finally {
        this.#statement = undefined;
      }
      if (this.#leaveWhereAsked()) return;
    }
  }

  /** The session has lost what it cannot go on without: it ends now, or after what runs. */
  #leaveOver(error: SqlError): void {
    this.#lost = endedByTimeout(error) ?? error;
    if (this.#statement === undefined) this.#sendAway(this.#lost);
  }

  /** After a statement: what could not be done during it. */
  #leaveWhereAsked(): boolean {
    const error = this.#lost ?? (this.#isClosing && this.isIdle ? shutdown() : undefined);
    if (error !== undefined) this.#sendAway(error);
    return error !== undefined;
  }

  async #during(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = (this.#statement = new AbortController());
    const failed = (error: unknown) => this.#fail(FRONTEND_TYPE.sync, error, signal);
    try {
      await work(signal).then(() => this.#ready(signal), failed);
    } catch (failure) {
      this.#report(failure, "FATAL");
      this.#client.end();
    } finally {
      this.#statement = undefined;
    }
  }

  async #answer({ type, body }: Frame, signal: AbortSignal): Promise<void> {
    switch (type) {
      case FRONTEND_TYPE.query:
        if (!(await this.#settle(signal))) return;
        this.statementCount += 1;
        this.#extended.forgetUnnamed();
        await runSimpleQuery(decoded(decodeQuery, body).sql, this.#parts, signal);
        return this.#ready(signal);
      case FRONTEND_TYPE.parse:
        return this.#extended.parse(decoded(decodeParse, body), signal);
      case FRONTEND_TYPE.bind:
        return this.#extended.bind(decoded(decodeBind, body), signal);
      case FRONTEND_TYPE.describe:
        return this.#extended.describe(decoded(decodeDescribe, body), signal);
      case FRONTEND_TYPE.execute:
        this.statementCount += 1;
        return this.#extended.execute(decoded(decodeExecute, body), this.#isAlone(), signal);
      case FRONTEND_TYPE.close:
        return this.#extended.close(decoded(decodeClose, body), signal);
      case FRONTEND_TYPE.sync:
        this.#isSkipping = false;
        await this.#extended.sync(signal);
        return this.#ready(signal);
      case FRONTEND_TYPE.flush:
        return this.#extended.settle(signal);
      // What is left of a COPY that has failed already: PostgreSQL drops it, too.
      case FRONTEND_TYPE.copyData:
      case FRONTEND_TYPE.copyDone:
      case FRONTEND_TYPE.copyFail:
        return;
      case FRONTEND_TYPE.functionCall:
        throw functionCallRefused();
      default:
        throw unknownType({ type });
    }
  }

  /** False after an error of the Bind before a Query: PostgreSQL has told it, and skips the Query as well. */
  async #settle(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#extended.settle(signal);
      return true;
    } catch (error) {
      await this.#undo(error);
      this.#isSkipping = true;
      return false;
    }
  }

  /** The message just taken is followed by the Sync that ends its transaction, and none is open. */
  #isAlone(): boolean {
    return (
      this.#client.peek(0)?.type === FRONTEND_TYPE.sync &&
      this.#runner.transaction.current === undefined
    );
  }

  async #ready(signal: AbortSignal): Promise<void> {
    this.#runner.backends.isFinishing = true;
    if (this.#runner.transaction.current === undefined) {
      this.#extended.forgetPortals();
      await this.#runner.pins.review();
      await this.#tellNotifications();
    }
    const environment = await changedEnvironment(this.#runner, this.#services.log, signal);
    if (environment !== undefined) this.#adopt(environment);
    this.#runner.backends.isFinishing = false;
    const { status } = this.#runner.transaction;
    this.#responder.readyForQuery(status);
    this.#timeouts.idle(status);
    if (this.#runner.transaction.current === undefined) this.#listening.rest();
  }

  /** Own ones are there before the answer is, as in PostgreSQL. */
  async #tellNotifications(): Promise<void> {
    const { transaction } = this.#runner;
    const { mayHaveNotified } = transaction;
    transaction.mayHaveNotified = false;
    await this.#listening.flush(mayHaveNotified);
  }

  #adopt({ parameters, timeouts }: Environment): void {
    this.#responder.parameterStatuses(parameters);
    this.#timeouts.adopt(timeouts);
  }

  /** In the extended protocol, an error skips to Sync. */
  async #fail(type: number, error: unknown, signal: AbortSignal): Promise<void> {
    await this.#undo(error);
    if (this.#isKilled) return;
    if (READY_TYPES.has(type)) await this.#ready(signal);
    else this.#isSkipping = true;
  }

  /** An error fails an explicit transaction, and ends an implicit one. */
  async #undo(error: unknown): Promise<void> {
    this.#extended.dropDelayed();
    const timeout = endedByTimeout(causeOf(error));
    if (timeout !== undefined) [this.#isKilled, this.#lost] = [true, timeout];
    if (!this.#isKilled) this.#report(error, "ERROR");
    this.#runner.transaction.fail();
    if (this.#runner.transaction.isExplicit)
      await this.#runner.transaction.current?.transaction.fail();
    else await this.#runner.transaction.rollback();
  }

  #report(error: unknown, severity: "ERROR" | "FATAL"): void {
    reportError(error, severity, {
      services: this.#services,
      backends: this.#runner.backends,
      responder: this.#responder,
    });
  }
}
