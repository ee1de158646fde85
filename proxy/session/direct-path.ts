/**
 * The short way of a statement: one placement, a plan that is known, nothing else open but a
 * plain transaction block (direct-block.ts). What the client sent is put to a backend as soon as
 * it has arrived, and the answer is relayed as it comes, without a promise between the two. It
 * decides nothing that the long way decides otherwise: whatever is not known here is left to it
 * (extended-query.ts, simple-query.ts), and all that a client reads is the same.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { AnswerRelay } from "../execution/answer-relay.ts";
import type { Verdict } from "../execution/answer-relay.ts";
import { inClientText } from "../execution/backend-answer.ts";
import { unknownWhereLost } from "../execution/executor.ts";
import { forgetPrepared, isPrepared } from "../execution/prepared-texts.ts";
import { isUnusable } from "../execution/run-fragment.ts";
import type { ReadOwner, SharedRead } from "../execution/shared-reads/shared-read.ts";
import type { Participant } from "../execution/transaction.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { BACKEND_TYPE, FRONTEND_TYPE } from "../protocol/message-type.ts";
import { othersOf } from "./bound-portal.ts";
import type { DirectReceiver } from "./client.ts";
import { boundParameters, readBatch, readQuery } from "./direct-batch.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { DirectBlock, isPlain, readyIn, spentPortal } from "./direct-block.ts";
import { DirectCounts } from "./direct-counts.ts";
import { DirectColumns } from "./direct-columns.ts";
import { mayBeCommand, runCommand } from "./direct-command.ts";
import { encodeDirect, writeDirect } from "./direct-request.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectTarget, Route } from "./direct-route.ts";
import type { DirectSession } from "./direct-session.ts";
import { DirectStatements } from "./direct-statements.ts";
import { DirectWait } from "./direct-wait.ts";
import type { Awaiting } from "./direct-wait.ts";
import { otherColumns } from "./prepared-statements.ts";
import type { PreparedStatement } from "./prepared-statements.ts";

/** What runs. */
interface Running {
  readonly route: Route;
  readonly request: DirectRequest;
  readonly columns: DirectColumns;
  /** Undefined in the simple protocol. */
  readonly batch: DirectBatch | undefined;
  /** The batch has a Parse, which is answered. */
  readonly tellsParse: boolean;
  readonly sql: string;
  /** Undefined outside of a transaction. */
  readonly block: DirectBlock | undefined;
  readonly startedMs: number;
  isParsed: boolean;
}

/** What is to run, before it has a place. */
type Wanted = Pick<Running, "route" | "batch" | "tellsParse" | "sql"> & {
  readonly statement: PreparedStatement | undefined;
};

const NO_PARAMETERS: readonly BoundParameter[] = [];

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

export class DirectPath implements DirectReceiver, ReadOwner, Awaiting {
  readonly #session: DirectSession;
  readonly #statements: DirectStatements;
  readonly #counts: DirectCounts;
  readonly #wait: DirectWait;
  #running: Running | undefined;
  #isCommanded = false;
  #connection: BackendConnection | undefined;
  /** What runs is asked among reads of others. */
  #shared: SharedRead | undefined;
  #error: unknown;
  #whenRested: (() => void) | undefined;

  constructor(session: DirectSession) {
    this.#session = session;
    this.#statements = new DirectStatements(session);
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
    const type = bytes[start];
    if (type === FRONTEND_TYPE.query) return this.#takeQuery(bytes, start, end);
    if (type !== FRONTEND_TYPE.bind && type !== FRONTEND_TYPE.parse) return 0;
    return this.#takeBatch(bytes, start, end);
  }

