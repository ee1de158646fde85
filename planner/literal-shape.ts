/**
 * What texts share that differ in literals alone: what stands around them, and of which kind each is.
 *
 * A literal is a whole number inside of integer, a plain decimal fraction, or a string without a
 * quote, a backslash or a zero byte in it, which is read alike under each spelling rule of strings. What stands around them is
 * the same character for character, so the tokens are the same, and each literal is of the same type.
 *
 * It knows no grammar: free-literals.ts tells which strings may differ at all.
 */
import { LITERAL_TEMPLATE_LENGTH_MAX, LITERAL_TEMPLATE_LITERALS_MAX } from "../base/limits.ts";
import { tokenize } from "./lexer.ts";

export type LiteralKind = "whole" | "decimal" | "string";

export interface LiteralShape {
  /** One more than literals. */
  readonly pieces: readonly string[];
  readonly kinds: readonly LiteralKind[];
}

/** A text's shape, and what it has for it. */
export interface ShapedText {
  readonly shape: LiteralShape;
  /** As written, strings in their quotes. */
  readonly literals: readonly string[];
}

/** As every session writes an integer: no sign, no leading zero, and inside of int4 whatever the digits. */
export const WHOLE_NUMBER = /^(?:0|[1-9][0-9]{0,8})$/;
/** Of type numeric, whatever the digits. */
const DECIMAL = /^(?:0|[1-9][0-9]{0,8})[.][0-9]{1,9}$/;
const STRING = /^'[^'\\\0]*'$/;

/** Undefined for a text that has no literals, too many, or is too long to be looked for by them. */
export function shapedText(text: string): ShapedText | undefined {
  if (text.length > LITERAL_TEMPLATE_LENGTH_MAX) return undefined;
  const pieces: string[] = [];
  const kinds: LiteralKind[] = [];
  const literals: string[] = [];
  let read = 0;
  for (const { kind, start, end } of tokenize(text)) {
    if (kind !== "number" && kind !== "string") continue;
    const literal = text.slice(start, end);
    const found = kindOf(literal);
    if (found === undefined) continue;
    pieces.push(text.slice(read, start));
    kinds.push(found);
    literals.push(literal);
    read = end;
  }
  if (kinds.length === 0 || kinds.length > LITERAL_TEMPLATE_LITERALS_MAX) return undefined;
  pieces.push(text.slice(read));
  return { shape: { pieces, kinds }, literals };
}

function kindOf(literal: string): LiteralKind | undefined {
  if (WHOLE_NUMBER.test(literal)) return "whole";
  if (STRING.test(literal)) return "string";
  return DECIMAL.test(literal) ? "decimal" : undefined;
}

const MARKS: Readonly<Record<LiteralKind, string>> = {
  whole: "\0w",
  decimal: "\0d",
  string: "\0s",
};

/** Another for each shape. No text has it in it: a message's string ends at a zero byte. */
export function shapeName({ pieces, kinds }: LiteralShape): string {
  return woven(
    pieces,
    kinds.map((kind) => MARKS[kind]),
  );
}

/** A text of its pieces. */
export function woven(pieces: readonly string[], literals: readonly string[]): string {
  let text = pieces[0] ?? "";
  for (const [index, literal] of literals.entries()) text += literal + (pieces[index + 1] ?? "");
  return text;
}

/** The shape of the texts that have the same literals where `isFree` says no. */
export function withFixed(
  { shape: { pieces, kinds }, literals }: ShapedText,
  isFree: readonly boolean[],
): ShapedText {
  const joined: string[] = [pieces[0] ?? ""];
  for (const [index, literal] of literals.entries()) {
    const piece = pieces[index + 1] ?? "";
    if (isFree[index] === true) joined.push(piece);
    else joined.push(`${joined.pop() ?? ""}${literal}${piece}`);
  }
  return {
    shape: { pieces: joined, kinds: kinds.filter((_, index) => isFree[index]) },
    literals: literals.filter((_, index) => isFree[index]),
  };
}

/** The literals of a text of the shape; undefined for any other text. */
export function literalsBetween(
  { pieces, kinds }: LiteralShape,
  text: string,
): readonly string[] | undefined {
  const [first = ""] = pieces;
  if (!text.startsWith(first)) return undefined;
  const literals: string[] = [];
  let at = first.length;
  for (const [index, kind] of kinds.entries()) {
    const end = kind === "string" ? stringEnd(text, at) : numberEnd(text, at);
    const literal = text.slice(at, end);
    const piece = pieces[index + 1] ?? "";
    if (kindOf(literal) !== kind || !text.startsWith(piece, end)) return undefined;
    literals.push(literal);
    at = end + piece.length;
  }
  return at === text.length ? literals : undefined;
}

/** Past the next quote: where the string goes on behind it, what follows is not what should. */
function stringEnd(text: string, start: number): number {
  if (text.charCodeAt(start) !== 0x27) return start;
  return text.indexOf("'", start + 1) + 1;
}

function numberEnd(text: string, start: number): number {
  let at = start;
  while (isDigitOrDot(text.charCodeAt(at))) at += 1;
  return at;
}

/** NaN, behind the text's end, is neither. */
function isDigitOrDot(unit: number): boolean {
  return unit === 0x2e || (unit >= 0x30 && unit <= 0x39);
}
