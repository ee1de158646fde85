/**
 * What one client listens to, and the notifications that wait for it: as in PostgreSQL, they
 * reach it between transactions and never inside one. LISTEN and UNLISTEN take effect with
 * their transaction's commit, and the client is told of no commit before the server listens.
 *
 * A client that leaves too many unread is sent away: it would miss some without knowing. So is one
 * that listens when the server is lost, as its own connection would have been.
 */
import {
  LISTENED_CHANNELS_PER_CLIENT_MAX,
  NOTIFICATION_OVERHEAD_BYTES,
  NOTIFICATIONS_UNREAD_BYTES_MAX,
  NOTIFICATIONS_WRITTEN_AT_ONCE,
} from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Notifications, Subscriber } from "../notifications/notifications.ts";
import type { Client } from "./client.ts";

export type ListenAction =
  | { readonly kind: "listen"; readonly channel: string }
  /** Without a channel: all of them. */
  | { readonly kind: "unlisten"; readonly channel: string | undefined };

export interface ListeningParts {
  readonly notifications: Notifications;
  readonly client: Client;
  /** Ends the session. */
  readonly sendAway: (error: SqlError) => void;
  /** Ends it once nothing runs in it. */
  readonly leave: (error: SqlError) => void;
}

interface Waiting {
  readonly channel: string;
  readonly frame: Buffer;
}

/** A session that listens to nothing, as most do, has none of its own. */
const NO_CHANNELS: ReadonlySet<string> = new Set();
const NO_NAMES: readonly string[] = [];

export class Listening implements Subscriber {
  readonly #parts: ListeningParts;
  #channels = NO_CHANNELS;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** `resting`: the client was told that it may send, and has not: what comes is written at once. */
  #state: "busy" | "resting" | "ended" = "busy";
  #isWriting = false;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  /** Of committed transactions, in the order of their first LISTEN. */
  get channels(): readonly string[] {
    return this.#channels.size === 0 ? NO_NAMES : [...this.#channels];
  }

  /**
   * What is listened to once these are done. The server listens to all of it when this
   * resolves; `adopt` or `abandon` must follow. Where it rejects, nothing has changed.
   */
  async prepare(
    actions: readonly ListenAction[],
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const channels = new Set(this.#channels);
    for (const { kind, channel } of actions) {
      if (channel === undefined) channels.clear();
      else if (kind === "listen") channels.add(channel);
      else channels.delete(channel);
    }
    if (channels.size > LISTENED_CHANNELS_PER_CLIENT_MAX) {
      throw new SqlError(
        "too_many_channels",
        `a client may listen to ${LISTENED_CHANNELS_PER_CLIENT_MAX} channels`,
      );
    }
    const added = [...channels].filter((channel) => !this.#channels.has(channel));
    if (added.length > 0) await this.#parts.notifications.listen(this, added, signal);
    return channels;
  }

  /** The transaction has committed. */
  adopt(channels: ReadonlySet<string>): void {
    const removed = [...this.#channels].filter((channel) => !channels.has(channel));
    this.#channels = channels;
    this.#parts.notifications.unlisten(this, removed);
  }

  /** It has not. */
  abandon(channels: ReadonlySet<string>): void {
    const added = [...channels].filter((channel) => !this.#channels.has(channel));
    this.#parts.notifications.unlisten(this, added);
  }

  unlistenAll(): void {
    this.adopt(NO_CHANNELS);
  }

  end(): void {
    this.#state = "ended";
    this.#parts.notifications.unlisten(this, [...this.#channels]);
    this.#channels = NO_CHANNELS;
    this.#waiting = [];
  }

  notified(channel: string, frame: Buffer): void {
    if (this.#state === "ended") return;
    this.#waiting.push({ channel, frame });
    this.#waitingBytes += frame.length + NOTIFICATION_OVERHEAD_BYTES;
    if (this.#waitingBytes > NOTIFICATIONS_UNREAD_BYTES_MAX) {
      this.end();
      this.#parts.sendAway(
        new SqlError(
          "notifications_unread",
          "terminating connection because too many notifications wait to be read",
        ),
      );
    } else if (this.#state === "resting") void this.#writeWhileResting();
  }

  lost(): void {
    this.end();
    this.#parts.leave(
      new SqlError(
        "notifications_lost",
        "terminating connection because the server that it listens to was lost",
      ),
    );
  }

  /** It listens to nothing, and nothing waits. */
  get isQuiet(): boolean {
    return this.#channels.size === 0 && this.#waiting.length === 0;
  }

  /** The client has sent something: until the next `rest`, nothing is written. */
  wake(): void {
    if (this.#state === "resting") this.#state = "busy";
  }

  /**
   * Before the ReadyForQuery that ends a transaction: writes all that waits, and first of
   * all waits for what the session's own transactions have notified.
   */
  async flush(mayHaveNotified: boolean): Promise<void> {
    if (mayHaveNotified && this.#channels.size > 0) await this.#parts.notifications.catchUp();
    while (this.#waiting.length > 0) await this.#writeSome();
  }

  /** After it. */
  rest(): void {
    if (this.#state === "busy") this.#state = "resting";
    if (this.#waiting.length > 0) void this.#writeWhileResting();
  }

  async #writeWhileResting(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      while (this.#state === "resting" && this.#waiting.length > 0) await this.#writeSome();
    } finally {
      this.#isWriting = false;
    }
  }

  /** Resolves once the client has read enough to be written more. */
  async #writeSome(): Promise<void> {
    const { client } = this.#parts;
    for (const { channel, frame } of this.#waiting.splice(0, NOTIFICATIONS_WRITTEN_AT_ONCE)) {
      this.#waitingBytes -= frame.length + NOTIFICATION_OVERHEAD_BYTES;
      // As in PostgreSQL, what it says when the client comes to rest: UNLISTEN holds for what waits.
      if (this.#channels.has(channel)) client.write(frame);
    }
    return client.drained();
  }
}
