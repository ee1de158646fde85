/**
 * An authenticated client's socket as proxy/session sees it: whole frames in, bytes out.
 *
 * Reading stops while a whole frame and FRONTEND_READ_AHEAD_BYTES are unread; a frame that
 * is larger goes on arriving. What is written in one turn of the event loop leaves as one
 * write. It knows no messages but what frames look like.
 */
import type { Socket } from "node:net";
import { invariant } from "../../base/invariant.ts";
import {
  FRONTEND_CLOSE_TIMEOUT_MS,
  FRONTEND_COALESCED_BYTES_MAX,
  FRONTEND_FRAME_BYTES_MAX,
  FRONTEND_READ_AHEAD_BYTES,
  FRONTEND_UNSENT_BYTES,
} from "../../base/limits.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { adoptSocket } from "./adopted-socket.ts";
import { FRAME_HEADER_BYTES, FrameReader } from "../protocol/frame-reader.ts";
import type { Frame } from "../protocol/frame-reader.ts";
import type {
  Client,
  ClientConnectionFacts,
  ClientTraffic,
  DirectReceiver,
  Sleeper,
} from "../session/client.ts";

export type ClientIdentity = Pick<
  Client,
  "user" | "database" | "settings" | "processId" | "secretKey" | "address" | "connection"
>;

/** Idle clients are many, and share their emptiness: it is replaced and never pushed to. */
const NONE: never[] = [];

/** So that listeners are the same functions for all clients. */
const CLIENT = Symbol("client connection");

type ClientSocket = Socket & { [CLIENT]: ClientConnection };

export class ClientConnection implements Client {
  readonly user: string;
  readonly database: string;
  readonly settings: ReadonlyMap<string, string>;
  readonly processId: number;
  /** As latin1: a buffer of its own would be some hundred bytes. */
  readonly #secretKey: string;
  readonly address: string;
  readonly connection: ClientConnectionFacts;

  /** What it was made with, or what has taken the place of that. */
  readonly socket: Socket;
  /** Made for who asks. */
  #gone: AbortController | undefined;
  #isGone = false;
  readonly #reader = new FrameReader(FRONTEND_FRAME_BYTES_MAX);
  /** Frames cut and not received yet: one after each arrival, more only where `peek` asked. */
  #frames: Frame[] = NONE;
  #frameBytes = 0;
  /** Met behind the frames that are still to be received. */
  #violation: ProtocolViolation | undefined;
  /** The peer sends no more. */
  #isEnded = false;
  #wakeReceiver: ((isAsleep: boolean) => void) | undefined;
  #sleeper: Sleeper | undefined;
  direct: DirectReceiver | undefined;

  #outgoing: Buffer[] = NONE;
  #outgoingBytes = 0;
  #flush: NodeJS.Immediate | undefined;
  #drainWaiters: (() => void)[] = NONE;
  #isClosing = false;
  #receivedAtMs: number;

