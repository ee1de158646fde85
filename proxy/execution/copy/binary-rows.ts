/**
 * Rows of COPY in binary format (manual: "COPY", "Binary Format"): a header, tuples of length-counted
 * fields, a trailer.
 */
import { SqlError } from "../../../base/sql-error.ts";
import { ArrivedBytes } from "../../protocol/arrived-bytes.ts";
import type { CopyField, CopyRow, CopyRowReader } from "./copy-format.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const FLAGS_BYTES = 4;
const EXTENSION_LENGTH_BYTES = 4;
const HEADER_BYTES = SIGNATURE.length + FLAGS_BYTES + EXTENSION_LENGTH_BYTES;
const TRAILER_COUNT = -1;
/** Bit 16 once said that rows have OIDs; bits above it are critical: a reader that does not know them must give up. */
const CRITICAL_FLAGS = 0xffff0000;

/** What each placement's stream begins and ends with. */
export const BINARY_HEADER = Buffer.concat([
  SIGNATURE,
  Buffer.alloc(FLAGS_BYTES + EXTENSION_LENGTH_BYTES),
]);
export const BINARY_TRAILER = Buffer.from([0xff, 0xff]);

export class BinaryRows implements CopyRowReader {
  readonly #wanted: readonly number[];
  readonly #table: string;
  readonly #arrived = new ArrivedBytes();
  #state: "header" | "rows" | "ended" = "header";
  #row = 0;

  /** `wanted`: the fields to give, by index. */
  constructor(wanted: readonly number[], table: string) {
    this.#table = table;
    this.#wanted = wanted;
  }

  get pendingBytes(): number {
    return this.#arrived.length;
  }

  *push(bytes: Buffer): Generator<CopyRow> {
    if (this.#state === "ended") {
      if (bytes.length > 0) this.#malformed("received copy data after EOF marker");
      return;
    }
    this.#arrived.append(bytes);
    if (this.#state === "header" && !this.#readHeader()) return;
    for (let row = this.#next(); row !== undefined; row = this.#next()) yield row;
    if (this.#hasEnded() && this.#arrived.length > 0)
      this.#malformed("received copy data after EOF marker");
  }

  end(): readonly CopyRow[] {
    if (this.#state === "header") this.#malformed("COPY file signature not recognized");
    if (this.#arrived.length > 0) this.#malformed("unexpected EOF in COPY data");
    return [];
  }

  #unread(): Buffer {
    const { bytes, start, end } = this.#arrived;
    return bytes.subarray(start, end);
  }

  #hasEnded(): boolean {
    return this.#state === "ended";
  }

  #readHeader(): boolean {
    const bytes = this.#unread();
    const known = Math.min(bytes.length, SIGNATURE.length);
    if (!bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known)))
      this.#malformed("COPY file signature not recognized");
    if (bytes.length < HEADER_BYTES) return false;
    if ((bytes.readUInt32BE(SIGNATURE.length) & CRITICAL_FLAGS) !== 0)
      this.#malformed("unrecognized critical flags in COPY file header");
    const extension = bytes.readInt32BE(SIGNATURE.length + FLAGS_BYTES);
    if (extension < 0) this.#malformed("invalid COPY file header (missing length)");
    if (bytes.length < HEADER_BYTES + extension) return false;
    this.#arrived.consume(HEADER_BYTES + extension);
    this.#state = "rows";
    return true;
  }

  #next(): CopyRow | undefined {
    const bytes = this.#unread();
    if (this.#state === "ended" || bytes.length < 2) return undefined;
    const count = bytes.readInt16BE(0);
    if (count === TRAILER_COUNT) {
      this.#state = "ended";
      this.#arrived.consume(2);
      return undefined;
    }
    if (count < 0) this.#malformed("row field count is negative");
    const fields: (CopyField | undefined)[] = this.#wanted.map(() => undefined);
    let at = 2;
    for (let index = 0; index < count; index += 1) {
      if (at + 4 > bytes.length) return undefined;
      const length = bytes.readInt32BE(at);
      if (length < -1) this.#malformed("invalid field size");
      at += 4;
      const stop = at + Math.max(length, 0);
      if (stop > bytes.length) return undefined;
      const value = length === -1 ? null : bytes.subarray(at, stop);
      for (const [place, wanted] of this.#wanted.entries())
        if (wanted === index)
          fields[place] = { value, isQuoted: false, isDefault: false, start: at, stop };
      at = stop;
    }
    this.#row += 1;
    this.#arrived.consume(at);
    return { bytes: bytes.subarray(0, at), end: at, line: this.#row, lines: 1, fields };
  }

  /** Of the header, which is on no line, PostgreSQL gives no context. */
  #malformed(message: string): never {
    const context =
      this.#state === "header" ? undefined : `COPY ${this.#table}, line ${this.#row + 1}`;
    throw new SqlError("copy_data_malformed", message, { context });
  }
}
