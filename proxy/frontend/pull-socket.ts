/**
 * A socket during start-up and authentication: read by as many bytes as the next packet
 * has and no more. What follows stays in the socket, where the TLS handshake or the
 * client's connection picks it up, and where its size is bounded.
 */
import type { Socket } from "node:net";
import { UNAUTHENTICATED_FRAME_BYTES_MAX } from "../../base/limits.ts";
import { FRAME_HEADER_BYTES, frameBodyBytes } from "../protocol/frame-reader.ts";
import type { Frame } from "../protocol/frame-reader.ts";
import { startupPacketBytes } from "../protocol/startup.ts";

const STARTUP_LENGTH_BYTES = 4;

export class PullSocket {
  readonly socket: Socket;
  readonly #signal: AbortSignal;

  /** Every read rejects with the signal's reason once it is aborted. */
  constructor(socket: Socket, signal: AbortSignal) {
    this.socket = socket;
    this.#signal = signal;
  }

  /** Bytes that have arrived and were not read. */
  get unreadBytes(): number {
    return this.socket.readableLength;
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** A whole start-up packet with its length; undefined where the peer went away first. */
  async startupPacket(): Promise<Buffer | undefined> {
    const length = await this.read(STARTUP_LENGTH_BYTES);
    if (length === undefined) return undefined;
    const contentBytes = (startupPacketBytes(length) ?? 0) - STARTUP_LENGTH_BYTES;
    const content = await this.read(contentBytes);
    return content && Buffer.concat([length, content]);
  }

  /** A whole frame; undefined where the peer went away first. */
  async frame(): Promise<Frame | undefined> {
    const header = await this.read(FRAME_HEADER_BYTES);
    if (header === undefined) return undefined;
    const bodyBytes = frameBodyBytes(header, 0, UNAUTHENTICATED_FRAME_BYTES_MAX);
    const body = bodyBytes === 0 ? Buffer.alloc(0) : await this.read(bodyBytes);
    return body && { type: header.readUInt8(0), body };
  }

  /** The first byte, left unread. */
  async firstByte(): Promise<number | undefined> {
    const byte = await this.read(1);
    if (byte !== undefined) this.socket.unshift(byte);
    return byte?.[0];
  }

  async read(count: number): Promise<Buffer | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      // At the end of the stream, `read` gives what is left, however little.
      const bytes = this.socket.read(count) as Buffer | null;
      if (bytes !== null) return bytes.length === count ? bytes : undefined;
      if (this.socket.readableEnded || this.socket.destroyed) return undefined;
      await readableOrClosed(this.socket, this.#signal);
    }
  }
}

/** Resolves when there is something new to know: bytes, the end, a failure, or the abort. */
function readableOrClosed(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off("readable", settle).off("end", settle).off("close", settle);
      signal.removeEventListener("abort", settle);
      resolve();
    };
    socket.on("readable", settle).on("end", settle).on("close", settle);
    signal.addEventListener("abort", settle);
  });
}