  #takeQuery(bytes: Buffer, start: number, end: number): number {
    const query = readQuery(bytes, start, end);
    if (query === undefined) return 0;
    const { prepared } = this.#session;
    const route = this.#statements.routeOfText(query.sql);
    if (route === undefined) return this.#takeCommand(query.sql) ? query.end - start : 0;
    // The client is told a view's columns by its own text.
    if (route.readsViews) return 0;
    const running = this.#bind({
      route,
      batch: undefined,
      tellsParse: false,
      statement: undefined,
      sql: query.sql,
    });
    if (running === undefined) return 0;
    prepared.close("");
    this.#start(running);
    return query.end - start;
  }

  #takeBatch(bytes: Buffer, start: number, end: number): number {
    const batch = readBatch(bytes, start, end);
    if (batch === undefined) return 0;
    const { prepared } = this.#session;
    const tellsParse = batch.parseEnd > start;
    const statement = tellsParse
      ? this.#statements.parsed(bytes, start, batch.parseEnd)
      : prepared.find(batch.bind.statement);
    const route = statement && this.#statements.routeOf(statement, batch.bind);
    if (route === undefined && statement !== undefined && mayBeCommand(statement, batch))
      return this.#takeCommand(statement.sql, statement, batch) ? batch.end - start : 0;
    const running =
      route && this.#bind({ route, batch, tellsParse, statement, sql: statement.sql });
    if (statement === undefined || running === undefined) return 0;
    if (tellsParse) prepared.add(statement);
    this.#start(running);
    statement.isTold ||= batch.isDescribed;
    prepared.endBatch();
    return batch.end - start;
  }

  #takeCommand(sql: string, statement?: PreparedStatement, batch?: DirectBatch): boolean {
    const plan = this.#statements.commandOf(sql);
    if (plan === undefined) return false;
    this.#isCommanded = true;
    void runCommand({ plan, sql, statement, batch }, this.#session).then(() => this.#rested());
    return true;
  }

  /** Undefined where not one placement answers it alone, or something is to be refused. */
  #bind(wanted: Wanted): Running | undefined {
    const { route, statement, batch } = wanted;
    const isOfStatement = statement !== undefined && batch !== undefined;
    const parameters = isOfStatement
      ? boundParameters(batch.bind, statement.description.parameterTypes)
      : NO_PARAMETERS;
    try {
      const target = route.bind(parameters);
      const { binding, transaction } = this.#session.runner;
      const open = transaction.current?.transaction;
      const part = target && open?.onlyPart(target.database);
      if (target === undefined || (open !== undefined && part === undefined)) return undefined;
      if (!binding.use.enter(target.places, open !== undefined)) return undefined;
      return this.#runningOf(wanted, target, part);
    } catch (error) {
      // The long way comes to the same error, and tells it in its place.
      if (error instanceof SqlError) return undefined;
      throw error;
    }
  }

  /** `part`: of the open transaction, undefined outside of one. */
  #runningOf(
    { route, batch, tellsParse, statement, sql }: Wanted,
    target: DirectTarget,
    part: Participant | undefined,
  ): Running {
    const { scope } = this.#session.runner.transaction;
    const request: DirectRequest = {
      target,
      use: this.#session.runner.binding.use,
      bound: batch?.bind.rest,
      isKept: statement?.name !== "",
      isDescribed: target.returnsRows || batch?.isDescribed === true,
    };
    const isFree = statement?.isTold === false && !route.readsViews;
    const portal =
      part && statement && batch ? spentPortal(statement, batch.bind, scope) : undefined;
    const block = part && new DirectBlock(part, route.plan, portal);
    const adopt = isFree ? (portal ? othersOf(portal) : otherColumns(statement)) : undefined;
    const { translation } = target;
    const columns = new DirectColumns(translation, statement?.description, batch, adopt);
    const startedMs = performance.now();
    return { route, request, columns, batch, tellsParse, sql, block, startedMs, isParsed: false };
  }

  #start(running: Running): void {
    const { backends, client, portals, services, started } = this.#session;
    started();
    this.#running = running;
    this.#error = undefined;
    const { block, request } = running;
    if (block !== undefined) {
      block.begun(portals);
      return this.#send(block.part.connection, running);
    }
    const { plan } = running.route;
    this.#shared = services.readSharing.take(client.user, plan, request, backends, this);
    if (this.#shared === undefined) this.#startAlone(running);
  }

  encode(connection: BackendConnection, writer: FrameWriter): void {
    if (this.#running !== undefined) encodeDirect(connection, this.#running.request, writer);
  }

  claim(): ReturnType<ReadOwner["claim"]> {
    const { claimant } = this.#session.backends;
    claimant.statement = this.#running?.sql ?? "";
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
    this.#session.backends.claimant.statement = running.sql;
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
    const { request } = running;
    const isKept = request.bound !== undefined && request.isKept;
    running.isParsed = isKept && isPrepared(connection, request.target.prepared);
    try {
      writeDirect(connection, request, WRITER);
    } catch (error) {
      this.#error = error;
      return this.#end();
    }
    AnswerRelay.start(connection, this);
  }

  judge(type: number, bytes: Buffer, start: number, end: number): Verdict {
    const running = this.#running;
    if (running === undefined) return false;
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
    if (running !== undefined) this.#counts.ended(running.route.plan, running.startedMs);
    if (connection !== undefined && running?.block === undefined) backends.release(connection);
    const error = this.#error;
    if (error === undefined) this.#rested();
    else void this.#session.during(() => thrown(error)).then(() => this.#rested());
  }

  #rested(): void {
    const { client, rested } = this.#session;
    this.#error = undefined;
    this.#running = undefined;
    this.#isCommanded = false;
    this.#whenRested?.();
    rested();
    client.resume();
  }
}

async function thrown(error: unknown): Promise<never> {
  throw error;
}
