/**
 * One authenticated connection to one database, lent to one session at a time.
 *
 * It counts what is outstanding, keeps what the server reports of itself, and stops what
 * runs. It does not know statements: what is sent is the caller's, and what comes back is
 * handed over as runs, undecoded but for the few messages it keeps account of.
 */
import { invariant } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { BACKEND_CANCEL_TIMEOUT_MS, BACKEND_CLOSE_TIMEOUT_MS } from "../../base/limits.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import { decodeParameterStatus } from "../protocol/backend/parameter-status.ts";
import { decodeReadyForQuery } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import { encodeTerminate } from "../protocol/frontend/terminate.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import type { BackendAddress } from "./backend-address.ts";
import { BackendError, backendLost, isLast } from "./backend-error.ts";
import { connectBackend, sendCancelRequest } from "./connect.ts";
import type { Connected } from "./connect.ts";
import type { ConnectionCounts } from "./connection-counts.ts";
import { ControlAnswerReader } from "./control-answer.ts";
import type { ControlAnswer } from "./control-answer.ts";
import { StreamEnded } from "./run-stream.ts";
import type { ByteTaker } from "./run-stream.ts";

export { BackendError } from "./backend-error.ts";
export type { ByteTaker } from "./run-stream.ts";

export interface OpenOptions {
  /** The name in the shard map. */
  readonly database: DatabaseName;
  /** Settings for the startup packet. */
  readonly settings?: ReadonlyMap<string, string> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly connectTimeoutMs: number;
}

/** As sessionTag: nobody's settings. Who uses the connection next makes its own anew. */
export const UNKNOWN_SETTINGS = "\0unknown";

const TERMINATE = encodeToBuffer(encodeTerminate, { kind: "terminate" });

export class BackendConnection {
  readonly database: DatabaseName;
  readonly address: BackendAddress;
  /** Of the server's process, as pg_stat_activity shows it. */
  readonly processId: number;
  /** What the session layer last applied; "" on a fresh connection. Kept for it, not read here. */
  sessionTag = "";
  /** What the session layer has prepared here, as its key to the statement's name. It keeps the bound. */
  readonly prepared = new Map<string, string>();
  /** Names of the custom settings (app.tenant) that were set here. Kept for the session layer. */
  readonly customSettings = new Set<string>();
  readonly #connected: Connected;
  readonly #startup: ReadonlyMap<string, string>;
  #transactionStatus: TransactionStatus = "idle";
  #pendingReadyForQuery = 0;
  #answeredCount = 0;
  #transactionCount = 0;
  #busyMs = 0;
  #busySinceMs = 0;
  #statementNumber = 0;
  /** A FATAL or PANIC: the reason why the connection is about to end. */
  #fatal: BackendError | undefined;
  #violation: SqlError | undefined;
  #isClosed = false;
  readonly #parked = (run: BackendRun): void => this.#receiveParked(run);

  /** Rejects with a SqlError that names the database, the address and the remedy. */
  static async open(address: BackendAddress, options: OpenOptions): Promise<BackendConnection> {
    const connected = await connectBackend(address, options);
    return new BackendConnection(address, options.database, connected, options.settings);
  }

  /** `open` is how others come by one. */
  constructor(
    address: BackendAddress,
    database: DatabaseName,
    connected: Connected,
    startup: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#startup = startup;
    this.address = address;
    this.database = database;
    this.processId = connected.greeting.processId;
    this.#connected = connected;
  }

