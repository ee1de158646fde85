/**
 * The messages between us and one server, as runs in and bytes out. Reading is by pull: with
 * nobody asking, a bounded number of bytes is read ahead and then the socket is paused, so
 * that TCP slows the server. It knows nothing of what a run means.
 */
import { invariant } from "../../base/invariant.ts";
import { BACKEND_READ_AHEAD_BYTES, BACKEND_UNSENT_BYTES } from "../../base/limits.ts";
import { BackendRunReader } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import type { BackendSocket } from "./backend-socket.ts";
import { countBuffers } from "./read-garbage.ts";

interface Receiver {
  resolve(run: BackendRun): void;
  reject(error: unknown): void;
}

/** Who takes bytes as they arrive, in the place of runs that are asked for. */
export interface ByteTaker {
  /** `bytes[start, end)`, which are gone after the call. */
  take(bytes: Buffer, start: number, end: number): void;
  /** Nothing more comes; `receive` tells why. */
  ended(): void;
}

/** The server's side is over: nothing more can be received. */
export class StreamEnded extends Error {
  override readonly name = "StreamEnded";
}

export class RunStream {
  readonly #socket: BackendSocket;
  readonly #reader = new BackendRunReader();
  /** Settles when the connection is over, for whatever reason. */
  readonly ended: Promise<void>;
  #end: StreamEnded | undefined;
  #violation: unknown;
  #receiver: Receiver | undefined;
  #watcher: ((run: BackendRun) => void) | undefined;
  #taker: ByteTaker | undefined;
  #isPaused = false;
  #outbox: Buffer[] = [];
  #outboxBytes = 0;
  #drainWaiters: (() => void)[] = [];

