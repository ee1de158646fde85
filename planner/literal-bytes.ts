/**
 * Finds the literals of a template's texts in the bytes of one of them, without making a string of it:
 * the way that literal-shape.ts finds them, byte by byte. That they are UTF-8, nobody has looked at yet.
 */
import { isUtf8 } from "node:buffer";
import type { LiteralKind, LiteralShape } from "./literal-shape.ts";

const QUOTE = 0x27;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const WHOLE_DIGITS_MAX = 9;
const FRACTION_DIGITS_MAX = 9;

export class LiteralBytes {
  /** One more than literals. */
  readonly pieces: readonly Buffer[];
  readonly #kinds: readonly LiteralKind[];
  /** Where each literal begins and ends in the text that was matched last. */
  readonly spans: Int32Array;

  constructor({ pieces, kinds }: LiteralShape) {
    this.pieces = pieces.map((piece) => Buffer.from(piece));
    this.#kinds = kinds;
    this.spans = new Int32Array(2 * kinds.length);
  }

  /** Whether `bytes[start, end)` is a text of the shape; then `spans` tell where its literals are. */
  matches(bytes: Buffer, start: number, end: number): boolean {
    const { pieces, spans } = this;
    const kinds = this.#kinds;
    let at = behind(pieces[0], bytes, start, end);
    for (let index = 0; index < kinds.length && at >= 0; index++) {
      spans[2 * index] = at;
      at =
        kinds[index] === "string" ? stringEnd(bytes, at, end) : this.#number(index, bytes, at, end);
      spans[2 * index + 1] = at;
      if (at >= 0) at = behind(pieces[index + 1], bytes, at, end);
    }
    return at === end;
  }

  #number(index: number, bytes: Buffer, start: number, end: number): number {
    const whole = digitsEnd(bytes, start, end);
    const digits = whole - start;
    const isPlain =
      digits === 1 || (digits > 1 && digits <= WHOLE_DIGITS_MAX && bytes[start] !== ZERO);
    if (!isPlain) return -1;
    const hasDot = whole < end && bytes[whole] === DOT;
    if (this.#kinds[index] === "whole") return hasDot ? -1 : whole;
    if (!hasDot) return -1;
    const fraction = digitsEnd(bytes, whole + 1, end);
    const count = fraction - whole - 1;
    const isEnded = fraction === end || bytes[fraction] !== DOT;
    return isEnded && count >= 1 && count <= FRACTION_DIGITS_MAX ? fraction : -1;
  }
}

/** Behind the piece that begins at `start`; -1 where another stands there. */
function behind(piece: Buffer | undefined, bytes: Buffer, start: number, end: number): number {
  if (piece === undefined) return -1;
  const { length } = piece;
  if (start + length > end) return -1;
  for (let index = 0; index < length; index++) if (bytes[start + index] !== piece[index]) return -1;
  return start + length;
}

/** Behind the closing quote; -1 where there is none, or something in it that may mean more than itself. */
function stringEnd(bytes: Buffer, start: number, end: number): number {
  if (start >= end || bytes[start] !== QUOTE) return -1;
  let isAscii = true;
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return isAscii || isUtf8(bytes.subarray(start, at)) ? at + 1 : -1;
    if (byte === BACKSLASH || byte === 0) return -1;
    if (byte >= 0x80) isAscii = false;
  }
  return -1;
}

function digitsEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] ?? 0) >= ZERO && (bytes[at] ?? 0) <= NINE) at += 1;
  return at;
}