  /** Takes the socket over, with what it holds unread. */
  constructor(accepted: Socket, identity: ClientIdentity) {
    this.user = identity.user;
    this.database = identity.database;
    this.settings = identity.settings;
    this.processId = identity.processId;
    this.#secretKey = identity.secretKey.toString("latin1");
    this.address = identity.address;
    this.connection = identity.connection;
    this.#receivedAtMs = identity.connection.connectedAtMs;
    const adopted = adoptSocket(accepted, (bytes, length) => this.#onData(bytes, length, true));
    const socket = (adopted?.socket ?? accepted) as ClientSocket;
    this.socket = socket;
    if (adopted === undefined)
      socket.on("data", (chunk: Buffer) => this.#onData(chunk, chunk.length, false));
    else if (adopted.unread !== null) this.#reader.append(adopted.unread);
    socket[CLIENT] = this;
    socket.on("end", ClientConnection.#ended);
    socket.on("close", ClientConnection.#closed);
    socket.on("drain", ClientConnection.#drained);
    // Paused sockets do not begin to flow by a listener alone.
    socket.resume();
    if (socket.destroyed) this.#onClose();
  }

  static #ended: (this: ClientSocket) => void;
  static #closed: (this: ClientSocket) => void;
  static #drained: (this: ClientSocket) => void;

  static {
    ClientConnection.#ended = function (this: ClientSocket) {
      this[CLIENT].#onEnd();
    };
    ClientConnection.#closed = function (this: ClientSocket) {
      this[CLIENT].#onClose();
    };
    ClientConnection.#drained = function (this: ClientSocket) {
      this[CLIENT].#onSent();
    };
  }

  get secretKey(): Buffer {
    return Buffer.from(this.#secretKey, "latin1");
  }

  get gone(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.#isGone) this.#gone.abort();
    return this.#gone.signal;
  }

  get traffic(): ClientTraffic {
    const { bytesRead, bytesWritten } = this.socket;
    return {
      receivedBytes: bytesRead,
      sentBytes: bytesWritten,
      receivedAtMs: this.#receivedAtMs,
    };
  }

  async receive(): Promise<Frame | undefined> {
    for (;;) {
      if (this.#isClosing) return undefined;
      if (this.#frames.length === 0) this.#offerRead();
      const isBusy = this.direct?.isBusy === true;
      const frame = isBusy ? undefined : this.peek(0);
      if (frame !== undefined) {
        this.#frames.shift();
        this.#frameBytes -= FRAME_HEADER_BYTES + frame.body.length;
        this.#regulate();
        return frame;
      }
      if (!isBusy && this.#violation !== undefined) throw this.#violation;
      if (!isBusy && this.#isEnded) return undefined;
      invariant(this.#wakeReceiver === undefined, "one receive waits at a time");
      const isAsleep = await new Promise<boolean>((resolve) => {
        this.#wakeReceiver = resolve;
      });
      if (isAsleep) return undefined;
    }
  }

  sleep(sleeper: Sleeper): boolean {
    const wakeReceiver = this.#wakeReceiver;
    const hasUnread = this.#frames.length > 0 || this.#reader.bufferedBytes > 0;
    const isIdle = this.direct?.isBusy !== true && this.#drainWaiters.length === 0;
    if (wakeReceiver === undefined || hasUnread || !isIdle || this.#isEnded) return false;
    this.#sleeper = sleeper;
    this.direct = undefined;
    this.#gone = undefined;
    this.#wakeReceiver = undefined;
    this.#reader.clear();
    this.#frames = NONE;
    wakeReceiver(true);
    return true;
  }

  rouse(): void {
    const sleeper = this.#sleeper;
    this.#sleeper = undefined;
    sleeper?.wake();
  }

  peek(n: number): Frame | undefined {
    while (this.#frames.length <= n && this.#violation === undefined) {
      const frame = this.#cut();
      if (frame === undefined) break;
      if (this.#frames === NONE) this.#frames = [frame];
      else this.#frames.push(frame);
      this.#frameBytes += FRAME_HEADER_BYTES + frame.body.length;
    }
    return this.#frames[n];
  }

  writeNow(bytes: Buffer): void {
    if (this.#isClosing || this.socket.destroyed) return;
    if (this.#outgoing.length > 0) {
      this.write(bytes);
      this.#send();
    } else this.socket.write(bytes);
  }

  get isFull(): boolean {
    return !this.#isDrained();
  }

  write(bytes: Buffer): void {
    if (this.#isClosing || this.socket.destroyed) return;
    if (this.#outgoing === NONE) this.#outgoing = [bytes];
    else this.#outgoing.push(bytes);
    this.#outgoingBytes += bytes.length;
    this.#flush ??= setImmediate(() => this.#send());
  }

  drained(): Promise<void> {
    if (this.#isDrained()) return Promise.resolve();
    return new Promise((resolve) => {
      if (this.#drainWaiters === NONE) this.#drainWaiters = [resolve];
      else this.#drainWaiters.push(resolve);
    });
  }

  end(): void {
    if (this.#isClosing) return;
    this.rouse();
    this.#send();
    this.#isClosing = true;
    this.#wake();
    // The peer's unread bytes are taken in and dropped: closing over them would reset the
    // connection, and the last message might never be read.
    this.socket.resume();
    this.socket.end();
    const timer = setTimeout(() => this.socket.destroy(), FRONTEND_CLOSE_TIMEOUT_MS);
    this.socket.once("close", () => clearTimeout(timer));
    this.#leave();
    this.#onSent();
  }

  #cut(): Frame | undefined {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#violation = error;
      return undefined;
    }
  }

  /** `chunk[0, length)`; shared, it is gone after the call. */
  #onData(chunk: Buffer, length: number, isShared: boolean): void {
    if (this.#sleeper !== undefined) this.rouse();
    // Nothing is read behind a violation: where the next frame would begin is not known.
    if (this.#isClosing || this.#violation !== undefined) return;
    this.#receivedAtMs = Date.now();
    const isFirst = this.#reader.bufferedBytes === 0;
    const taken = isFirst && this.#mayOffer ? this.#offer(chunk, 0, length) : 0;
    if (taken === length) return;
    const rest = chunk.subarray(taken, length);
    // What comes behind something unread is copied to it.
    this.#reader.append(isShared && isFirst ? Buffer.from(rest) : rest);
    if (!isFirst && this.#mayOffer) this.#offerRead();
    this.#receiveRest();
  }

  resume(): void {
    if (this.#mayOffer) this.#offerRead();
    this.#receiveRest();
  }

  /** What `direct` has not taken. */
  #receiveRest(): void {
    if (this.direct?.isBusy !== true) this.peek(0);
    this.#regulate();
    // Woken for nothing, the receiver would go back to sleep by a promise of its own.
    const hasNews = this.#frames.length > 0 || this.#violation !== undefined || this.#isEnded;
    if (hasNews) this.#wake();
  }

  /** Frames that were cut for `receive` are not offered: they come before what is. */
  get #mayOffer(): boolean {
    return (
      this.#wakeReceiver !== undefined &&
      this.#frames.length === 0 &&
      this.direct?.isBusy === false &&
      !this.#isClosing
    );
  }

  #offerRead(): void {
    const { bytes, start, end } = this.#reader.arrived;
    this.#reader.skip(this.#offer(bytes, start, end));
  }

  /** How many bytes were taken; one offer after the other while each is answered at once. */
  #offer(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.direct?.isBusy === false) {
      const taken = this.direct.take(bytes, at, end);
      if (taken === 0) break;
      at += taken;
    }
    return at - start;
  }

  #regulate(): void {
    const unreadBytes = this.#reader.bufferedBytes + this.#frameBytes;
    const isFull = unreadBytes > FRONTEND_READ_AHEAD_BYTES && this.peek(0) !== undefined;
    if (isFull) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
    // A client that has closed and left nothing to do is gone, whatever still runs for it.
    if (this.#isEnded && this.peek(0) === undefined) this.#leave();
  }

  #onEnd(): void {
    this.rouse();
    this.#isEnded = true;
    this.#regulate();
    this.#wake();
  }

  #onClose(): void {
    this.rouse();
    this.#isEnded = true;
    this.#isClosing = true;
    this.#outgoing = NONE;
    this.#outgoingBytes = 0;
    clearImmediate(this.#flush);
    this.#leave();
    this.#wake();
    this.#onSent();
  }

  #wake(): void {
    if (this.direct?.isBusy === true && !this.#isClosing) return;
    this.#wakeReceiver?.(false);
    this.#wakeReceiver = undefined;
  }

  #leave(): void {
    this.#isGone = true;
    this.#gone?.abort();
  }

  #send(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const outgoing = this.#outgoing;
    const bytes = this.#outgoingBytes;
    if (outgoing.length === 0) return;
    this.#outgoing = NONE;
    this.#outgoingBytes = 0;
    const sent = (): void => this.#onSent();
    if (bytes <= FRONTEND_COALESCED_BYTES_MAX) {
      this.socket.write(
        outgoing.length === 1 ? (outgoing[0] ?? "") : Buffer.concat(outgoing),
        sent,
      );
      return;
    }
    this.socket.cork();
    for (const each of outgoing) this.socket.write(each, sent);
    this.socket.uncork();
  }

  #isDrained(): boolean {
    if (this.#isClosing || this.#isGone) return true;
    return this.#outgoingBytes + this.socket.writableLength < FRONTEND_UNSENT_BYTES;
  }

  #onSent(): void {
    if (this.#drainWaiters.length === 0 || !this.#isDrained()) return;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = NONE;
    for (const resolve of waiters) resolve();
  }
}
