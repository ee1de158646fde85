/**
 * Walks and writes DataRow frames inside runs.
 *
 *     ┌─────┬────────┬────────┬──────────┬─────────┬─────
 *     │ 'D' │ length │ fields │ length 1 │ value 1 │ ...      a length of -1 is NULL
 *     │ u8  │ u32    │ u16    │ i32      │         │          and has no value
 *     └─────┴────────┴────────┴──────────┴─────────┴─────
 *
 * Protocol manual, "Message Formats", DataRow. It knows nothing of types: values stay bytes.
 */
import { invariant } from "../../../base/invariant.ts";
import { GATHER_RUN_BYTES } from "../../../base/limits.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import type { DataRowRun } from "../shard-rows.ts";

const DATA_ROW_TYPE = 0x44;
/** Type byte, length, field count. */
const ROW_HEADER_BYTES = 7;

/** Where the row that starts at `start` ends. */
export function rowEnd(bytes: Buffer, start: number): number {
  if (start + ROW_HEADER_BYTES > bytes.length || bytes[start] !== DATA_ROW_TYPE) {
    throw new ProtocolViolation("a run of rows holds something that is no whole DataRow");
  }
  const length = bytes.readUInt32BE(start + 1);
  const end = start + 1 + length;
  if (length < ROW_HEADER_BYTES - 1 || end > bytes.length) {
    throw new ProtocolViolation(`DataRow of ${length} bytes does not fit its run`);
  }
  return end;
}

/** Where the fields of one row lie. Made once for a result's columns and filled for each row. */
export interface FieldSpans {
  /** Where the value of each field begins. */
  readonly starts: Int32Array;
  /** Its bytes, or -1 for NULL. */
  readonly lengths: Int32Array;
}

export function fieldSpans(columnCount: number): FieldSpans {
  return { starts: new Int32Array(columnCount), lengths: new Int32Array(columnCount) };
}

/** Finds the fields of the row bytes[start, end). */
export function locateFields(bytes: Buffer, start: number, end: number, spans: FieldSpans): void {
  const count = bytes.readUInt16BE(start + 5);
  if (count !== spans.starts.length) {
    throw new ProtocolViolation(
      `DataRow has ${count} fields, its RowDescription ${spans.starts.length}`,
    );
  }
  let position = start + ROW_HEADER_BYTES;
  for (let field = 0; field < count; field++) {
    if (position + 4 > end) throw new ProtocolViolation("DataRow ends inside a field's length");
    const length = bytes.readInt32BE(position);
    if (length < -1 || position + 4 + length > end) {
      throw new ProtocolViolation(`DataRow field of ${length} bytes does not fit its row`);
    }
    position += 4;
    spans.starts[field] = position;
    spans.lengths[field] = length;
    if (length > 0) position += length;
  }
  if (position !== end) throw new ProtocolViolation("DataRow is longer than its fields");
}

/** A copy of one field's value, or null for NULL: kept after its run is gone. */
export function copyField(bytes: Buffer, spans: FieldSpans, field: number): Buffer | null {
  const length = spans.lengths[field] ?? -1;
  if (length === -1) return null;
  const start = spans.starts[field] ?? 0;
  return Buffer.from(bytes.subarray(start, start + length));
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * Collects rows into one run. What `take` gives is never written to again. Rows that lie one
 * behind the other are copied at once, and not at all where they are the whole run.
 */
export class RunWriter {
  #chunk: Buffer = NO_BYTES;
  #start = 0;
  #end = 0;
  #count = 0;
  /** Rows appended last and not copied yet: source[sourceStart, sourceEnd). */
  #source: Buffer = NO_BYTES;
  #sourceStart = 0;
  #sourceEnd = 0;

  /** Bytes not taken yet. */
  get byteLength(): number {
    return this.#end - this.#start + this.#sourceEnd - this.#sourceStart;
  }

  get isFull(): boolean {
    return this.byteLength >= GATHER_RUN_BYTES;
  }

  /** Takes the row bytes[start, end) as it is. The bytes must not change any more. */
  appendRow(bytes: Buffer, start: number, end: number): void {
    if (bytes !== this.#source || start !== this.#sourceEnd) {
      this.#copySource();
      this.#source = bytes;
      this.#sourceStart = start;
    }
    this.#sourceEnd = end;
    this.#count++;
  }

  /** Copies a located row's first `keptColumns` columns; the rest are left out. */
  appendLeadingFields(
    bytes: Buffer,
    rowStart: number,
    spans: FieldSpans,
    keptColumns: number,
  ): void {
    invariant(keptColumns < spans.starts.length, "a row is cut only where columns are left out");
    const keptEnd = (spans.starts[keptColumns] ?? 0) - 4;
    const length = keptEnd - rowStart;
    const target = this.#room(length);
    bytes.copy(this.#chunk, target, rowStart, keptEnd);
    this.#chunk.writeUInt32BE(length - 1, target + 1);
    this.#chunk.writeUInt16BE(keptColumns, target + 5);
    this.#count++;
  }

  /** Writes a row of whole values. */
  appendFields(fields: readonly (Buffer | null)[]): void {
    let length = ROW_HEADER_BYTES;
    for (const field of fields) length += 4 + (field?.length ?? 0);
    let position = this.#room(length);
    position = this.#chunk.writeUInt8(DATA_ROW_TYPE, position);
    position = this.#chunk.writeUInt32BE(length - 1, position);
    position = this.#chunk.writeUInt16BE(fields.length, position);
    for (const field of fields) {
      position = this.#chunk.writeInt32BE(field === null ? -1 : field.length, position);
      if (field !== null) position += field.copy(this.#chunk, position);
    }
    this.#count++;
  }

  /** The rows written since the last call, or undefined when there are none. */
  take(): DataRowRun | undefined {
    if (this.#count === 0) return undefined;
    const count = this.#count;
    this.#count = 0;
    if (this.#end === this.#start) {
      const bytes = this.#source.subarray(this.#sourceStart, this.#sourceEnd);
      this.#dropSource();
      return { bytes, count };
    }
    this.#copySource();
    const bytes = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return { bytes, count };
  }

  #copySource(): void {
    const length = this.#sourceEnd - this.#sourceStart;
    if (length === 0) return;
    const target = this.#reserve(length);
    this.#source.copy(this.#chunk, target, this.#sourceStart, this.#sourceEnd);
    this.#dropSource();
  }

  #dropSource(): void {
    this.#source = NO_BYTES;
    this.#sourceStart = 0;
    this.#sourceEnd = 0;
  }

  /** Room behind all rows so far. */
  #room(length: number): number {
    this.#copySource();
    return this.#reserve(length);
  }

  /** Reserves `length` bytes and gives their offset in the chunk. */
  #reserve(length: number): number {
    if (this.#end + length > this.#chunk.length) this.#grow(length);
    const target = this.#end;
    this.#end += length;
    return target;
  }

  #grow(length: number): void {
    const unread = this.#chunk.subarray(this.#start, this.#end);
    // Twice what is in it, so that rows nobody takes are copied once or twice and not for each row.
    const chunk = Buffer.allocUnsafe(Math.max(2 * GATHER_RUN_BYTES, 2 * unread.length + length));
    unread.copy(chunk);
    this.#chunk = chunk;
    this.#start = 0;
    this.#end = unread.length;
  }
}
