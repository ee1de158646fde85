/**
 * Cuts a byte stream into PostgreSQL v3 frames.
 *
 *     ┌────────┬──────────────┬──────────────────┐
 *     │ type   │ length       │ body             │
 *     │ 1 byte │ i32, network │ length - 4 bytes │   the length counts itself, not the type
 *     └────────┴──────────────┴──────────────────┘
 *
 * It knows nothing of messages: what it hands out may still be malformed inside. A body is
 * a view, so a relay forwards it without a copy; keeping one keeps its whole chunk.
 * Startup packets have no type byte and are read by startup.ts.
 */
import { ProtocolViolation } from "../../base/sql-error.ts";
import { ArrivedBytes } from "./arrived-bytes.ts";

/** Bytes of a frame before its body: the type and the length. */
export const FRAME_HEADER_BYTES = 5;

export interface Frame {
  /** The character code of the message's type: see message-type.ts. */
  readonly type: number;
  readonly body: Buffer;
}

export class FrameReader {
  readonly #arrived = new ArrivedBytes();
  #bodyBytesMax: number;

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Bytes that arrived and were not handed out yet. */
  get bufferedBytes(): number {
    return this.#arrived.length;
  }

  /** What has arrived and was not handed out, for whoever reads frames by himself and then skips them. */
  get arrived(): { readonly bytes: Buffer; readonly start: number; readonly end: number } {
    return this.#arrived;
  }

  /** Whole frames that were read in `arrived`. */
  skip(bytes: number): void {
    this.#arrived.consume(bytes);
  }

  /** Holds from the next frame on. */
  setBodyBytesMax(bodyBytesMax: number): void {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Takes the chunk over: the caller must not write into it again. */
  append(chunk: Buffer): void {
    this.#arrived.append(chunk);
  }

  /** Lets go of the memory where all was handed out. */
  clear(): void {
    this.#arrived.clear();
  }

  /** The next whole frame, or undefined until more is appended. Throws ProtocolViolation, and then for good. */
  next(): Frame | undefined {
    const arrived = this.#arrived;
    if (arrived.length < FRAME_HEADER_BYTES) return undefined;
    const { bytes, start } = arrived;
    const bodyBytes = frameBodyBytes(bytes, start, this.#bodyBytesMax);
    const frameBytes = FRAME_HEADER_BYTES + bodyBytes;
    if (arrived.length < frameBytes) return undefined;
    arrived.consume(frameBytes);
    return {
      type: bytes.readUInt8(start),
      body: bytes.subarray(start + FRAME_HEADER_BYTES, start + frameBytes),
    };
  }
}

/** The body length of the frame whose header stands at `start`; all five bytes must be there. */
export function frameBodyBytes(bytes: Buffer, start: number, bodyBytesMax: number): number {
  const bodyBytes = bytes.readInt32BE(start + 1) - 4;
  if (bodyBytes < 0) throw new ProtocolViolation("invalid message length");
  if (bodyBytes > bodyBytesMax) {
    throw new ProtocolViolation(
      `message of ${bodyBytes} bytes exceeds the limit of ${bodyBytesMax} bytes`,
    );
  }
  return bodyBytes;
}
