/**
 * A backend on which the reads of several clients are under way at once. Their batches are sent
 * one behind the other, each with a Sync of its own, and their answers come in the same order: the
 * first of the queue is the one that is being answered.
 *
 * Whoever is answered must not keep those behind it waiting. Where it takes long, reads slowly, or
 * is cancelled, the connection becomes its own (`#takeOver`): nothing more is sent, and all behind it are
 * made again elsewhere, which reads may be; what the server still answers to them is dropped.
 */
import {
  BACKEND_FRAME_BYTES_MAX,
  COALESCED_UNREAD_BYTES_MAX,
  SHARED_READS_HELD_MS_MAX,
  SHARED_READS_UNDER_WAY_MAX,
} from "../../../base/limits.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import type { BackendConnection, ByteTaker } from "../../backend/backend-connection.ts";
import { isLast } from "../../backend/backend-error.ts";
import { ArrivedBytes } from "../../protocol/arrived-bytes.ts";
import { decodeErrorResponse } from "../../protocol/backend/error-response.ts";
import { readyStatus } from "../../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../../protocol/backend/ready-for-query.ts";
import { keptCopy } from "../../protocol/bump-arena.ts";
import { FRAME_HEADER_BYTES, frameBodyBytes } from "../../protocol/frame-reader.ts";
import type { FrameWriter } from "../../protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../../protocol/message-type.ts";
import type { Verdict } from "../answer-relay.ts";
import { forgetPrepared, isPrepared } from "../prepared-texts.ts";
import { isUnusable } from "../run-fragment.ts";
import { INVALID_SQL_STATEMENT_NAME, isOwnEnd, unread } from "./shared-errors.ts";
import type { Carrier, Fallback, Sending, SharedRead } from "./shared-read.ts";

/** Who lends the connection. */
export interface SharedConnectionHost {
  /** More is about to be sent on it, perhaps. */
  isAwaited(shared: SharedConnection): boolean;
  /** Nothing is under way any more, or nothing can be: it goes back. */
  finished(shared: SharedConnection): void;
  /** What a read took from when the server could begin it, and how long its answer was. */
  observed(sending: Sending, ms: number): void;
  fellBack(reason: Fallback, count: number): void;
}

export class SharedConnection implements ByteTaker, Carrier {
  readonly connection: BackendConnection;
  readonly #host: SharedConnectionHost;
  /** The settings that it was lent with. */
  readonly #tag: string;
  readonly #heldSince: number;
  /** Sent, in order, and to be answered in it. */
  readonly #queue: Sending[] = [];
  /** To be sent with the end of this turn. */
  #unsent: Sending[] = [];
  /** The beginning of a frame whose rest has not come. */
  readonly #partial = new ArrivedBytes();
  /** When the server could begin what it answers now. */
  #beganAt = 0;
  /** What was being answered when the watch came by last. */
  #seen: Sending | undefined;
  #isRetired = false;
  #isPaused = false;
  #isOver = false;
  #cancelling: Promise<void> | undefined;

  constructor(connection: BackendConnection, host: SharedConnectionHost, now: number) {
    this.connection = connection;
    this.#host = host;
    this.#tag = connection.sessionTag;
    this.#heldSince = now;
    connection.divert(this);
  }

  get underWay(): number {
    return this.#queue.length + this.#unsent.length;
  }

  /** May be given more. One that is held for long goes back in between, to who waits for one. */
  isOpen(now: number): boolean {
    return (
      !this.#isRetired &&
      !this.#isOver &&
      now - this.#heldSince < SHARED_READS_HELD_MS_MAX &&
      this.underWay < SHARED_READS_UNDER_WAY_MAX &&
      this.connection.sessionTag === this.#tag &&
      !this.connection.isBroken
    );
  }

  add(sending: Sending): void {
    sending.carrier = this;
    this.#unsent.push(sending);
  }

