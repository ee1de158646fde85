/**
 * Gives one placement's answers to a client as they come: frames are walked by their headers,
 * and what has come at once, less what is not for the client, is written in one piece. Only whole
 * frames are given on, so that an error can follow wherever a server is lost.
 *
 * It knows no statements: what becomes of a message that is no row, its owner says. Nothing
 * here waits: bytes, the end of the connection and a client that reads again all come as calls.
 */
import { invariant } from "../../base/invariant.ts";
import { BACKEND_FRAME_BYTES_MAX } from "../../base/limits.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import type { BackendConnection, ByteTaker } from "../backend/backend-connection.ts";
import { ArrivedBytes } from "../protocol/arrived-bytes.ts";
import { readyStatus } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { keptAppend, keptCopy } from "../protocol/bump-arena.ts";
import { FRAME_HEADER_BYTES, frameBodyBytes } from "../protocol/frame-reader.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";

/**
 * What becomes of a message: true gives it to the client as it is, false keeps it from it, bytes
 * replace it, and `mute` keeps it and all that follow.
 */
export type Verdict = boolean | "mute" | Buffer;

const NOTHING = Buffer.alloc(0);

/** What is longer goes out as a view of what it has come in, where nobody writes into that again. */
const COPIED_BYTES_MAX = 4 * 1024;

/** Whose answer it is. */
export interface AnswerOwner {
  /** A message that is neither a row nor ReadyForQuery: `bytes[start, end)`, gone after the call. */
  judge(type: number, bytes: Buffer, start: number, end: number): Verdict;
  /** A ReadyForQuery: of an answer's end. */
  judgeReady(status: TransactionStatus): Verdict;
  /** Whole frames for the client, which nobody changes afterwards. */
  give(bytes: Buffer): void;
  /** The client has not taken what it was given. */
  readonly isFull: boolean;
  /** Calls back once, when it has. */
  whenRoom(callback: () => void): void;
  /** The whole answer was read, and the connection is the owner's again. */
  answered(): void;
  /** It cannot be read to its end: the connection is broken. */
  lost(error: unknown): void;
}

/** Who has sent several statements at once, each with a ReadyForQuery of its own. */
export interface PipelineOwner extends AnswerOwner {
  /** One was answered that others follow: false holds these back until `goOn`. */
  next(): boolean;
  /** They are held back, and what came before has been given. */
  halted(relay: AnswerRelay): void;
}

/** Relays that are not in use: there are never more than there are connections. */
const FREE: AnswerRelay[] = [];

export class AnswerRelay implements ByteTaker {
  #connection: BackendConnection | undefined;
  #owner: PipelineOwner | undefined;
  /** Answers that are still to come. */
  #due = 0;
  /** The beginning of a frame whose rest has not come. */
  readonly #partial = new ArrivedBytes();
  /** What the client is to be given of what was walked since it was given something. */
  #kept: Buffer | undefined;
  #isAnswered = false;
  #isMuted = false;
  #isPaused = false;
  #isHalted = false;
  /** The connection has ended while what it had said was held back. */
  #hasEnded = false;

  /** Gives the last `count` of the answers that were announced to the connection to `owner`. */
  static start(connection: BackendConnection, owner: PipelineOwner, count: number): void {
    const relay = FREE.pop() ?? new AnswerRelay();
    relay.#connection = connection;
    relay.#owner = owner;
    relay.#due = count;
    connection.divert(relay);
  }

