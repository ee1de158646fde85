/**
 * The bytes of a stream that have arrived and were not read yet, as one contiguous view.
 *
 * A chunk is adopted without a copy while nothing is unread. A partial frame is joined with
 * what follows it in a buffer that doubles, so a frame of n bytes costs O(n) copied bytes
 * however finely it is cut. Memory follows what arrived, never what a length field claims:
 * the buffer holds at most twice the bytes received.
 *
 * Views handed out stay valid: bytes before `start` are never written again, since the
 * buffer is replaced and not compacted. It knows nothing of frames.
 */

/** Room for some short messages, so that a stream of single bytes does not allocate for each. */
const CAPACITY_BYTES_MIN = 256;

const NOTHING = Buffer.alloc(0);

export class ArrivedBytes {
  /** Unread bytes are `bytes[start, end)`; what lies behind `end` is spare room. */
  bytes: Buffer = NOTHING;
  start = 0;
  end = 0;
  /** False while `bytes` is a caller's chunk, whose tail is not ours to write. */
  #isOwned = false;

  get length(): number {
    return this.end - this.start;
  }

  /** Takes the chunk over: the caller must not write into it again. */
  append(chunk: Buffer): void {
    const unread = this.length;
    if (unread === 0) {
      this.bytes = chunk;
      this.start = 0;
      this.end = chunk.length;
      this.#isOwned = false;
      return;
    }
    if (!this.#isOwned || this.end + chunk.length > this.bytes.length) {
      this.#grow(unread, chunk.length);
    }
    chunk.copy(this.bytes, this.end);
    this.end += chunk.length;
  }

  consume(count: number): void {
    this.start += count;
  }

  /** Forgets what is unread, and lets go of the memory. */
  clear(): void {
    this.bytes = NOTHING;
    this.start = 0;
    this.end = 0;
    this.#isOwned = false;
  }

  #grow(unread: number, more: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(CAPACITY_BYTES_MIN, 2 * unread, unread + more));
    this.bytes.copy(grown, 0, this.start, this.end);
    this.bytes = grown;
    this.start = 0;
    this.end = unread;
    this.#isOwned = true;
  }
}
