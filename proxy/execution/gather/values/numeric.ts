/**
 * Exact numeric arithmetic with PostgreSQL's display scales (numeric.c): what sum, avg,
 * variance and stddev need, and no more. A value is unscaled / 10^scale; the scale is what is printed.
 */
import { SqlError } from "../../../../base/sql-error.ts";
import { unreadable } from "./value-type.ts";

export type Numeric =
  | { readonly kind: "finite"; readonly unscaled: bigint; readonly scale: number }
  | { readonly kind: "NaN" }
  | { readonly kind: "infinite"; readonly isNegative: boolean };

const NOT_A_NUMBER: Numeric = { kind: "NaN" };

/** Digits before the point that numeric can hold: the weight is an int16 in base 10000. */
const WHOLE_DIGITS_MAX = 131_072;
/** NUMERIC_MIN_SIG_DIGITS: a quotient has at least so many. */
const QUOTIENT_DIGITS_MIN = 16;
/** NUMERIC_MAX_DISPLAY_SCALE. */
const DISPLAY_SCALE_MAX = 1000;
/** DEC_DIGITS: decimal digits in one digit of PostgreSQL's base 10000. */
const DIGIT_WIDTH = 4;

export function parseNumeric(text: string): Numeric {
  if (text === "NaN") return NOT_A_NUMBER;
  if (text === "Infinity") return { kind: "infinite", isNegative: false };
  if (text === "-Infinity") return { kind: "infinite", isNegative: true };
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) throw unreadable("numeric");
  const [, whole = "", fraction = ""] = match;
  return { kind: "finite", unscaled: BigInt(whole + fraction), scale: fraction.length };
}

export function formatNumeric(value: Numeric): string {
  if (value.kind === "NaN") return "NaN";
  if (value.kind === "infinite") return value.isNegative ? "-Infinity" : "Infinity";
  const sign = value.unscaled < 0n ? "-" : "";
  const digits = absolute(value.unscaled).toString();
  if (value.scale === 0) return sign + digits;
  const padded = digits.padStart(value.scale + 1, "0");
  const point = padded.length - value.scale;
  return `${sign}${padded.slice(0, point)}.${padded.slice(point)}`;
}

/** numeric_add: the larger display scale; opposite infinities are NaN. */
export function addNumeric(a: Numeric, b: Numeric): Numeric {
  if (a.kind === "NaN" || b.kind === "NaN") return NOT_A_NUMBER;
  if (a.kind === "infinite") {
    return b.kind === "infinite" && a.isNegative !== b.isNegative ? NOT_A_NUMBER : a;
  }
  if (b.kind === "infinite") return b;
  const scale = Math.max(a.scale, b.scale);
  const unscaled = rescale(a.unscaled, scale - a.scale) + rescale(b.unscaled, scale - b.scale);
  return { kind: "finite", unscaled, scale };
}

/** Throws where the whole part is longer than numeric holds (make_result). */
export function checkNumericRange(value: Numeric): Numeric {
  if (value.kind !== "finite") return value;
  const limit = WHOLE_DIGITS_MAX + value.scale;
  // A decimal digit takes more than three bits, so this cheap test decides nearly always.
  if (bitLength(value.unscaled) <= limit * 3) return value;
  if (absolute(value.unscaled).toString().length > limit) {
    throw new SqlError("combined_value_out_of_range", "value overflows numeric format");
  }
  return value;
}

/** numeric_div by a count: rounded half away from zero at the scale select_div_scale picks. */
export function divideNumeric(dividend: Numeric, divisor: bigint): Numeric {
  if (dividend.kind !== "finite") return dividend;
  const scale = quotientScale(dividend.unscaled, dividend.scale, divisor);
  const numerator = absolute(dividend.unscaled) * 10n ** BigInt(scale);
  const denominator = divisor * 10n ** BigInt(dividend.scale);
  const rounded = (2n * numerator + denominator) / (2n * denominator);
  return { kind: "finite", unscaled: dividend.unscaled < 0n ? -rounded : rounded, scale };
}