  /** What was held back is given. */
  goOn(): void {
    this.#isHalted = false;
    if (!this.#isPaused) this.#connection?.resumeReading();
    this.take(NOTHING, 0, 0);
    if (this.#hasEnded) this.ended();
  }

  /** Nobody is given the rest: the connection is its owner's again, with what has come. */
  stop(): void {
    const connection = this.#connection;
    const { bytes, start, end } = this.#partial;
    connection?.divert(undefined);
    if (start < end) connection?.giveBack(bytes, start, end);
    connection?.resumeReading();
    this.#end();
  }

  /** For the connection alone. */
  take(bytes: Buffer, start: number, end: number): void {
    const partial = this.#partial;
    if (this.#isHalted) {
      partial.append(Buffer.from(bytes.subarray(start, end)));
      return;
    }
    try {
      if (partial.length === 0) {
        const at = this.#walk(bytes, start, end, false);
        if (this.#isAnswered) this.#finish(bytes, at, end);
        else if (at < end) partial.append(Buffer.from(bytes.subarray(at, end)));
      } else if (partial.length + end - start < frameBytesWith(partial, bytes, start, end)) {
        // Joined for each of its parts, a long frame would be copied as often as it has parts.
        partial.append(bytes.subarray(start, end));
      } else {
        const joined = joinedBytes(partial, bytes, start, end);
        partial.clear();
        const at = this.#walk(joined, 0, joined.length, true);
        if (this.#isAnswered) this.#finish(joined, at, joined.length);
        else if (at < joined.length) partial.append(joined.subarray(at));
      }
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#give();
      const connection = this.#connection;
      this.#end()?.lost(connection?.lostBy(error));
    }
    if (this.#isHalted) this.#halt();
  }

  /** For the connection alone: `receive` says why it ended. */
  ended(): void {
    if (this.#isHalted) {
      this.#hasEnded = true;
      return;
    }
    const connection = this.#connection;
    const owner = this.#end();
    if (connection === undefined || owner === undefined) return;
    void connection.receive().then(
      () => owner.lost(connection.lostBy(new ProtocolViolation("a message came after the end"))),
      (error: unknown) => owner.lost(error),
    );
  }

  /** Gives where the first frame begins that is not whole, or not part of the answer. `isOwn`: nobody writes into the bytes again. */
  #walk(bytes: Buffer, start: number, end: number, isOwn: boolean): number {
    let given = start;
    let at = start;
    while (end - at >= FRAME_HEADER_BYTES) {
      const frameEnd = at + FRAME_HEADER_BYTES + frameBodyBytes(bytes, at, BACKEND_FRAME_BYTES_MAX);
      if (frameEnd > end) break;
      const type = bytes[at];
      if (type === BACKEND_TYPE.dataRow) {
        at = frameEnd;
        continue;
      }
      const verdict =
        type === BACKEND_TYPE.readyForQuery
          ? this.#ready(bytes, at, frameEnd)
          : this.#message(type ?? 0, bytes, at, frameEnd);
      if (verdict !== true) {
        this.#keep(bytes, given, at, isOwn);
        if (verdict === "mute") this.#isMuted = true;
        else if (verdict !== false) this.#keep(verdict, 0, verdict.length, false);
        given = frameEnd;
      }
      at = frameEnd;
      if (this.#isAnswered || this.#isHalted) break;
    }
    this.#keep(bytes, given, at, isOwn);
    this.#give();
    return at;
  }

  #halt(): void {
    this.#isMuted = false;
    this.#connection?.pauseReading();
    this.#owner?.halted(this);
  }

  #keep(bytes: Buffer, start: number, end: number, isOwn: boolean): void {
    if (start === end || this.#isMuted) return;
    const kept = this.#kept;
    const joined = kept && keptAppend(kept, bytes, start, end);
    if (joined === undefined) this.#give();
    const isLong = isOwn && end - start > COPIED_BYTES_MAX;
    this.#kept = joined ?? (isLong ? bytes.subarray(start, end) : keptCopy(bytes, start, end));
  }

  #give(): void {
    const kept = this.#kept;
    const owner = this.#owner;
    if (kept === undefined || owner === undefined) return;
    this.#kept = undefined;
    owner.give(kept);
    if (this.#isPaused || !owner.isFull) return;
    this.#isPaused = true;
    const connection = this.#connection;
    connection?.pauseReading();
    owner.whenRoom(() => {
      if (this.#owner !== owner || this.#connection !== connection) return;
      this.#isPaused = false;
      if (!this.#isHalted) connection?.resumeReading();
    });
  }

  /** Those about the connection itself are no part of a client's answer. */
  #message(type: number, bytes: Buffer, start: number, end: number): Verdict {
    switch (type) {
      case BACKEND_TYPE.parameterStatus:
        this.#note(type, bytes, start, end);
        return false;
      case BACKEND_TYPE.notificationResponse:
        return false;
      case BACKEND_TYPE.noticeResponse:
        return true;
      case BACKEND_TYPE.errorResponse:
        this.#note(type, bytes, start, end);
        return this.#owner?.judge(type, bytes, start, end) ?? false;
      default:
        return this.#owner?.judge(type, bytes, start, end) ?? false;
    }
  }

  #note(type: number, bytes: Buffer, start: number, end: number): void {
    this.#connection?.note({ type, bytes: bytes.subarray(start, end), count: 1 });
  }

  /** One that more follow than are due is of what was put before the client's own statements. */
  #ready(bytes: Buffer, start: number, end: number): Verdict {
    const connection = this.#connection;
    invariant(connection !== undefined, "a relay that reads has a connection");
    const status = readyStatus(bytes, start, end);
    connection.noteReady(status);
    if (connection.pendingReadyForQuery >= this.#due) return false;
    this.#due -= 1;
    const verdict = this.#owner?.judgeReady(status) ?? false;
    if (this.#due === 0) this.#isAnswered = true;
    else this.#isHalted = this.#owner?.next() !== true;
    return verdict;
  }

  /** The connection is the pool's before its owner knows: what it does next may begin with it. */
  #finish(bytes: Buffer, at: number, end: number): void {
    const connection = this.#connection;
    if (at < end) {
      connection?.divert(undefined);
      connection?.giveBack(bytes, at, end);
    }
    if (this.#isPaused) connection?.resumeReading();
    this.#end()?.answered();
  }

  #end(): PipelineOwner | undefined {
    const owner = this.#owner;
    if (owner === undefined) return undefined;
    this.#connection?.divert(undefined);
    this.#connection = undefined;
    this.#owner = undefined;
    this.#isAnswered = false;
    this.#isMuted = false;
    this.#isPaused = false;
    this.#isHalted = false;
    this.#hasEnded = false;
    this.#kept = undefined;
    this.#partial.clear();
    FREE.push(this);
    return owner;
  }
}

/** How long the frame is that `partial` begins with and `bytes[start, end)` go on with; at most what is there where that is not known. */
function frameBytesWith(partial: ArrivedBytes, bytes: Buffer, start: number, end: number): number {
  if (partial.length >= FRAME_HEADER_BYTES)
    return (
      FRAME_HEADER_BYTES + frameBodyBytes(partial.bytes, partial.start, BACKEND_FRAME_BYTES_MAX)
    );
  const header = joinedBytes(partial, bytes, start, Math.min(end, start + FRAME_HEADER_BYTES));
  if (header.length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
  return FRAME_HEADER_BYTES + frameBodyBytes(header, 0, BACKEND_FRAME_BYTES_MAX);
}

function joinedBytes(partial: ArrivedBytes, bytes: Buffer, start: number, end: number): Buffer {
  const joined = Buffer.allocUnsafeSlow(partial.length + end - start);
  partial.bytes.copy(joined, 0, partial.start, partial.end);
  bytes.copy(joined, partial.length, start, end);
  return joined;
}
