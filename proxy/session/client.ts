/**
 * What a session sees of its client, and what a frontend sees of the sessions: the seam
 * between proxy/frontend (sockets, TLS, authentication) and proxy/session. The root wires
 * the two together.
 */
import type { Frame } from "../protocol/frame-reader.ts";

/** Who is offered what arrives before `receive` gives it, frame by frame. */
export interface DirectReceiver {
  /** Something taken is not answered yet: nothing more is offered before `Client.resume`. */
  readonly isBusy: boolean;
  /** `bytes[start, end)`, gone after the call. How many bytes, whole messages, were taken off the front; 0 leaves them to `receive`. */
  take(bytes: Buffer, start: number, end: number): number;
}

/** Who is woken before anything that happens on the connection is looked at. */
export interface Sleeper {
  wake(): void;
}

/** An authenticated client. The frontend has sent AuthenticationOk and nothing after it. */
export interface Client {
  readonly user: string;
  /** The database name of the startup packet; the user's name where it gave none. */
  readonly database: string;
  /** Startup parameters in lower case but `user`, `database`, `replication` and `_pq_.*`; settings of `options` (`-c name=value`, `--name=value`) taken apart and merged in. */
  readonly settings: ReadonlyMap<string, string>;
  /** What BackendKeyData tells the client: made by the frontend, unique in this process. */
  readonly processId: number;
  readonly secretKey: Buffer;
  /** `10.0.0.1:51234`, for logs. */
  readonly address: string;
  readonly connection: ClientConnectionFacts;
  /** As of now. */
  readonly traffic: ClientTraffic;
  /** Aborted when the connection is lost or closed, for whatever reason. */
  readonly gone: AbortSignal;

  /** The next whole frame, in order; undefined once the client is gone. A broken frame throws ProtocolViolation. */
  receive(): Promise<Frame | undefined>;
  /** The n-th whole frame that has arrived and was not received yet (0 is what `receive` gives next), without waiting. */
  peek(n: number): Frame | undefined;
  /** Offered whatever arrives while a `receive` waits. */
  direct: DirectReceiver | undefined;
  /**
   * Ends a `receive` that waits, as if the client were gone, and forgets `direct` and who listens to
   * `gone`: whoever has received is to receive again once it is woken. False, and nothing is done,
   * where no `receive` waits, or something has arrived.
   */
  sleep(sleeper: Sleeper): boolean;
  /** Wakes who sleeps. */
  rouse(): void;
  /** `direct` is no longer busy: what has arrived meanwhile is offered to it, or received. */
  resume(): void;
  /** As `write`, but sent at once: for what is all that this turn has to say. */
  writeNow(bytes: Buffer): void;
  /** FRONTEND_UNSENT_BYTES or more are unsent: see `drained`. */
  readonly isFull: boolean;
  /** Queues bytes; they are sent by the end of this event-loop turn, many calls as one write. */
  write(bytes: Buffer): void;
  /** Resolves once fewer than FRONTEND_UNSENT_BYTES are unsent, or the client is gone. */
  drained(): Promise<void>;
  /** Sends what is queued, then closes. Idempotent. */
  end(): void;
}

/** What the operator is told of a client's connection. Times are milliseconds since 1970. */
export interface ClientConnectionFacts {
  /** `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS. */
  readonly tls: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
}

export interface ClientTraffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** When bytes last came from the client. */
  readonly receivedAtMs: number;
}

/** The sessions, as the frontend calls them. */
export interface SessionHost {
  /** Runs the client's session, which reports its own errors. `over` is called once, at its end. */
  serve(client: Client, over: () => void): void;
  /** A CancelRequest: cancels what that client's session is running, or does nothing. */
  cancel(processId: number, secretKey: Buffer): void;
}
