/**
 * LISTEN for all clients of a proxy: one backend of the catalog database listens to each
 * channel that some subscriber wants, once, and what comes is given to all who want it.
 *
 * A connection that is lost is made again, and listens again. PostgreSQL keeps nothing for
 * who does not listen, so what is sent in between is lost, and every subscriber is told at once.
 * What a subscriber does with a notification is its own matter; it must not hold anybody up.
 */
import type { DatabaseName } from "../../base/ids.ts";
import {
  NOTIFICATION_CHECK_INTERVAL_MS,
  POOL_RECONNECT_MS_MAX,
  POOL_RECONNECT_MS_MIN,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { ListeningConnection } from "./listening-connection.ts";

export interface Subscriber {
  /** A whole NotificationResponse frame, shared with other subscribers. */
  notified(channel: string, frame: Buffer): void;
  /** The connection is lost: what is sent until there is another is missed. It may leave. */
  lost(): void;
}

export interface NotificationParts {
  /** Where the catalog database is now; undefined while the map changes. */
  readonly catalog: () => {
    readonly database: DatabaseName;
    readonly address: BackendAddress | undefined;
  };
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Notifications {
  readonly #parts: NotificationParts;
  readonly #channels = new Map<string, Set<Subscriber>>();
  #connection: ListeningConnection | undefined;
  #opening: Promise<ListeningConnection> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = POOL_RECONNECT_MS_MIN;
  #check: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: NotificationParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#check = setInterval(() => this.look(), NOTIFICATION_CHECK_INTERVAL_MS).unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#check);
    clearTimeout(this.#retry);
    this.#connection?.close();
  }

  /**
   * Resolves once the backend listens to all of them. Where it rejects, the subscriber is
   * subscribed to what it was before.
   */
  async listen(
    subscriber: Subscriber,
    channels: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const added = channels.filter((channel) => this.#add(subscriber, channel));
    try {
      await abortable(this.#listenAll(channels), signal);
    } catch (error) {
      this.unlisten(subscriber, added);
      throw error;
    }
  }

  unlisten(subscriber: Subscriber, channels: readonly string[]): void {
    for (const channel of channels) {
      const subscribers = this.#channels.get(channel);
      if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) continue;
      this.#channels.delete(channel);
      this.#connection?.unlisten(channel);
    }
    this.#count();
  }

  /** What was notified by transactions that have committed has been given out; never rejects, and not for long. */
  async catchUp(): Promise<void> {
    await this.#connection?.catchUp().catch(() => undefined);
  }

  /** Whether the connection lives, is still wanted, and is where the map says. */
  look(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { database, address } = this.#parts.catalog();
    const isRight = connection.database === database && connection.address === address;
    if (this.#channels.size === 0 || !isRight) this.#drop(connection);
    // An answer that does not come ends the connection.
    else void this.catchUp();
  }

  #add(subscriber: Subscriber, channel: string): boolean {
    const subscribers = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, subscribers);
    if (subscribers.has(subscriber)) return false;
    subscribers.add(subscriber);
    this.#count();
    return true;
  }

  #count(): void {
    this.#parts.metrics.set("colonnade_listened_channels", {}, this.#channels.size);
  }

  async #listenAll(channels: Iterable<string>): Promise<void> {
    const connection = await this.#open();
    await Promise.all(Array.from(channels, (channel) => connection.listen(channel)));
  }

  #open(): Promise<ListeningConnection> {
    if (this.#connection !== undefined) return Promise.resolve(this.#connection);
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<ListeningConnection> {
    const { database, address } = this.#parts.catalog();
    if (address === undefined || this.#isStopped)
      throw new SqlError("pool_closed", `database "${database}" is not reachable any more`);
    const connection = await ListeningConnection.open(address, {
      database,
      onNotification: (channel, frame) => this.#give(channel, frame),
    });
    this.#connection = connection;
    void connection.ended.then(() => this.#lost(connection));
    if (this.#isStopped) this.#drop(connection);
    return connection;
  }

  #give(channel: string, frame: Buffer): void {
    this.#parts.metrics.increment("colonnade_notifications_total", {});
    for (const subscriber of this.#channels.get(channel) ?? []) subscriber.notified(channel, frame);
  }

  #drop(connection: ListeningConnection): void {
    connection.close();
    this.#lost(connection);
  }

  #lost(connection: ListeningConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#isStopped || this.#channels.size === 0) return;
    this.#parts.log.warn("the connection that listens for notifications was lost");
    const subscribers = new Set([...this.#channels.values()].flatMap((each) => [...each]));
    for (const subscriber of subscribers) subscriber.lost();
    if (this.#channels.size > 0) this.#again();
  }

  #again(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#restore(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, POOL_RECONNECT_MS_MAX);
  }

  async #restore(): Promise<void> {
    if (this.#isStopped || this.#channels.size === 0) return;
    try {
      await this.#listenAll(this.#channels.keys());
    } catch (error) {
      this.#parts.log.debug({ err: error }, "notifications cannot be listened for");
      // A connection that is there, but does not listen, is made anew by its end.
      if (this.#connection === undefined) this.#again();
      else this.#drop(this.#connection);
      return;
    }
    this.#retryMs = POOL_RECONNECT_MS_MIN;
  }
}

async function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let aborted: (() => void) | undefined;
  const whenAborted = new Promise<never>((_, reject) => {
    aborted = () => reject(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
  });
  try {
    await Promise.race([promise, whenAborted]);
  } finally {
    if (aborted !== undefined) signal.removeEventListener("abort", aborted);
  }
}
