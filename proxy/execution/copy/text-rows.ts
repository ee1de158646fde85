/**
 * Rows of COPY in text format: one a line, fields between delimiters, backslash escapes
 * (manual: "COPY", "Text Format"; copyfromparse.c, CopyReadLineText and CopyReadAttributesText).
 *
 * A line ends as the first one did: `\n`, `\r\n` or `\r`. An escaped end of line belongs to the field.
 */
import { LineSplitter, type Line } from "./line-splitter.ts";
import type { CopyField, CopyFormat, CopyRow, CopyRowReader } from "./copy-format.ts";
import { BACKSLASH } from "./copy-format.ts";

type TextFormat = Extract<CopyFormat, { kind: "text" }>;

const END_OF_DATA = Buffer.from("\\.");

export class TextRows implements CopyRowReader {
  readonly #format: TextFormat;
  readonly #wanted: readonly number[];
  readonly #lines: LineSplitter;
  #isEnded = false;

  /** `wanted`: the fields to give, by index. */
  constructor(format: TextFormat, wanted: readonly number[], table: string) {
    this.#format = format;
    this.#wanted = wanted;
    this.#lines = new LineSplitter({ kind: "text" }, table);
  }

  get pendingBytes(): number {
    return this.#lines.pendingBytes;
  }

  *push(bytes: Buffer): Generator<CopyRow> {
    for (const line of this.#lines.push(bytes)) yield* this.#row(line);
  }

  *end(): Generator<CopyRow> {
    const last = this.#lines.end();
    if (last !== undefined) yield* this.#row(last);
  }

  /** After the end-of-data mark whatever comes is dropped, as PostgreSQL drops it. */
  *#row({ bytes, end, lines, number }: Line): Generator<CopyRow> {
    if (this.#isEnded) return;
    if (end === END_OF_DATA.length && bytes.subarray(0, end).equals(END_OF_DATA)) {
      this.#isEnded = true;
      return;
    }
    yield { bytes, end, line: number, lines, fields: this.#fields(bytes, end) };
  }

  #fields(bytes: Buffer, end: number): readonly (CopyField | undefined)[] {
    const found: (CopyField | undefined)[] = this.#wanted.map(() => undefined);
    let start = 0;
    for (let index = 0; found.includes(undefined) && start <= end; index += 1) {
      const stop = this.#fieldEnd(bytes, start, end);
      for (const [at, wanted] of this.#wanted.entries())
        if (wanted === index) found[at] = this.#field(bytes, start, stop);
      start = stop + 1;
    }
    return found;
  }

  /** A delimiter after a backslash is data. */
  #fieldEnd(bytes: Buffer, start: number, end: number): number {
    const { delimiter } = this.#format;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at += 1;
      else if (byte === delimiter) return at;
    }
    return end;
  }

  /** NULL and DEFAULT are told by the text as it stands, before escapes are taken away. */
  #field(bytes: Buffer, start: number, stop: number): CopyField {
    const { nullText, defaultText } = this.#format;
    const raw = bytes.subarray(start, stop);
    const isNull = raw.equals(nullText);
    const isDefault = !isNull && defaultText !== undefined && raw.equals(defaultText);
    return { value: isNull ? null : unescaped(raw), isQuoted: false, isDefault, start, stop };
  }
}

const CONTROL: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };

function unescaped(raw: Buffer): Buffer {
  if (!raw.includes(BACKSLASH)) return raw;
  const bytes: number[] = [];
  for (let at = 0; at < raw.length; at += 1) {
    const byte = raw[at] ?? 0;
    if (byte !== BACKSLASH || at + 1 >= raw.length) {
      bytes.push(byte);
      continue;
    }
    at += 1;
    const code = numeric(raw, at);
    if (code === undefined) {
      const escaped = raw[at] ?? 0;
      bytes.push(CONTROL[String.fromCharCode(escaped)] ?? escaped);
    } else {
      bytes.push(code.value);
      at += code.length - 1;
    }
  }
  return Buffer.from(bytes);
}

/** `\o`, `\oo`, `\ooo` in octal, `\xh` and `\xhh` in hexadecimal; undefined for anything else. */
function numeric(raw: Buffer, at: number): { value: number; length: number } | undefined {
  const text = raw.toString("latin1", at, at + 3);
  const octal = /^[0-7]{1,3}/.exec(text);
  if (octal !== null)
    return { value: Number.parseInt(octal[0], 8) & 0xff, length: octal[0].length };
  const hex = /^x([0-9a-fA-F]{1,2})/.exec(text);
  if (hex?.[1] === undefined) return undefined;
  return { value: Number.parseInt(hex[1], 16), length: hex[0].length };
}
