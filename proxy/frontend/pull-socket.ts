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

  /** So many bytes; undefined where the peer went away before they were there. */
  read(count: number): Promise<Buffer | undefined> {
    const { socket } = this;
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      // Listening starts once and lasts until the bytes are there: a listener added while some
      // bytes are unread is called at once, so adding one for each try would never rest.
      const attempt = (): void => {
        const bytes = signal.aborted ? null : (socket.read(count) as Buffer | null);
        const isOver = socket.readableEnded || socket.destroyed;
        if (bytes === null && !isOver && !signal.aborted) return;
        socket.off("readable", attempt).off("end", attempt).off("close", attempt);
        signal.removeEventListener("abort", attempt);
        if (signal.aborted) reject(signal.reason as Error);
        // At the end of the stream, `read` gives what is left, however little.
        else resolve(bytes?.length === count ? bytes : undefined);
      };
      socket.on("readable", attempt).on("end", attempt).on("close", attempt);
      signal.addEventListener("abort", attempt);
      attempt();
    });
  }
}
