/**
 * Writes frames one after another into one buffer, which then is sent as one write.
 *
 * Memory is taken from an arena that is only ever written forward: what `take` hands out
 * is a view that no later frame overwrites, so a socket may keep it for as long as it
 * likes, and a short message costs no allocation. It knows nothing of messages.
 */
import { invariant } from "../../base/invariant.ts";

/** Some hundred short messages; a larger one gets an arena that doubles until it fits, and serves it alone. */
const ARENA_BYTES = 16 * 1024;

/** Characters of a text, a name for the most, that are written one by one: quicker than the calls that write it whole. */
const LOOP_LENGTH_MAX = 48;

const NO_ARENA = Buffer.alloc(0);

export class FrameWriter {
  #arena: Buffer = NO_ARENA;
  /** Bytes in `[#taken, #offset)` are written and not taken yet. */
  #taken = 0;
  #offset = 0;
  /** Where the open frame's length stands, or undefined between frames. */
  #lengthAt: number | undefined;

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#offset - this.#taken;
  }

  /** Opens a frame: see message-type.ts for the types. */
  begin(type: number): this {
    this.#open();
    return this.byte(type).#placeLength();
  }

  /** Opens a packet of the start-up phase, which has a length and no type. */
  beginUntyped(): this {
    this.#open();
    return this.#placeLength();
  }

  byte(value: number): this {
    const at = this.#reserve(1);
    this.#arena[at] = value;
    return this;
  }

  /** One ASCII character. */
  char(character: string): this {
    return this.byte(character.charCodeAt(0));
  }

  /** Signed or unsigned alike: the low 16 bits. */
  int16(value: number): this {
    const at = this.#reserve(2);
    this.#arena[at] = value >>> 8;
    this.#arena[at + 1] = value;
    return this;
  }

  /** Signed or unsigned alike: the low 32 bits. */
  int32(value: number): this {
    const at = this.#reserve(4);
    this.#arena.writeInt32BE(value | 0, at);
    return this;
  }

  /** UTF-8 and a terminating zero. */
  cstring(text: string): this {
    if (text.length <= LOOP_LENGTH_MAX && this.#ascii(text)) return this;
    invariant(!text.includes("\0"), "a string in a message holds no zero byte");
    const bytes = Buffer.byteLength(text);
    const at = this.#reserve(bytes + 1);
    this.#arena.write(text, at, bytes, "utf8");
    this.#arena[at + bytes] = 0;
    return this;
  }

  /** False, with nothing written, for a text that has anything but ASCII in it. */
  #ascii(text: string): boolean {
    const { length } = text;
    const at = this.#reserve(length + 1);
    const arena = this.#arena;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code === 0 || code >= 0x80) {
        this.#offset = at;
        return false;
      }
      arena[at + index] = code;
    }
    arena[at + length] = 0;
    return true;
  }

  bytes(bytes: Buffer): this {
    const at = this.#reserve(bytes.length);
    bytes.copy(this.#arena, at);
    return this;
  }

  /** A value behind its int32 length; null is -1 and nothing. */
  value(value: Buffer | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).bytes(value);
  }

  /** Closes the frame by filling in its length. */
  end(): this {
    invariant(this.#lengthAt !== undefined, "a frame is begun before it ends");
    this.#arena.writeInt32BE(this.#offset - this.#lengthAt, this.#lengthAt);
    this.#lengthAt = undefined;
    return this;
  }

  /** All frames written since the last `take`; the writer goes on empty. */
  take(): Buffer {
    invariant(this.#lengthAt === undefined, "only whole frames are taken");
    const bytes = this.#arena.subarray(this.#taken, this.#offset);
    if (this.#arena.length > ARENA_BYTES) this.#clear();
    else this.#taken = this.#offset;
    return bytes;
  }

  /** Nothing is written, not even the open frame. */
  #clear(): void {
    this.#arena = NO_ARENA;
    this.#taken = this.#offset = 0;
    this.#lengthAt = undefined;
  }

  /** Bytes of one message, whatever has become of those before. */
  message<Message>(
    encode: (message: Message, writer: FrameWriter) => void,
    message: Message,
  ): Buffer {
    try {
      encode(message, this);
      return this.take();
    } catch (error) {
      this.#clear();
      throw error;
    }
  }

  #open(): void {
    invariant(this.#lengthAt === undefined, "frames do not nest");
  }

  #placeLength(): this {
    this.#lengthAt = this.#reserve(4);
    return this;
  }

  /** Where the next bytes go. It may replace the arena, so that is read only after. */
  #reserve(count: number): number {
    const at = this.#offset;
    if (at + count > this.#arena.length) return this.#renew(count);
    this.#offset = at + count;
    return at;
  }

  #renew(count: number): number {
    const written = this.length;
    const arena = Buffer.allocUnsafeSlow(Math.max(ARENA_BYTES, 2 * (written + count)));
    this.#arena.copy(arena, 0, this.#taken, this.#offset);
    if (this.#lengthAt !== undefined) this.#lengthAt -= this.#taken;
    this.#arena = arena;
    this.#taken = 0;
    this.#offset = written + count;
    return written;
  }
}

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

/** One message as bytes of its own, where no writer is at hand: `encodeToBuffer(encodeSync, { kind: "sync" })`. */
export function encodeToBuffer<Message>(
  encode: (message: Message, writer: FrameWriter) => void,
  message: Message,
): Buffer {
  return WRITER.message(encode, message);
}