/**
 * sqrt_var with the argument's own scale, as numeric_stddev_internal calls it: rounded half
 * away from zero. The argument is not negative.
 */
export function numericSquareRoot(value: Numeric): Numeric {
  if (value.kind !== "finite") return value;
  const { unscaled, scale } = value;
  // One digit more than is kept; cutting the rest off cannot change how that one rounds.
  const root = wholeSquareRoot(unscaled * 10n ** BigInt(scale + 2));
  return { kind: "finite", unscaled: (root + 5n) / 10n, scale };
}

/** Newton's iteration from above, which ends at the whole part of the root. */
function wholeSquareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(Math.ceil(bitLength(value) / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** numeric.c, select_div_scale: at least 16 significant digits, and no fewer decimals than the dividend. */
function quotientScale(unscaled: bigint, scale: number, divisor: bigint): number {
  const dividendHead = leadingDigit(unscaled, scale);
  const divisorHead = leadingDigit(divisor, 0);
  let weight = dividendHead.weight - divisorHead.weight;
  if (dividendHead.digit <= divisorHead.digit) weight--;
  const wanted = Math.max(QUOTIENT_DIGITS_MIN - weight * DIGIT_WIDTH, scale, 0);
  return Math.min(wanted, DISPLAY_SCALE_MAX);
}

/** The first digit in base 10000 that is not zero, and its weight. Zero has both zero. */
function leadingDigit(unscaled: bigint, scale: number): { weight: number; digit: number } {
  if (unscaled === 0n) return { weight: 0, digit: 0 };
  const digits = absolute(unscaled).toString();
  const pointAt = digits.length - scale;
  const weight = Math.ceil(pointAt / DIGIT_WIDTH) - 1;
  const width = pointAt - weight * DIGIT_WIDTH;
  return { weight, digit: Number(digits.slice(0, width).padEnd(width, "0")) };
}

/** numeric_send: count, weight of the first digit, sign, display scale, then digits of base 10000. */
export function encodeNumeric(value: Numeric): Buffer {
  if (value.kind === "NaN") return numericHeader(0, 0, 0xc000, 0);
  if (value.kind === "infinite") {
    // The scale is read out of a header that has none, and is sent all the same.
    return numericHeader(0, 0, value.isNegative ? 0xf000 : 0xd000, 0x20);
  }
  const fractionWidth = Math.ceil(value.scale / DIGIT_WIDTH) * DIGIT_WIDTH;
  const digits = rescale(absolute(value.unscaled), fractionWidth - value.scale).toString();
  const padded = digits.padStart(Math.ceil(digits.length / DIGIT_WIDTH) * DIGIT_WIDTH, "0");
  const groups: number[] = [];
  for (let at = 0; at < padded.length; at += DIGIT_WIDTH) {
    groups.push(Number(padded.slice(at, at + DIGIT_WIDTH)));
  }
  while (groups.at(-1) === 0) groups.pop();
  if (groups.length === 0) return numericHeader(0, 0, 0, value.scale);

  const weight = (padded.length - fractionWidth) / DIGIT_WIDTH - 1;
  const sign = value.unscaled < 0n ? 0x4000 : 0;
  const body = Buffer.alloc(2 * groups.length);
  for (const [index, group] of groups.entries()) body.writeUInt16BE(group, 2 * index);
  return Buffer.concat([numericHeader(groups.length, weight, sign, value.scale), body]);
}

function numericHeader(count: number, weight: number, sign: number, scale: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(count, 0);
  header.writeInt16BE(weight, 2);
  header.writeUInt16BE(sign, 4);
  header.writeUInt16BE(scale, 6);
  return header;
}

function rescale(unscaled: bigint, moreDigits: number): bigint {
  return moreDigits === 0 ? unscaled : unscaled * 10n ** BigInt(moreDigits);
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** At most three above the truth: hexadecimal digits are cheap to count. */
function bitLength(value: bigint): number {
  return absolute(value).toString(16).length * 4;
}
