/**
 * A client that reads an answer and keeps nothing of it, so that what is measured is the
 * server's time and not a driver's. It walks the frames' headers, counts rows, and fails
 * by the server's error. The server must trust it.
 */
import { once } from "node:events";
import net from "node:net";
import { frame, queryFrame, startupFrame, terminateFrame } from "../test/support/raw-frames.ts";

const HEADER_BYTES = 5;
const COPY_DATA = "d".charCodeAt(0);
const COPY_IN_RESPONSE = "G".charCodeAt(0);
const DATA_ROW = "D".charCodeAt(0);
const ERROR_RESPONSE = "E".charCodeAt(0);
const READY_FOR_QUERY = "Z".charCodeAt(0);

export interface CountingTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

interface Answer {
  readonly resolve: (rows: number) => void;
  readonly reject: (error: Error) => void;
  /** ReadyForQuery messages still to come. */
  left: number;
}

export interface CopyIn {
  /** CopyData frames; gives when there is room for more. */
  write(frames: Buffer): Promise<void>;
  end(): Promise<void>;
}

export class CountingClient {
  readonly #socket: net.Socket;
  #answer: Answer | undefined;
  #rows = 0;
  #bytes = 0;
  #copyInBegins: (() => void) | undefined;
  #error: Error | undefined;
  /** The start of a frame whose header has not come whole. */
  #partialHeader: Buffer = Buffer.alloc(0);
  /** Body bytes of a frame whose header has been read, still to come. */
  #bodyLeft = 0;
  #frameType = 0;

  static async connect({ host, port, database }: CountingTarget): Promise<CountingClient> {
    const socket = net.connect({ host, port, noDelay: true });
    await once(socket, "connect");
    const client = new CountingClient(socket);
    await client.#ask(startupFrame({ user: "postgres", database }));
    return client;
  }

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#answer?.reject(error));
    socket.on("close", () => this.#answer?.reject(new Error("the server closed the connection")));
  }

  /** Runs one statement by the simple protocol to its end; gives the number of rows. */
  query(sql: string): Promise<number> {
    return this.#ask(queryFrame(sql));
  }

  /**
   * Sends frames that make the server ready so many times; gives the number of rows of all.
   * One at a time: the next when this has been answered.
   */
  send(bytes: Buffer, answers: number): Promise<number> {
    return this.#ask(bytes, answers);
  }

  /** Begins COPY FROM STDIN, and gives when the server wants the data. */
  async beginCopy(sql: string): Promise<CopyIn> {
    const begun = new Promise<void>((resolve) => (this.#copyInBegins = resolve));
    const ended = this.#ask(queryFrame(sql));
    await Promise.race([begun, ended]);
    return {
      write: async (frames) => {
        if (!this.#socket.write(frames)) await once(this.#socket, "drain");
      },
      end: async () => {
        this.#socket.write(frame("c"));
        await ended;
      },
    };
  }

  /** All that has come so far. */
  get bytesRead(): number {
    return this.#bytes;
  }

  close(): void {
    this.#socket.end(terminateFrame());
  }

  #ask(bytes: Buffer, left = 1): Promise<number> {
    this.#rows = 0;
    this.#error = undefined;
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject, left };
      this.#socket.write(bytes);
    });
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const bytes =
      this.#partialHeader.length === 0 ? chunk : Buffer.concat([this.#partialHeader, chunk]);
    let at = Math.min(this.#bodyLeft, bytes.length);
    this.#bodyLeft -= at;
    if (this.#bodyLeft === 0 && at > 0) this.#ended();
    while (this.#bodyLeft === 0 && bytes.length - at >= HEADER_BYTES) {
      this.#frameType = bytes.readUInt8(at);
      const bodyBytes = bytes.readUInt32BE(at + 1) - 4;
      const body = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + bodyBytes);
      if (this.#frameType === ERROR_RESPONSE) this.#error = new Error(body.toString());
      at += HEADER_BYTES + body.length;
      this.#bodyLeft = bodyBytes - body.length;
      if (this.#bodyLeft === 0) this.#ended();
    }
    this.#partialHeader = bytes.subarray(at);
  }

  #ended(): void {
    if (this.#frameType === DATA_ROW || this.#frameType === COPY_DATA) this.#rows += 1;
    if (this.#frameType === COPY_IN_RESPONSE) this.#copyInBegins?.();
    if (this.#frameType !== READY_FOR_QUERY) return;
    const answer = this.#answer;
    if (answer === undefined) return;
    answer.left -= 1;
    if (answer.left > 0) return;
    this.#answer = undefined;
    if (this.#error === undefined) answer.resolve(this.#rows);
    else answer.reject(this.#error);
  }
}