  /** Sends what was added, in one write; goes back where nothing is under way. False where nothing was sent. */
  flush(writer: FrameWriter, now: number): boolean {
    const unsent = this.#unsent;
    this.#unsent = [];
    if (this.#queue.length === 0) this.#beganAt = now;
    for (const sending of unsent) this.#encode(sending, writer);
    const isAny = writer.length > 0;
    if (isAny) this.connection.sendNow(writer.take());
    if (this.underWay === 0) this.#finish();
    return isAny;
  }

  #encode(sending: Sending, writer: FrameWriter): void {
    const first = sending.members[0];
    if (first === undefined) return;
    const { prepared } = sending;
    sending.isParsed = prepared !== undefined && isPrepared(this.connection, prepared);
    try {
      first.owner.encode(this.connection, writer);
    } catch (error) {
      for (const read of sending.end()) read.owner.lost(error);
      return;
    }
    this.connection.expectReady();
    this.#queue.push(sending);
  }

  /** Asked again and again: what is answered since the last time keeps nobody waiting any longer. */
  watch(): void {
    const [head] = this.#queue;
    if (head === undefined || head !== this.#seen || this.#isOver) {
      this.#seen = head;
      return;
    }
    const isInTheWay = this.#queue.some((each) => each !== head && each.isWanted);
    if (isInTheWay || !head.isWanted) this.#takeOver("stalled");
  }

  /** The read's own part of a cancel request: nobody else's answer is touched. */
  cancel(read: SharedRead, isGone: boolean): void {
    const { sending } = read;
    if (sending === undefined) return;
    const isAlone = sending === this.#queue[0] && sending.members.length === 1;
    if (isAlone && !isGone) {
      sending.isCancelled = true;
      this.#takeOver("neighbour cancelled");
      this.#cancelling ??= this.connection
        .cancel()
        // A server that cannot be asked may hang for good: its connection is given up.
        .catch(() => this.connection.destroy());
      return;
    }
    sending.drop(read);
    this.#endWhereUnwanted();
  }

