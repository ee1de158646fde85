/**
 * Rows of COPY in CSV format: fields between delimiters, quoted where they hold delimiters, line
 * ends or quotes (manual: "COPY", "CSV Format"; copyfromparse.c, CopyReadAttributesCSV).
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { CopyField, CopyFormat, CopyRow, CopyRowReader } from "./copy-format.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { Line } from "./line-splitter.ts";

type CsvFormat = Extract<CopyFormat, { kind: "csv" }>;

/** Up to PostgreSQL 17 it ends the data, from 18 on it is data: no row may depend on the server's version. */
const END_OF_DATA = "\\.";

export class CsvRows implements CopyRowReader {
  readonly #format: CsvFormat;
  readonly #wanted: readonly number[];
  readonly #table: string;
  readonly #lines: LineSplitter;

  /** `wanted`: the fields to give, by index. */
  constructor(format: CsvFormat, wanted: readonly number[], table: string) {
    this.#format = format;
    this.#wanted = wanted;
    this.#table = table;
    const { quote, escape } = format;
    this.#lines = new LineSplitter({ kind: "csv", quote, escape }, table);
  }

  get pendingBytes(): number {
    return this.#lines.pendingBytes;
  }

  *push(bytes: Buffer): Generator<CopyRow> {
    for (const line of this.#lines.push(bytes)) yield this.#row(line);
  }

  *end(): Generator<CopyRow> {
    const last = this.#lines.end();
    if (last !== undefined) yield this.#row(last);
  }

  #row({ bytes, end, lines, number }: Line): CopyRow {
    if (end === END_OF_DATA.length && bytes.toString("latin1", 0, end) === END_OF_DATA) {
      throw new SqlError("copy_data_malformed", 'a line of "\\." alone is not supported in CSV', {
        context: `COPY ${this.#table}, line ${number}`,
        hint: "Put the value in quotes. psql up to 17 sends the line behind data that stands in a script: use \\copy from a file.",
      });
    }
    return { bytes, end, line: number, lines, fields: this.#fields(bytes, end) };
  }

  #fields(bytes: Buffer, end: number): readonly (CopyField | undefined)[] {
    const found: (CopyField | undefined)[] = this.#wanted.map(() => undefined);
    let start = 0;
    for (let index = 0; found.includes(undefined) && start <= end; index += 1) {
      const field = this.#field(bytes, start, end);
      for (const [at, wanted] of this.#wanted.entries()) if (wanted === index) found[at] = field;
      start = field.stop + 1;
    }
    return found;
  }

  /** The field that begins at `start`; it stops at a delimiter or the line's end. */
  #field(bytes: Buffer, start: number, end: number): CopyField {
    const { delimiter, quote, escape, nullText, defaultText } = this.#format;
    const unquoted: number[] = [];
    let isInside = false;
    let isQuoted = false;
    let at = start;
    for (; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (!isInside && byte === delimiter) break;
      if (!isInside && byte === quote) {
        isInside = true;
        isQuoted = true;
      } else if (
        isInside &&
        byte === escape &&
        isEscapable(bytes[at + 1], at + 1 < end, quote, escape)
      ) {
        at += 1;
        unquoted.push(bytes[at] ?? 0);
      } else if (isInside && byte === quote) isInside = false;
      else unquoted.push(byte);
    }
    const bytesRead = Buffer.from(unquoted);
    const isNull = !isQuoted && bytesRead.equals(nullText);
    const isDefault =
      !isNull && defaultText !== undefined && bytes.subarray(start, at).equals(defaultText);
    const value = isNull ? null : bytesRead;
    return { value, isQuoted, isDefault, start, stop: at };
  }
}

/** An escape counts before a quote or another escape alone. */
function isEscapable(
  next: number | undefined,
  isWithin: boolean,
  quote: number,
  escape: number,
): boolean {
  return isWithin && (next === quote || next === escape);
}
