/**
 * Cuts the bytes of a COPY in text or CSV format into lines (copyfromparse.c, CopyReadLineText).
 *
 * The first line's end, `\n`, `\r\n` or `\r`, is every line's. Another one that is not escaped or in
 * quotes is an error here as in PostgreSQL: each placement reads a part of the lines, and would
 * judge by the first of its own.
 */
import { SqlError } from "../../../base/sql-error.ts";
import { ArrivedBytes } from "../../protocol/arrived-bytes.ts";
import { BACKSLASH, CARRIAGE_RETURN, NEWLINE } from "./copy-format.ts";

export type LineSyntax =
  | { readonly kind: "text" }
  | { readonly kind: "csv"; readonly quote: number; readonly escape: number };

export interface Line {
  /** The line and its end. */
  readonly bytes: Buffer;
  /** Where its end begins, in `bytes`. */
  readonly end: number;
  /** How many lines of the data it is: more than one where a quoted field holds line ends. */
  readonly lines: number;
  /** Of its last line, counted from one: a row may have several. */
  readonly number: number;
}

const NO_BYTE = -1;

const NOTHING = Buffer.alloc(0);

type LineEnd = "\n" | "\r\n" | "\r";

export class LineSplitter {
  readonly #syntax: LineSyntax;
  #lineEnd: LineEnd | undefined;
  readonly #arrived = new ArrivedBytes();
  /** How many of the bytes that arrived have been looked at; what was found among them follows. */
  #scanned = 0;
  #isQuoted = false;
  #isEscaped = false;
  #number = 1;
  #linesWithin = 0;
  /** What has arrived, without spare room behind it: a search must not go on into that. */
  #view: Buffer = NOTHING;
  /** The bytes that mean something. */
  readonly #specials: readonly number[];
  /** Where each was found last, in `#view`; its end where there is none. Searched for again once passed. */
  readonly #foundAt: number[];
  readonly #table: string;

  /** `table`: for errors. */
  constructor(syntax: LineSyntax, table: string) {
    this.#syntax = syntax;
    this.#table = table;
    const own = syntax.kind === "text" ? [BACKSLASH] : [syntax.quote, syntax.escape];
    this.#specials = [...new Set([NEWLINE, CARRIAGE_RETURN, ...own])];
    this.#foundAt = this.#specials.map(() => NO_BYTE);
  }

  get pendingBytes(): number {
    return this.#arrived.length;
  }

  *push(bytes: Buffer): Generator<Line> {
    this.#arrived.append(bytes);
    this.#view = this.#arrived.bytes.subarray(0, this.#arrived.end);
    this.#foundAt.fill(NO_BYTE);
    for (let line = this.#next(false); line !== undefined; line = this.#next(false)) yield line;
  }

  /** The last line, where no end of line follows it. */
  end(): Line | undefined {
    const line = this.#next(true);
    if (line !== undefined) return line;
    if (this.#isQuoted) throw this.#malformed("unterminated CSV quoted field");
    const { length } = this.#arrived;
    return length === 0 ? undefined : this.#cut(length, length);
  }

  #next(isLast: boolean): Line | undefined {
    const { bytes, start, end } = this.#arrived;
    let at = start + this.#scanned;
    for (; at < end; at += 1) {
      const next = this.#nextSpecial(at);
      if (next > at) this.#isEscaped = false;
      at = next;
      if (at === end) break;
      const byte = bytes[at] ?? 0;
      if (byte === NEWLINE || byte === CARRIAGE_RETURN) {
        // Whether "\r" is a line's end can be told with the byte after it.
        if (byte === CARRIAGE_RETURN && at + 1 === end && !isLast) break;
        const length = this.#lineEndAt(bytes, at, end);
        if (length > 0) return this.#cut(at - start, at - start + length);
      }
      this.#step(byte);
    }
    this.#scanned = at - start;
    return undefined;
  }

  /**
   * Where the next byte is that means something, from `at` on. Each is searched for by itself and kept
   * until it is passed: what the data does not hold costs one search for all that has arrived, and a
   * line without escapes and quotes one of its own.
   */
  #nextSpecial(at: number): number {
    const found = this.#foundAt;
    let nearest = this.#view.length;
    for (let index = 0; index < found.length; index += 1) {
      let place = found[index] ?? NO_BYTE;
      if (place < at)
        found[index] = place = indexOrEnd(this.#view, this.#specials[index] ?? NO_BYTE, at);
      if (place < nearest) nearest = place;
    }
    return nearest;
  }

  /** What a byte means for those after it. */
  #step(byte: number): void {
    const { kind } = this.#syntax;
    if (kind === "text") {
      this.#isEscaped = byte === BACKSLASH && !this.#isEscaped;
      return;
    }
    // Only what is in quotes comes here, and is counted as PostgreSQL counts it.
    if (byte === (this.#lineEnd === "\n" ? NEWLINE : CARRIAGE_RETURN)) this.#linesWithin += 1;
    const { quote } = this.#syntax;
    // A quote that is its own escape is a toggle: two of them leave things as they were.
    const escape = this.#syntax.escape === quote ? NO_BYTE : this.#syntax.escape;
    if (this.#isQuoted && byte === escape) this.#isEscaped = !this.#isEscaped;
    if (byte === quote && !this.#isEscaped) this.#isQuoted = !this.#isQuoted;
    if (byte !== escape) this.#isEscaped = false;
  }

  /** Length of the line end that begins here; zero where it is data. */
  #lineEndAt(bytes: Buffer, at: number, end: number): number {
    if (this.#isQuoted || (this.#syntax.kind === "text" && this.#isEscaped)) return 0;
    const found = lineEndAt(bytes, at, end);
    this.#lineEnd ??= found;
    if (found === this.#lineEnd) return found.length;
    const isReturn = bytes[at] === CARRIAGE_RETURN;
    const how = this.#syntax.kind === "text" ? "literal" : "unquoted";
    throw this.#malformed(
      `${how} ${isReturn ? "carriage return" : "newline"} found in data`,
      this.#syntax.kind === "text"
        ? `Use "${isReturn ? "\\r" : "\\n"}" to represent it.`
        : "Use a quoted CSV field to represent it.",
    );
  }

  #malformed(message: string, hint?: string): SqlError {
    const context = `COPY ${this.#table}, line ${this.#number}`;
    return new SqlError("copy_data_malformed", message, { hint, context });
  }

  #cut(end: number, next: number): Line {
    const { start } = this.#arrived;
    const bytes = this.#arrived.bytes.subarray(start, start + next);
    this.#arrived.consume(next);
    this.#scanned = 0;
    this.#isEscaped = false;
    const number = this.#number + this.#linesWithin;
    const lines = 1 + this.#linesWithin;
    this.#number = number + 1;
    this.#linesWithin = 0;
    return { bytes, end, lines, number };
  }
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found < 0 ? bytes.length : found;
}

function lineEndAt(bytes: Buffer, at: number, end: number): LineEnd {
  if (bytes[at] === NEWLINE) return "\n";
  return at + 1 < end && bytes[at + 1] === NEWLINE ? "\r\n" : "\r";
}