  /** For the connection alone. */
  take(bytes: Buffer, start: number, end: number): void {
    const partial = this.#partial;
    try {
      if (partial.length === 0) {
        const at = this.#walk(bytes, start, end);
        if (at < end && !this.#isOver) partial.append(Buffer.from(bytes.subarray(at, end)));
      } else {
        partial.append(Buffer.from(bytes.subarray(start, end)));
        const { bytes: joined, start: from, end: to } = partial;
        const at = this.#walk(joined, from, to);
        if (!this.#isOver) partial.consume(at - from);
      }
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#lost(this.connection.lostBy(error));
      return;
    }
    this.#endWhereUnwanted();
  }

  /** For the connection alone: `receive` says why it ended. */
  ended(): void {
    if (this.#isOver) return;
    void this.connection.receive().then(
      () =>
        this.#lost(this.connection.lostBy(new ProtocolViolation("a message came after the end"))),
      (error: unknown) => this.#lost(error),
    );
  }

  /** Gives where the first frame begins that is not whole. */
  #walk(bytes: Buffer, start: number, end: number): number {
    let given = start;
    let at = start;
    while (end - at >= FRAME_HEADER_BYTES && !this.#isOver) {
      const frameEnd = at + FRAME_HEADER_BYTES + frameBodyBytes(bytes, at, BACKEND_FRAME_BYTES_MAX);
      if (frameEnd > end) break;
      const type = bytes[at] ?? 0;
      if (type !== BACKEND_TYPE.dataRow && !this.#passes(type, bytes, given, at, frameEnd))
        given = frameEnd;
      at = frameEnd;
    }
    if (!this.#isOver) this.#give(bytes, given, at);
    return at;
  }

  /** Whether the frame `bytes[at, frameEnd)`, which is no row, may be given with those before it, from `given`. */
  #passes(type: number, bytes: Buffer, given: number, at: number, frameEnd: number): boolean {
    if (isOfConnection(type)) {
      this.#give(bytes, given, at);
      if (type === BACKEND_TYPE.parameterStatus) this.#note(type, bytes, at, frameEnd);
      return false;
    }
    const [head] = this.#queue;
    if (head === undefined) {
      this.#unasked(type, bytes, at, frameEnd);
      return false;
    }
    if (type === BACKEND_TYPE.readyForQuery) {
      this.#ready(head, bytes, given, at, frameEnd);
      return false;
    }
    if (type === BACKEND_TYPE.noticeResponse) return true;
    if (type === BACKEND_TYPE.parseComplete) head.isParsed = true;
    const only = head.members.length === 1 ? head.members[0] : undefined;
    if (type === BACKEND_TYPE.errorResponse) {
      // What came with it is no answer yet that it could be a part of.
      if (this.#isOwn(head, bytes, at, frameEnd)) return false;
      this.#give(bytes, given, at);
    } else if (only !== undefined) {
      const verdict = only.owner.judge(type, bytes, at, frameEnd);
      if (verdict === true) return true;
      this.#give(bytes, given, at);
      this.#follow(only, verdict, bytes, at, frameEnd);
      return false;
    } else this.#give(bytes, given, at);
    for (const read of head.members)
      this.#follow(read, read.owner.judge(type, bytes, at, frameEnd), bytes, at, frameEnd);
    return false;
  }

  /** Nothing is under way: the server may only say that it ends. */
  #unasked(type: number, bytes: Buffer, at: number, end: number): void {
    if (type === BACKEND_TYPE.noticeResponse) return;
    if (type !== BACKEND_TYPE.errorResponse)
      throw new ProtocolViolation("server answered what nobody asked");
    this.#note(type, bytes, at, end);
  }

  #note(type: number, bytes: Buffer, at: number, end: number): void {
    this.connection.note({ type, bytes: bytes.subarray(at, end), count: 1 });
  }

  /** What became of a message for one who waits for the answer. */
  #follow(read: SharedRead, verdict: Verdict, bytes: Buffer, at: number, end: number): void {
    if (verdict === "mute") read.isMuted = true;
    else if (verdict !== false && !read.isMuted)
      this.#hand(read, verdict === true ? keptCopy(bytes, at, end) : verdict);
  }

  /** An error that is about the connection, or about what another was to prepare, is told to nobody. */
  #isOwn(head: Sending, bytes: Buffer, at: number, end: number): boolean {
    const { fields } = decodeErrorResponse(bytes.subarray(at + FRAME_HEADER_BYTES, end));
    this.#note(BACKEND_TYPE.errorResponse, bytes, at, end);
    const { prepared } = head;
    const wasParsed = head.isParsed;
    if (prepared !== undefined && (!wasParsed || isUnusable(fields)))
      forgetPrepared(this.connection, prepared);
    head.mustRepeat = wasParsed && fields.C === INVALID_SQL_STATEMENT_NAME && !head.hasGiven;
    return head.mustRepeat || isLast(fields);
  }

