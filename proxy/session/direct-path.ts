/**
 * The short way of a statement: one placement, a plan that is known, nothing else open but a
 * plain transaction block (direct-block.ts). What the client sent is put to a backend as soon as
 * it has arrived, and the answer is relayed as it comes, without a promise between the two; what it
 * has sent at once, at once (direct-behind.ts). It decides nothing that the long way decides otherwise: whatever is not known here is left to it
 * (extended-query.ts, simple-query.ts), and all that a client reads is the same.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { AnswerRelay } from "../execution/answer-relay.ts";
import type { PipelineOwner, Verdict } from "../execution/answer-relay.ts";
import { inClientText } from "../execution/backend-answer.ts";
import { unknownWhereLost } from "../execution/executor.ts";
import { forgetPrepared } from "../execution/prepared-texts.ts";
import { isUnusable } from "../execution/run-fragment.ts";
import type { ReadOwner, SharedRead } from "../execution/shared-reads/shared-read.ts";
import { stopPipeline } from "../execution/stop-pipeline.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import type { DirectReceiver } from "./client.ts";
import { DirectBehind, isParsedOn, observe } from "./direct-behind.ts";
import { isPlain, readyIn } from "./direct-block.ts";
import { DirectCounts } from "./direct-counts.ts";
import { runCommand } from "./direct-command.ts";
import { asItIs, encodeDirect } from "./direct-request.ts";
import { DirectIntake } from "./direct-running.ts";
import type { Running } from "./direct-running.ts";
import type { DirectSession } from "./direct-session.ts";
import { DirectWait } from "./direct-wait.ts";
import type { Awaiting } from "./direct-wait.ts";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

export class DirectPath implements DirectReceiver, ReadOwner, PipelineOwner, Awaiting {
  readonly #session: DirectSession;
  readonly #intake: DirectIntake;
  readonly #behind = new DirectBehind();
  readonly #counts: DirectCounts;
  readonly #wait: DirectWait;
  #running: Running | undefined;
  #isCommanded = false;
  readonly #commanded = (): void => this.#rested();
  #connection: BackendConnection | undefined;
  /** What runs is asked among reads of others. */
  #shared: SharedRead | undefined;
  #error: unknown;
  /** What runs was sent behind another, and began when that was answered. */
  #isOneOfSeveral = false;
  #whenRested: (() => void) | undefined;

  constructor(session: DirectSession) {
    this.#session = session;
    this.#intake = new DirectIntake(session);
    this.#counts = DirectCounts.of(session.services.metrics);
    this.#wait = new DirectWait(session.backends, this);
  }

  get isBusy(): boolean {
    return this.#running !== undefined || this.#isCommanded;
  }

  /** Resolves once nothing runs. */
  rest(): Promise<void> {
    if (!this.isBusy) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenRested = resolve;
    });
  }

  /** Stops what runs, or waits for a backend. */
  cancel(): void {
    if (!this.isBusy) return;
    this.#shared?.cancel(this.#session.client.gone.aborted);
    this.#wait.cancel();
    this.#session.backends.cancel();
  }

  /** Where no backend of the session's tells. */
  shares(database: DatabaseName): boolean {
    return this.#shared !== undefined && this.#running?.request.target.database === database;
  }

  take(bytes: Buffer, start: number, end: number): number {
    const { isReady, runner, listening, portals } = this.#session;
    if (this.isBusy || !isReady() || !listening.isQuiet || !isPlain(runner, portals)) return 0;
    const taken = this.#intake.take(bytes, start, end);
    if (taken === undefined) return 0;
    if ("command" in taken) {
      this.#isCommanded = true;
      if (runCommand(taken.command, this.#session, this.#counts, this.#commanded)) {
        this.#isCommanded = false;
        this.#session.rested();
      }
      return taken.end - start;
    }
    let takenEnd = taken.end;
    if (takenEnd < end) {
      const more = this.#intake.takeBehind(bytes, end, taken);
      this.#behind.add(more.behind);
      takenEnd = more.end;
    }
    this.#start(taken.running);
    return takenEnd - start;
  }

  #start(running: Running): void {
    const { backends, client, portals, services, started } = this.#session;
    started();
    this.#running = running;
    this.#error = undefined;
    const { block, request } = running;
    block?.begun(portals);
    if (block?.connection !== undefined) return this.#send(block.connection, running);
    const { plan } = running.route;
    if (block === undefined && !this.#behind.isAny)
      this.#shared = services.readSharing.take(client.user, plan, request, backends, this);
    if (this.#shared === undefined) this.#startAlone(running);
  }

  encode(connection: BackendConnection, writer: FrameWriter): void {
    if (this.#running !== undefined) encodeDirect(connection, this.#running.request, writer);
  }

  claim(): ReturnType<ReadOwner["claim"]> {
    const { claimant } = this.#session.backends;
    if (this.#running !== undefined) claimant.statement = this.#running.asked;
    return claimant.claim(false);
  }

  again(): void {
    this.#shared = undefined;
    this.#error = undefined;
    if (this.#running !== undefined) this.#startAlone(this.#running);
  }

  #startAlone(running: Running): void {
    const { database } = running.request.target;
    const connection = this.#session.backends.acquireReady(database);
    if (connection !== undefined) return this.#send(connection, running);
    this.#session.backends.claimant.statement = running.asked;
    this.#wait.start(database);
  }

  ready(connection: BackendConnection): void {
    if (this.#running !== undefined) this.#send(connection, this.#running);
  }

  failed(error: unknown): void {
    this.#error = error;
    this.#end();
  }

  #send(connection: BackendConnection, running: Running): void {
    this.#connection = connection;
    running.block?.sending(connection);
    running.isParsed = isParsedOn(connection, running);
    const { request } = running;
    let whole: Buffer | undefined;
    try {
      if (!this.#behind.isAny) whole = asItIs(request);
      if (whole === undefined) encodeDirect(connection, request, WRITER);
    } catch (error) {
      this.#error = error;
      return this.#end();
    }
    const count = 1 + (whole === undefined ? this.#behind.encode(connection, running, WRITER) : 0);
    connection.expectReady(count);
    connection.sendNow(whole ?? WRITER.take());
    AnswerRelay.start(connection, this, count);
  }

  judge(type: number, bytes: Buffer, start: number, end: number): Verdict {
    const running = this.#running;
    if (running === undefined || running.block?.takes(type) === true) return false;
    const { batch } = running;
    switch (type) {
      case BACKEND_TYPE.commandComplete:
        running.block?.completed(bytes, start + FRAME_HEADER_BYTES, end - 1);
        return true;
      case BACKEND_TYPE.emptyQueryResponse:
        return true;
      case BACKEND_TYPE.rowDescription:
        return this.#judgeColumns(running, bytes, start, end);
      case BACKEND_TYPE.parseComplete:
        running.isParsed = true;
        return running.tellsParse;
      case BACKEND_TYPE.bindComplete:
        return true;
      case BACKEND_TYPE.noData:
        return batch?.isDescribed === true;
      case BACKEND_TYPE.closeComplete:
        return false;
      case BACKEND_TYPE.errorResponse:
        this.#error = this.#backendError(running, bytes.subarray(start, end));
        return "mute";
      default:
        throw new ProtocolViolation(`unexpected message type ${type} in the answer`);
    }
  }

  #judgeColumns(running: Running, bytes: Buffer, start: number, end: number): Verdict {
    try {
      return running.columns.judge(bytes, start, end);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      this.#error =
        error.id === "cached_plan_changed" && this.#commitsItself
          ? new SqlError(
              "transaction_in_doubt",
              "the statement may have taken effect, but its columns have changed since it was prepared",
            )
          : error;
      return "mute";
    }
  }

  #backendError({ request, isParsed }: Running, frame: Buffer): BackendError {
    const { fields } = decodeErrorResponse(frame.subarray(FRAME_HEADER_BYTES));
    if (this.#connection !== undefined && (!isParsed || isUnusable(fields)))
      forgetPrepared(this.#connection, request.target.prepared);
    const { rendered } = request.target;
    return new BackendError(inClientText(fields, rendered), request.target.database);
  }

  /** As the session is, whatever the server is in: a connection that is in another is not used again. */
  judgeReady(status: TransactionStatus): Verdict {
    if (this.#error !== undefined) return false;
    return readyIn(this.#running?.block, status);
  }

  next(): boolean {
    return this.#error === undefined && this.#advance();
  }

  halted(relay: AnswerRelay): void {
    const error = this.#error;
    if (error === undefined) this.#goOn(relay);
    else void this.#session.during(() => thrown(error)).then(() => this.#goOn(relay));
  }

  #goOn(relay: AnswerRelay): void {
    if (this.#advance()) return relay.goOn();
    relay.stop();
    const connection = this.#connection;
    if (connection !== undefined) void this.#stop(connection);
  }

  /** Their client wants nothing more, or must not be told what is answered from here on. */
  async #stop(connection: BackendConnection): Promise<void> {
    await stopPipeline(connection);
    this.#behind.lose(connection.loss());
    this.#error = undefined;
    this.#end();
  }

  /** What was sent behind is what runs now: it has begun, and may be told. */
  #advance(): boolean {
    const before = this.#running;
    const isIdle = this.#connection?.transactionStatus === "idle";
    const next = isIdle && this.#mayGoOn ? this.#behind.begin() : undefined;
    if (before === undefined || next === undefined) return false;
    next.startedMs = performance.now();
    this.#counts.ended(before.route.plan, before.startedMs, next.startedMs);
    if (this.#isOneOfSeveral) observe(before, next.startedMs);
    this.#isOneOfSeveral = true;
    this.#error = undefined;
    this.#running = next;
    this.#session.started();
    return true;
  }

  give(bytes: Buffer): void {
    this.#session.client.writeNow(bytes);
  }

  get isFull(): boolean {
    return this.#session.client.isFull;
  }

  whenRoom(callback: () => void): void {
    void this.#session.client.drained().finally(callback);
  }

  answered(): void {
    this.#end();
  }

  lost(error: unknown): void {
    const connection = this.#connection;
    this.#behind.lose(error);
    const isInDoubt = this.#commitsItself && connection !== undefined;
    this.#error = isInDoubt ? unknownWhereLost(error, connection.database) : error;
    this.#end();
  }

  get #commitsItself(): boolean {
    const running = this.#running;
    return running?.route.plan.access === "write" && running.block === undefined;
  }

  #end(): void {
    const { backends } = this.#session;
    const connection = this.#connection;
    const running = this.#running;
    this.#connection = undefined;
    this.#shared = undefined;
    if (running !== undefined) {
      const now = performance.now();
      this.#counts.ended(running.route.plan, running.startedMs, now);
      if (this.#isOneOfSeveral) observe(running, now);
    }
    if (connection !== undefined && running?.block === undefined) backends.release(connection);
    const error = this.#error;
    if (error === undefined) this.#goOnBehind();
    else void this.#session.during(() => thrown(error)).then(() => this.#goOnBehind());
  }

  /** What was taken with it, and not sent with it or not answered. */
  #goOnBehind(): void {
    this.#error = undefined;
    this.#running = undefined;
    this.#isOneOfSeveral = false;
    if (!this.#mayGoOn) this.#behind.drop();
    const next = this.#behind.take();
    if (next === undefined) return this.#rested();
    if (next.lost === undefined) return this.#start(next);
    this.#session.started();
    this.#running = next;
    this.#error = next.lost;
    this.#end();
  }

  /** The session goes on, and has somebody to answer. */
  get #mayGoOn(): boolean {
    const { client, mayGoOn } = this.#session;
    return mayGoOn() && !client.gone.aborted;
  }

  #rested(): void {
    const { client, rested } = this.#session;
    this.#isCommanded = false;
    this.#whenRested?.();
    rested();
    client.resume();
  }
}

async function thrown(error: unknown): Promise<never> {
  throw error;
}
