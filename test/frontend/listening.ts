/** A listener on a free port with an echo host behind it, a certificate, and a raw client. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { generate } from "selfsigned";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { Listener } from "../../proxy/frontend/listener.ts";
import type { ListenerOptions } from "../../proxy/frontend/listener.ts";
import type { StoredSecret, UserStore } from "../../proxy/frontend/user-store.ts";
import { parseStoredSecret } from "../../proxy/frontend/user-store.ts";
import { decodeDataRow } from "../../proxy/protocol/backend/data-row.ts";
import { decodeErrorResponse } from "../../proxy/protocol/backend/error-response.ts";
import type { ErrorFields } from "../../proxy/protocol/backend/error-response.ts";
import { FrameReader } from "../../proxy/protocol/frame-reader.ts";
import type { Frame } from "../../proxy/protocol/frame-reader.ts";
import { encodeToBuffer, FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { encodeQuery } from "../../proxy/protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../../proxy/protocol/message-type.ts";
import { encodeStartup } from "../../proxy/protocol/startup.ts";
import type { StartupPacket } from "../../proxy/protocol/startup.ts";
import { EchoHost } from "./echo-host.ts";
import type { Echo } from "./echo-host.ts";

export interface Listening extends AsyncDisposable {
  readonly port: number;
  readonly host: EchoHost;
  readonly listener: Listener;
  readonly metrics: Metrics;
}

export async function listening(options: Partial<ListenerOptions> = {}): Promise<Listening> {
  const host = new EchoHost();
  const metrics = new Metrics();
  const listener = await Listener.listen({
    host: "127.0.0.1",
    port: 0,
    authentication: { method: "trust" },
    sessions: host,
    log: createLog("fatal"),
    metrics,
    ...options,
  });
  return {
    port: listener.port,
    host,
    listener,
    metrics,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export async function makeCertificate(): Promise<Certificate> {
  const made = await generate([{ name: "commonName", value: "localhost" }], { keySize: 2048 });
  return { cert: made.cert, key: made.private };
}

/** Users by the text of their secrets. */
export function usersOf(secrets: Readonly<Record<string, string>>): UserStore {
  const users = new Map<string, StoredSecret>();
  for (const [user, text] of Object.entries(secrets)) {
    const secret = parseStoredSecret(text);
    if (secret !== undefined) users.set(user, secret);
  }
  return { lookup: (user) => Promise.resolve(users.get(user)) };
}

/** The fields of every ErrorResponse among the frames. */
export function errorsIn(frames: readonly Frame[]): readonly ErrorFields[] {
  return frames
    .filter(({ type }) => type === BACKEND_TYPE.errorResponse)
    .map(({ body }) => decodeErrorResponse(body).fields);
}

export function errorTexts(frames: readonly Frame[]): readonly string[] {
  return errorsIn(frames).map(({ S, C, M }) => `${S} ${C} ${M}`);
}

export function startupOf(user: string): StartupPacket {
  return { kind: "startup", major: 3, minor: 0, parameters: new Map([["user", user]]) };
}

/** What the echo host answers to a query. */
export async function ask(client: RawClient, sql: string): Promise<Echo> {
  client.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
  for (;;) {
    const frame = await client.frame();
    if (frame === undefined) throw new Error("closed");
    if (frame.type !== BACKEND_TYPE.dataRow) continue;
    return JSON.parse(String(decodeDataRow(frame.body).values[0])) as Echo;
  }
}

/** Speaks the protocol byte by byte, right or wrong. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  readonly #reader = new FrameReader(2 ** 30);
  #wake: (() => void) | undefined;
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.#reader.append(chunk);
      this.#wake?.();
    });
    const close = (): void => {
      this.isClosed = true;
      this.#wake?.();
    };
    this.socket.on("end", close);
    this.socket.on("close", close);
    this.socket.on("error", () => {});
  }

  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  startup(parameters: Readonly<Record<string, string>>, minor = 0): void {
    this.packet({
      kind: "startup",
      major: 3,
      minor,
      parameters: new Map(Object.entries(parameters)),
    });
  }

  packet(packet: StartupPacket): void {
    const writer = new FrameWriter();
    encodeStartup(packet, writer);
    this.send(writer.take());
  }

  /** The next frame, or undefined once the peer has closed. */
  async frame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) return frame;
      if (this.isClosed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Every frame until the peer closes. */
  async rest(): Promise<readonly Frame[]> {
    const frames: Frame[] = [];
    for (let frame = await this.frame(); frame !== undefined; frame = await this.frame()) {
      frames.push(frame);
    }
    return frames;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