  #ready(head: Sending, bytes: Buffer, given: number, at: number, end: number): void {
    const status = readyStatus(bytes, at, end);
    this.connection.noteReady(status);
    const beganAt = this.#beganAt;
    this.#beganAt = performance.now();
    if (head.mustRepeat) {
      this.#queue.shift();
      this.#repeat([head], "not prepared");
    } else {
      this.#answer(head, status, bytes, given, at, end);
      this.#host.observed(head, this.#beganAt - beganAt);
    }
    // What it left behind is met by nobody: the others are made again.
    if (status !== "idle")
      this.#lost(this.connection.lostBy(new ProtocolViolation("a read left a transaction open")));
  }

  /** The last of an answer goes with its ReadyForQuery in one write, where the client gets that as it is. */
  #answer(
    head: Sending,
    status: TransactionStatus,
    bytes: Buffer,
    given: number,
    at: number,
    end: number,
  ): void {
    const { members } = head;
    const only = members.length === 1 ? members[0] : undefined;
    if (only?.owner.judgeReady(status) === true) this.#give(bytes, given, end);
    else {
      this.#give(bytes, given, at);
      for (const read of members) this.#follow(read, read.owner.judgeReady(status), bytes, at, end);
    }
    this.#queue.shift();
    head.answeredCount = head.members.length;
    for (const read of head.end()) read.owner.answered();
  }

  #give(bytes: Buffer, start: number, end: number): void {
    const [head] = this.#queue;
    if (start === end || head === undefined) return;
    head.answerBytes += end - start;
    if (!head.isWanted) return;
    head.hasGiven = true;
    const kept = keptCopy(bytes, start, end);
    for (const read of head.members) if (!read.isMuted) this.#hand(read, kept);
  }

  /** A client that does not read what it is given slows its own answer alone. */
  #hand(read: SharedRead, bytes: Buffer): void {
    const { owner, sending } = read;
    if (sending === undefined) return;
    sending.hasGiven = true;
    owner.give(bytes);
    if (!owner.isFull) {
      read.unreadBytes = 0;
      return;
    }
    if (sending.members.length > 1) {
      read.unreadBytes += bytes.length;
      if (read.unreadBytes <= COALESCED_UNREAD_BYTES_MAX) return;
      sending.leave(read);
      owner.lost(unread());
      return;
    }
    if (this.#isPaused) return;
    this.#takeOver("slow client");
    this.#isPaused = true;
    this.connection.pauseReading();
    owner.whenRoom(() => this.#resume());
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.connection.resumeReading();
  }

  /** From here on it answers nobody but the first. */
  #takeOver(reason: Fallback): void {
    this.#isRetired = true;
    const [head] = this.#queue;
    const behind = [...this.#queue, ...this.#unsent].filter((each) => each !== head);
    this.#unsent = [];
    this.#repeat(behind, reason);
    this.#endWhereUnwanted();
  }

  #repeat(sendings: readonly Sending[], reason: Fallback): void {
    const reads = sendings.flatMap((each) => each.end());
    if (reads.length > 0) this.#host.fellBack(reason, reads.length);
    for (const read of reads) read.owner.again();
  }

  /** Where nobody waits for what is under way, or nothing is, and no more may come. */
  #endWhereUnwanted(): void {
    if (this.#isOver) return;
    if (this.underWay === 0) {
      if (this.#isRetired || !this.#host.isAwaited(this)) this.#finish();
    } else if (this.#isRetired && !this.#queue.some(({ isWanted }) => isWanted)) this.#finish();
  }

  /** Gives the connection back. One on which something is still under way is closed by its pool, which stops it. */
  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isRetired = true;
    this.#resume();
    this.connection.divert(undefined);
    const rest = this.#partial;
    if (rest.length > 0 && this.underWay === 0)
      this.connection.giveBack(rest.bytes, rest.start, rest.end);
    rest.clear();
    if (this.#cancelling === undefined) this.#host.finished(this);
    else void this.#cancelling.finally(() => this.#host.finished(this));
  }

  /** The connection ends. Who was given nothing asks again; whoever's own doing it was is told. */
  #lost(error: unknown): void {
    if (this.#isOver) return;
    const [head, ...behind] = [...this.#queue.splice(0), ...this.#unsent.splice(0)];
    this.connection.divert(undefined);
    this.connection.destroy();
    this.#finish();
    if (head !== undefined && (head.hasGiven || head.isCancelled || isOwnEnd(error)))
      for (const read of head.end()) read.owner.lost(error);
    else if (head !== undefined) this.#repeat([head], "lost");
    this.#repeat(behind, "lost");
  }
}

/** They concern the connection, and are no part of an answer. */
function isOfConnection(type: number): boolean {
  return type === BACKEND_TYPE.parameterStatus || type === BACKEND_TYPE.notificationResponse;
}
