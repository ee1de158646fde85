/**
 * Reads the fields of one message body. Every read is checked against what is left, so a
 * decoder needs no bounds of its own; what a peer got wrong is a ProtocolViolation, worded
 * as PostgreSQL's pqformat.c words it.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";

export class BodyReader {
  readonly #body: Buffer;
  #offset = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get remaining(): number {
    return this.#body.length - this.#offset;
  }

  /** One byte as the character it is: `S` or `P` in Describe. */
  char(): string {
    return String.fromCharCode(this.uint8());
  }

  uint8(): number {
    return this.#body.readUInt8(this.#advance(1));
  }

  int8(): number {
    return this.#body.readInt8(this.#advance(1));
  }

  int16(): number {
    return this.#body.readInt16BE(this.#advance(2));
  }

  /** Counts are unsigned: a Bind may carry 65,535 parameters. */
  uint16(): number {
    return this.#body.readUInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#advance(4));
  }

  uint32(): number {
    return this.#body.readUInt32BE(this.#advance(4));
  }

  uint64(): bigint {
    return this.#body.readBigUInt64BE(this.#advance(8));
  }

  /** A zero-terminated UTF-8 string. Throws SqlError where it is none: replacing bytes would change what was said. */
  cstring(): string {
    const bytes = this.cstringBytes();
    const text = bytes.toString("utf8");
    if (text.includes("\uFFFD") && !isUtf8(bytes)) throw invalidUtf8();
    return text;
  }

  /** For what people read and no program compares: bytes that are no UTF-8 become U+FFFD. */
  cstringLossy(): string {
    return this.cstringBytes().toString("utf8");
  }

  /** A view of the bytes before the terminating zero. */
  cstringBytes(): Buffer {
    const end = this.#body.indexOf(0, this.#offset);
    if (end < 0) throw new ProtocolViolation("invalid string in message");
    const bytes = this.#body.subarray(this.#offset, end);
    this.#offset = end + 1;
    return bytes;
  }

  /** A view of the next bytes. */
  bytes(count: number): Buffer {
    const start = this.#advance(count);
    return this.#body.subarray(start, start + count);
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** A value behind its int32 length; -1 is NULL. */
  value(): Buffer | null {
    const length = this.int32();
    if (length === -1) return null;
    if (length < 0) throw new ProtocolViolation("insufficient data left in message");
    return this.bytes(length);
  }

  /** States that the message ends here. */
  end(): void {
    if (this.remaining !== 0) throw new ProtocolViolation("invalid message format");
  }

  #advance(count: number): number {
    const start = this.#offset;
    if (count > this.#body.length - start) {
      throw new ProtocolViolation("insufficient data left in message");
    }
    this.#offset = start + count;
    return start;
  }
}

function invalidUtf8(): SqlError {
  return new SqlError("invalid_byte_sequence", 'invalid byte sequence for encoding "UTF8"');
}
