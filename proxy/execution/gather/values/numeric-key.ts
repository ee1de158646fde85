/**
 * Orders numeric without arithmetic: sign, then the decimal point's place, then the digits
 * as text. NaN equals NaN and is the greatest (numeric.c, cmp_numerics). For arithmetic see
 * numeric.ts.
 */
import { encodeNumeric, parseNumeric } from "./numeric.ts";
import { unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

export interface NumericKey {
  /** -1, 0 or 1; 2 for NaN. */
  readonly sign: number;
  /** Digits before the decimal point, counted from the first that is not zero; Infinity for the infinities. */
  readonly exponent: number;
  /** Without zeros at either end. */
  readonly digits: string;
}

const ZERO: NumericKey = { sign: 0, exponent: 0, digits: "" };
const NOT_A_NUMBER: NumericKey = { sign: 2, exponent: 0, digits: "" };

export const numericType: ValueType<NumericKey> = {
  readText: (bytes, start, end) => {
    const text = bytes.toString("latin1", start, end);
    if (text === "NaN") return NOT_A_NUMBER;
    if (text === "Infinity") return infinity(1);
    if (text === "-Infinity") return infinity(-1);
    const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    if (match === null) throw unreadable("numeric");
    const [, minus, whole = "", fraction = ""] = match;
    return numericKey(minus === "-" ? -1 : 1, whole + fraction, whole.length);
  },
  readBinary: readNumericBinary,
  compare: compareNumericKeys,
  identity: ({ sign, exponent, digits }) => `${sign}:${exponent}:${digits}`,
  textToBinary: (text) => encodeNumeric(parseNumeric(text.toString("latin1"))),
};

function infinity(sign: number): NumericKey {
  return { sign, exponent: Number.POSITIVE_INFINITY, digits: "" };
}

function compareNumericKeys(a: NumericKey, b: NumericKey): number {
  if (a.sign !== b.sign) return a.sign - b.sign;
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? -a.sign : a.sign;
  if (a.digits === b.digits) return 0;
  return a.digits < b.digits ? -a.sign : a.sign;
}

/** `pointAt` digits stand before the decimal point. */
function numericKey(sign: number, digits: string, pointAt: number): NumericKey {
  let first = 0;
  while (first < digits.length && digits.charCodeAt(first) === 0x30) first++;
  if (first === digits.length) return ZERO;
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 0x30) end--;
  return { sign, exponent: pointAt - first, digits: digits.slice(first, end) };
}

/** numeric_send: count, weight of the first digit, sign, display scale, then digits of base 10000. */
function readNumericBinary(bytes: Buffer, start: number, end: number): NumericKey {
  if (end - start < 8) throw unreadable("numeric");
  const count = bytes.readUInt16BE(start);
  const weight = bytes.readInt16BE(start + 2);
  const sign = bytes.readUInt16BE(start + 4);
  if (end - start !== 8 + 2 * count) throw unreadable("numeric");
  if (sign === 0xc000) return NOT_A_NUMBER;
  if (sign === 0xd000) return infinity(1);
  if (sign === 0xf000) return infinity(-1);
  let digits = "";
  for (let index = 0; index < count; index++) {
    digits += String(bytes.readUInt16BE(start + 8 + 2 * index)).padStart(4, "0");
  }
  return numericKey(sign === 0x4000 ? -1 : 1, digits, 4 * (weight + 1));
}