  /** Custom settings are about to be set. Those that the startup packet has given go back to its values. */
  noteCustomSettings(names: Iterable<string>): void {
    for (const name of names) if (!this.#startup.has(name)) this.customSettings.add(name);
  }

  /** The server's ParameterStatus values, as of what was received. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#connected.greeting.parameters;
  }

  /** Of the last ReadyForQuery received. */
  get transactionStatus(): TransactionStatus {
    return this.#transactionStatus;
  }

  /** Syncs and Queries announced by `expectReady` and not yet answered. */
  get pendingReadyForQuery(): number {
    return this.#pendingReadyForQuery;
  }

  /** Syncs and Queries answered so far: while it stays the same, so does the statement that runs. */
  get answeredCount(): number {
    return this.#answeredCount;
  }

  /** Nothing can be sent any more; what had arrived may still be received. */
  get isBroken(): boolean {
    return this.#isClosed || this.#violation !== undefined || this.#connected.stream.isOver;
  }

  /** Between transactions, with nothing outstanding in either direction. */
  get isClean(): boolean {
    const isAnswered = !this.isBroken && this.#pendingReadyForQuery === 0;
    const { unsentBytes } = this.#connected.stream;
    return isAnswered && this.#transactionStatus === "idle" && unsentBytes === 0;
  }

  /** Something has arrived that nobody has received, as a server's last words between two statements. */
  get hasArrived(): boolean {
    return this.#connected.stream.hasArrived;
  }

  get isEncrypted(): boolean {
    return this.#connected.socket.isEncrypted;
  }

  /** See BackendSocket.encryption. */
  get encryption(): string {
    return this.#connected.socket.encryption;
  }

  /** See BackendSocket.localAddress. */
  get localAddress(): string | undefined {
    return this.#connected.socket.localAddress;
  }

  get counts(): ConnectionCounts {
    const { receivedBytes, sentBytes } = this.#connected.socket;
    const requests = this.#answeredCount;
    const transactions = this.#transactionCount;
    return { requests, transactions, busyMs: this.#busyMs, receivedBytes, sentBytes };
  }

  /** Settles when the connection is over, whoever ended it. */
  get ended(): Promise<void> {
    return this.#connected.stream.ended;
  }

  /** For names of prepared statements: never the same twice on one connection. */
  nextStatementNumber(): number {
    this.#statementNumber += 1;
    return this.#statementNumber;
  }

  /** Announces Syncs or Queries in what is sent: each is answered by one ReadyForQuery. */
  expectReady(count = 1): void {
    if (this.#pendingReadyForQuery === 0) this.#busySinceMs = performance.now();
    this.#pendingReadyForQuery += count;
  }

  /**
   * Queues bytes, which must not change afterwards; all of one event-loop turn are one write.
   * On a broken connection nothing happens: the next `receive` says so.
   */
  send(bytes: Buffer): void {
    this.#connected.stream.send(bytes);
  }

  /** Resolves once fewer than BACKEND_UNSENT_BYTES are unsent, or the connection is over. */
  drained(): Promise<void> {
    return this.#connected.stream.drained();
  }

  /** As `send`, but at once: for what is all that this turn has to say. */
  sendNow(bytes: Buffer): void {
    this.#connected.stream.sendNow(bytes);
  }

  /**
   * Gives bytes to `taker` as they arrive, until it is undefined; nobody receives meanwhile.
   * The taker tells of the messages that concern the connection by `note` and `noteReady`.
   */
  divert(taker: ByteTaker | undefined): void {
    this.#connected.stream.divert(taker);
  }

  /** See RunStream.giveBack. */
  giveBack(bytes: Buffer, start: number, end: number): void {
    this.#connected.stream.giveBack(bytes, start, end);
  }

  /** For a taker that cannot go on just now. */
  pauseReading(): void {
    this.#connected.stream.pause();
  }

  resumeReading(): void {
    this.#connected.stream.resume();
  }

  /** Keeps account of a message a taker has read; of others than ParameterStatus and ErrorResponse there is none. */
  note(run: BackendRun): void {
    this.#account(run);
  }

  /** Keeps account of a ReadyForQuery a taker has read. */
  noteReady(status: TransactionStatus): void {
    invariant(this.#pendingReadyForQuery > 0, "each ReadyForQuery was announced");
    this.#transactionStatus = status;
    this.#pendingReadyForQuery -= 1;
    this.#answeredCount += 1;
    if (status === "idle") this.#transactionCount += 1;
    if (this.#pendingReadyForQuery === 0) this.#busyMs += performance.now() - this.#busySinceMs;
  }

  /** What became of a connection that a taker could not read to the end: what `receive` would reject with. */
  lostBy(error: unknown): unknown {
    return this.#failed(error);
  }

  /** The next run if it has arrived; see `receive`. */
  tryReceive(): BackendRun | undefined {
    try {
      const run = this.#connected.stream.tryReceive();
      return run === undefined ? undefined : this.#account(run);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * The next run, whatever its kind: notices, notifications and parameter changes too, where
   * they come. Rejects with `backend_lost` after the last one, `backend_protocol_violation`,
   * or the signal's reason, after which the connection is as it was. One receiver at a time.
   */
  async receive(signal?: AbortSignal): Promise<BackendRun> {
    invariant(!this.#connected.stream.hasReceiver, "a connection has one receiver at a time");
    try {
      return this.#account(await this.#connected.stream.receive(signal));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Runs control statements (BEGIN, SET, a catalog query) by the simple protocol. Gives the
   * rows as text and the tag of the last statement. Throws BackendError for the server's
   * error, after which the connection is ready again. Notices are dropped. When the signal
   * aborts, the connection is destroyed: what it did is not known.
   */
  async query(sql: string, signal?: AbortSignal): Promise<ControlAnswer> {
    invariant(this.#pendingReadyForQuery === 0, "a control statement starts on a ready connection");
    const answer = new ControlAnswerReader();
    this.expectReady();
    this.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
    try {
      for (;;) {
        const run = this.tryReceive() ?? (await this.receive(signal));
        if (answer.read(run) === "complete") break;
      }
    } catch (error) {
      this.destroy();
      throw error;
    }
    return answer.result();
  }

  /**
   * Of a connection that is broken: what `receive` would reject with, after a FATAL that tells why.
   * What has arrived for somebody who still reads is left to them.
   */
  loss(): unknown {
    try {
      while (this.#pendingReadyForQuery === 0 && this.tryReceive() !== undefined);
    } catch (error) {
      return error;
    }
    return this.#failed(this.#connected.stream.ending ?? new StreamEnded("connection is closed"));
  }

  /**
   * Asks the server to stop what runs, over a connection of its own (encrypted as this one
   * is, as libpq 17 does). Resolves once the server has taken the request; whether anything
   * was stopped, only the statement's own answer tells.
   */
  async cancel(): Promise<void> {
    const { greeting, socket } = this.#connected;
    await sendCancelRequest(
      this.address,
      this.database,
      socket.isEncrypted ? "tls" : "plain",
      { kind: "cancelRequest", processId: this.processId, secretKey: greeting.secretKey },
      AbortSignal.timeout(BACKEND_CANCEL_TIMEOUT_MS),
    );
  }

  /** Nobody uses it: what the server says by itself is noted, and anything else breaks it. */
  park(): void {
    this.#connected.stream.watch(this.#parked);
  }

  unpark(): void {
    this.#connected.stream.watch(undefined);
  }

  /** Says goodbye to the server and closes; after BACKEND_CLOSE_TIMEOUT_MS by force. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    if (this.isBroken) {
      this.destroy();
      return;
    }
    this.#isClosed = true;
    this.#connected.stream.send(TERMINATE);
    this.#connected.stream.end();
    const force = setTimeout(() => this.#connected.stream.destroy(), BACKEND_CLOSE_TIMEOUT_MS);
    void this.ended.then(() => clearTimeout(force));
  }

  /** Cancels what is running, so that the server does not run on for nobody, and closes. Never rejects. */
  async abandon(): Promise<void> {
    if (!this.isBroken && this.#pendingReadyForQuery > 0) {
      // A server that cannot be asked will find the connection closed, only later.
      await this.cancel().catch(() => undefined);
    }
    this.destroy();
  }

  /** Closes at once. A transaction in it is rolled back by the server. Idempotent. */
  destroy(): void {
    this.#isClosed = true;
    this.#connected.stream.destroy();
  }

  /** Keeps account of what a run says about the connection itself. */
  #account(run: BackendRun): BackendRun {
    switch (run.type) {
      case BACKEND_TYPE.readyForQuery:
        this.noteReady(decodeReadyForQuery(runBody(run)).status);
        break;
      case BACKEND_TYPE.parameterStatus: {
        const { name, value } = decodeParameterStatus(runBody(run));
        this.#connected.greeting.parameters.set(name, value);
        // Whatever has set it: who sets on purpose tags the connection afterwards.
        this.sessionTag = UNKNOWN_SETTINGS;
        break;
      }
      case BACKEND_TYPE.errorResponse: {
        const { fields } = decodeErrorResponse(runBody(run));
        if (isLast(fields)) this.#fatal = new BackendError(fields);
        break;
      }
      default:
        break;
    }
    return run;
  }

  #receiveParked(run: BackendRun): void {
    switch (run.type) {
      case BACKEND_TYPE.parameterStatus:
      case BACKEND_TYPE.errorResponse:
        this.#account(run);
        break;
      case BACKEND_TYPE.noticeResponse:
      case BACKEND_TYPE.notificationResponse:
        break;
      default:
        throw new ProtocolViolation("server answered what nobody asked");
    }
  }

  #failed(error: unknown): unknown {
    if (error instanceof ProtocolViolation) {
      this.#violation ??= new SqlError(
        "backend_protocol_violation",
        `database "${this.database}" broke the protocol: ${error.message}`,
        { cause: error },
      );
      this.destroy();
      return this.#violation;
    }
    if (!(error instanceof StreamEnded)) return error;
    return this.#violation ?? backendLost(this.database, this.#fatal ?? error);
  }
}
