/**
 * One backend that listens for a whole proxy: its commands go out as they come, are answered
 * in order, and notifications in between are handed over. It is read without pause, so that
 * the server never keeps notifications for a slow client; it knows no clients.
 */
import { NOTIFICATION_ANSWER_TIMEOUT_MS, BACKEND_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { BackendConnection } from "../backend/backend-connection.ts";
import { ControlAnswerReader } from "../backend/control-answer.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import { decodeNotificationResponse } from "../protocol/backend/notification-response.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";

export interface ListeningOptions {
  readonly database: DatabaseName;
  /** The whole NotificationResponse frame, as it came. Must not throw. */
  readonly onNotification: (channel: string, frame: Buffer) => void;
}

interface Command {
  readonly answer: ControlAnswerReader;
  readonly timer: NodeJS.Timeout;
  resolve(): void;
  reject(error: unknown): void;
}

export class ListeningConnection {
  readonly address: BackendAddress;
  readonly database: DatabaseName;
  /** Settles when the connection is over and nothing more will come of it. */
  readonly ended: Promise<void>;
  readonly #connection: BackendConnection;
  readonly #commands: Command[] = [];
  /** Channels that the backend listens to or is about to; resolved once it does. */
  readonly #channels = new Map<string, Promise<void>>();

  static async open(
    address: BackendAddress,
    options: ListeningOptions,
  ): Promise<ListeningConnection> {
    const connection = await BackendConnection.open(address, {
      database: options.database,
      connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
      settings: new Map([["application_name", "colonnade notifications"]]),
    });
    return new ListeningConnection(address, connection, options);
  }

  private constructor(
    address: BackendAddress,
    connection: BackendConnection,
    options: ListeningOptions,
  ) {
    this.address = address;
    this.database = options.database;
    this.#connection = connection;
    this.ended = this.#read(options);
  }

  /** Resolves once every notification sent from then on will come; the same promise for who asks again. */
  listen(channel: string): Promise<void> {
    const present = this.#channels.get(channel);
    if (present !== undefined) return present;
    const listening = this.#run(`LISTEN ${quoteIdentifier(channel)}`);
    this.#channels.set(channel, listening);
    listening.catch(() => {
      if (this.#channels.get(channel) === listening) this.#channels.delete(channel);
    });
    return listening;
  }

  unlisten(channel: string): void {
    if (!this.#channels.delete(channel)) return;
    // Where it fails the connection is over, and with it what it listened to.
    this.#run(`UNLISTEN ${quoteIdentifier(channel)}`).catch(() => undefined);
  }

  /**
   * Resolves once every notification of a transaction that was answered as committed before
   * has been handed over: the server signals its listeners before it answers, and a backend
   * gives what it was signalled for before its next ReadyForQuery (async.c, SignalBackends).
   */
  catchUp(): Promise<void> {
    return this.#run("");
  }

  close(): void {
    this.#connection.close();
  }

  #run(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#connection.destroy(), NOTIFICATION_ANSWER_TIMEOUT_MS);
      this.#commands.push({ answer: new ControlAnswerReader(), timer, resolve, reject });
      this.#connection.expectReady();
      this.#connection.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
    });
  }

  async #read({ onNotification }: ListeningOptions): Promise<void> {
    let end: unknown;
    try {
      for (;;) {
        const run = this.#connection.tryReceive() ?? (await this.#connection.receive());
        if (run.type === BACKEND_TYPE.notificationResponse) {
          // A run is a view into what was read with it: kept as it is, it would keep all of that.
          onNotification(decodeNotificationResponse(runBody(run)).channel, Buffer.from(run.bytes));
        } else this.#answer(run);
      }
    } catch (error) {
      end = error;
    }
    this.#connection.destroy();
    for (const command of this.#commands.splice(0)) {
      clearTimeout(command.timer);
      command.reject(end);
    }
    this.#channels.clear();
  }

  #answer(run: BackendRun): void {
    const [command] = this.#commands;
    // Between commands a server only speaks of its settings, or of its own end.
    if (command === undefined || command.answer.read(run) === "more") return;
    this.#commands.shift();
    clearTimeout(command.timer);
    try {
      command.answer.result();
      command.resolve();
    } catch (error) {
      command.reject(error);
    }
  }
}