  constructor(socket: BackendSocket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => {
      socket.listen({
        onBytes: (bytes, length, isShared) => this.#arrived(bytes, length, isShared),
        onDrain: () => this.#drained(),
        onEnd: (error) => {
          this.#ended(error);
          resolve();
        },
      });
    });
  }

  /** Over, or broken by what the server sent; what arrived before may still be received. */
  get isOver(): boolean {
    return this.#end !== undefined || this.#violation !== undefined;
  }

  /** Something has arrived that nobody has received. */
  get hasArrived(): boolean {
    return this.#reader.bufferedBytes > 0;
  }

  /** What `receive` rejects with after the last run; undefined while more may come. */
  get ending(): StreamEnded | undefined {
    return this.#end;
  }

  /** The next run if it has arrived. Throws ProtocolViolation. */
  tryReceive(): BackendRun | undefined {
    if (this.#violation !== undefined) throw this.#violation;
    try {
      const run = this.#reader.next();
      if (this.#isPaused && this.#reader.bufferedBytes < BACKEND_READ_AHEAD_BYTES) this.#resume();
      return run;
    } catch (error) {
      this.#violation = error;
      this.#socket.destroy();
      throw error;
    }
  }

  /**
   * The next run. Rejects with StreamEnded after the last one, with ProtocolViolation, or
   * with the signal's reason: the run then comes to the next who asks.
   */
  receive(signal?: AbortSignal): Promise<BackendRun> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const run = this.tryReceive();
      if (run !== undefined) {
        resolve(run);
        return;
      }
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      this.#wait(resolve, reject, signal);
    });
  }

  #wait(
    resolve: (run: BackendRun) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined,
  ): void {
    // A frame larger than the read-ahead only becomes whole by reading on.
    if (this.#isPaused) this.#resume();
    const aborted = (): void => receiver.reject(signal?.reason);
    const settle = (): void => {
      signal?.removeEventListener("abort", aborted);
      this.#receiver = undefined;
    };
    const receiver: Receiver = {
      resolve: (run) => {
        settle();
        resolve(run);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    };
    signal?.addEventListener("abort", aborted, { once: true });
    this.#receiver = receiver;
  }

  get hasReceiver(): boolean {
    return this.#receiver !== undefined;
  }

  /** Gives each run, from now on and those that have arrived, to `watcher`; undefined ends it. */
  watch(watcher: ((run: BackendRun) => void) | undefined): void {
    this.#watcher = watcher;
    if (watcher !== undefined) this.#feedWatcher(watcher);
  }

  /** Gives all that arrives from now on to `taker`; undefined ends it. Everything before has been received. */
  divert(taker: ByteTaker | undefined): void {
    invariant(
      taker === undefined || this.#reader.bufferedBytes === 0,
      "what is diverted begins with an answer",
    );
    this.#taker = taker;
  }

  /** What has arrived and is not the taker's: it is received, as if it had never been taken. */
  giveBack(bytes: Buffer, start: number, end: number): void {
    this.#reader.append(Buffer.from(bytes.subarray(start, end)));
  }

  /** For a taker that cannot go on just now. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (this.#isPaused) this.#resume();
  }

  /** As `send`, but at once: for what is all that this turn has to say. */
  sendNow(bytes: Buffer): void {
    if (this.#outbox.length > 0) {
      this.send(bytes);
      this.flush();
    } else if (!this.isOver) this.#socket.write(bytes);
  }

  /**
   * Queues bytes, which must not change afterwards. All of one event-loop turn leave as one
   * write in its check phase, after every socket that was readable has had its say.
   */
  send(bytes: Buffer): void {
    if (this.isOver) return; // receive() says so; a sender need not know first
    if (this.#outbox.push(bytes) === 1) queueFlush(this);
    this.#outboxBytes += bytes.length;
  }

  /** For `queueFlush` alone. */
  flush(): void {
    const [first] = this.#outbox;
    if (first === undefined) return;
    this.#socket.write(
      this.#outbox.length === 1 ? first : Buffer.concat(this.#outbox, this.#outboxBytes),
    );
    this.#outbox = [];
    this.#outboxBytes = 0;
  }

  get unsentBytes(): number {
    return this.#outboxBytes + this.#socket.unsentBytes;
  }

  /** Resolves once fewer than BACKEND_UNSENT_BYTES are unsent, or the connection is over. */
  drained(): Promise<void> {
    if (this.isOver || this.unsentBytes < BACKEND_UNSENT_BYTES) return Promise.resolve();
    this.flush();
    if (this.#socket.unsentBytes < BACKEND_UNSENT_BYTES) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Sends what is queued, then closes. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#ended(undefined);
    this.#socket.destroy();
  }

  #arrived(bytes: Buffer, length: number, isShared: boolean): void {
    countBuffers(length);
    if (this.#taker !== undefined) {
      this.#taker.take(bytes, 0, length);
      return;
    }
    this.#reader.append(isShared ? Buffer.from(bytes.subarray(0, length)) : bytes);
    if (this.#watcher !== undefined) this.#feedWatcher(this.#watcher);
    const receiver = this.#receiver;
    if (receiver !== undefined) {
      try {
        const run = this.tryReceive();
        if (run !== undefined) receiver.resolve(run);
      } catch (error) {
        receiver.reject(error);
      }
    } else if (this.#reader.bufferedBytes >= BACKEND_READ_AHEAD_BYTES) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  /** What the watcher did not expect ends the stream; whoever asks next is told. */
  #feedWatcher(watcher: (run: BackendRun) => void): void {
    try {
      for (let run = this.tryReceive(); run !== undefined; run = this.tryReceive()) watcher(run);
    } catch (error) {
      this.#violation ??= error;
      this.#socket.destroy();
    }
  }

  #resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  #ended(error: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = new StreamEnded(error?.message ?? "server closed the connection unexpectedly", {
      cause: error,
    });
    this.#outbox = [];
    this.#outboxBytes = 0;
    this.#receiver?.reject(this.#end);
    this.#taker?.ended();
    this.#drained();
  }

  #drained(): void {
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }
}

let unflushed: RunStream[] = [];

/** One timer for the streams of a turn, however many. */
function queueFlush(stream: RunStream): void {
  if (unflushed.push(stream) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const streams = unflushed;
  unflushed = [];
  for (const stream of streams) stream.flush();
}
