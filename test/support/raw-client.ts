/**
 * A PostgreSQL client that hides nothing: it sends the bytes it is given and hands out
 * every message as it came. Drivers smooth over what these tests must see.
 *
 * It knows authentication (trust, cleartext, md5, SCRAM-SHA-256) and no SQL.
 */
import { once } from "node:events";
import net from "node:net";
import {
  cstring,
  frame,
  queryFrame,
  readCstrings,
  readFields,
  readRow,
  startupFrame,
  terminateFrame,
  uint32,
} from "./raw-frames.ts";
import type { BackendMessage } from "./raw-frames.ts";
import { md5Password, ScramExchange } from "./raw-authentication.ts";

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly database: string;
  /** Further startup parameters: TimeZone, application_name, options. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How long one answer may take. */
  readonly timeoutMs?: number;
}

/** All messages up to and with ReadyForQuery. */
export interface Exchange {
  readonly messages: readonly BackendMessage[];
  /** `I` idle, `T` in a transaction, `E` in a failed one. */
  readonly status: string;
}

/** The server's own words; `fields` by their letters. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly fields: Readonly<Record<string, string>>;

  constructor(fields: Readonly<Record<string, string>>) {
    super(`${fields["C"]}: ${fields["M"]}`);
    this.fields = fields;
  }
}

export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

const ANSWER_TIMEOUT_MS = 60_000;

export class RawClient {
  readonly parameterStatus = new Map<string, string>();
  processId = 0;
  secretKey: Buffer = Buffer.alloc(0);

  readonly #socket: net.Socket;
  readonly #timeoutMs: number;
  #unread: Buffer = Buffer.alloc(0);
  #messages: BackendMessage[] = [];
  #next = 0;
  #lost: ConnectionLost | undefined;
  #wake: (() => void) | undefined;

  /** Over an open socket; nothing is sent before `start`. */
  constructor(socket: net.Socket, timeoutMs: number = ANSWER_TIMEOUT_MS) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#append(chunk));
    socket.on("error", (error) => this.#lose(error.message));
    socket.on("close", () => this.#lose("the server closed the connection"));
  }

  /** Connects and authenticates; throws ServerError or ConnectionLost. */
  static async connect(options: ConnectOptions): Promise<RawClient> {
    const client = await RawClient.open(options.host, options.port, options.timeoutMs);
    try {
      await client.start(options);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  static async open(host: string, port: number, timeoutMs?: number): Promise<RawClient> {
    const socket = net.connect({ host, port });
    await once(socket, "connect", { signal: AbortSignal.timeout(timeoutMs ?? ANSWER_TIMEOUT_MS) });
    return new RawClient(socket, timeoutMs);
  }

  async start(options: Omit<ConnectOptions, "host" | "port" | "timeoutMs">): Promise<void> {
    const { user, database, settings } = options;
    this.write(startupFrame({ user, database, ...settings }));
    await this.#authenticate(user, options.password ?? "");
    const { messages } = await this.untilReady();
    for (const { type, body } of messages) {
      if (type !== "K") continue;
      this.processId = body.readUInt32BE(0);
      this.secretKey = Buffer.from(body.subarray(4));
    }
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  write(bytes: Buffer): void {
    if (this.#lost === undefined) this.#socket.write(bytes);
  }

  /** The next message; throws ConnectionLost once there are no more. */
  async receive(): Promise<BackendMessage> {
    while (this.#next >= this.#messages.length) {
      if (this.#lost !== undefined) throw this.#lost;
      await this.#arrival();
    }
    return this.#take();
  }

  /** Reads up to ReadyForQuery. A fatal error before it is thrown as ServerError. */
  async untilReady(): Promise<Exchange> {
    const messages: BackendMessage[] = [];
    for (;;) {
      let message: BackendMessage;
      try {
        message = this.#next < this.#messages.length ? this.#take() : await this.receive();
      } catch (error) {
        const failed = messages.findLast(({ type }) => type === "E");
        throw failed === undefined ? error : new ServerError(readFields(failed.body));
      }
      messages.push(message);
      if (message.type === "Z") return { messages, status: message.body.toString("latin1") };
    }
  }

  async exchange(bytes: Buffer): Promise<Exchange> {
    this.write(bytes);
    return this.untilReady();
  }

  /** A simple query whose rows come as text; throws the first error of the answer. */
  async query(sql: string): Promise<(string | null)[][]> {
    const { messages } = await this.exchange(queryFrame(sql));
    const failed = messages.find(({ type }) => type === "E");
    if (failed !== undefined) throw new ServerError(readFields(failed.body));
    return messages
      .filter(({ type }) => type === "D")
      .map(({ body }) => readRow(body).map((value) => value?.toString("utf8") ?? null));
  }

  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    this.#socket.end(terminateFrame());
    await once(this.#socket, "close");
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Reads nothing any more, until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async #authenticate(user: string, password: string): Promise<void> {
    let scram: ScramExchange | undefined;
    for (;;) {
      const { type, body } = await this.receive();
      if (type === "E") throw new ServerError(readFields(body));
      if (type !== "R") continue;
      const rest = body.subarray(4);
      switch (body.readUInt32BE(0)) {
        case 0:
          return;
        case 3:
          this.write(frame("p", cstring(password)));
          break;
        case 5:
          this.write(frame("p", cstring(md5Password(user, password, rest))));
          break;
        case 10: {
          scram = new ScramExchange(password);
          const first = Buffer.from(scram.clientFirst());
          this.write(frame("p", cstring("SCRAM-SHA-256"), uint32(first.length), first));
          break;
        }
        case 11:
          this.write(frame("p", Buffer.from(scram?.clientFinal(rest.toString()) ?? "")));
          break;
        case 12:
          scram?.verify(rest.toString());
          break;
        default:
          throw new ConnectionLost(`unknown authentication request ${body.readUInt32BE(0)}`);
      }
    }
  }

  #take(): BackendMessage {
    const message = this.#messages[this.#next++] as BackendMessage;
    if (this.#next === this.#messages.length) {
      this.#messages = [];
      this.#next = 0;
    }
    return message;
  }

  #arrival(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        reject(new ConnectionLost(`no answer within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #append(chunk: Buffer): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    let offset = 0;
    while (bytes.length - offset >= 5) {
      const end = offset + 1 + bytes.readUInt32BE(offset + 1);
      if (end > bytes.length) break;
      const message = {
        type: String.fromCharCode(bytes[offset] as number),
        body: bytes.subarray(offset + 5, end),
      };
      if (message.type === "S") {
        const [name, value] = readCstrings(message.body);
        this.parameterStatus.set(name ?? "", value ?? "");
      }
      this.#messages.push(message);
      offset = end;
    }
    this.#unread = bytes.subarray(offset);
    this.#signal();
  }

  #lose(reason: string): void {
    this.#lost ??= new ConnectionLost(reason);
    this.#signal();
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
