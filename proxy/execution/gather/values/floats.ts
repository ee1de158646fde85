/**
 * real and double precision (float.c): NaN equals NaN and comes last, -0 equals 0. Text is
 * the shortest that reads back as the same value, which needs extra_float_digits above 0.
 */
import { expectBytes, unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

export const float4Type: ValueType<number> = floatType(
  "real",
  4,
  (bytes, start) => bytes.readFloatBE(start),
  (target, value) => target.writeFloatBE(value),
);

export const float8Type: ValueType<number> = floatType(
  "double precision",
  8,
  (bytes, start) => bytes.readDoubleBE(start),
  (target, value) => target.writeDoubleBE(value),
);

function floatType(
  typeName: string,
  size: 4 | 8,
  readBinary: (bytes: Buffer, start: number) => number,
  write: (target: Buffer, value: number) => void,
): ValueType<number> {
  const readText = (bytes: Buffer, start: number, end: number): number => {
    const text = bytes.toString("latin1", start, end);
    if (!/^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/.test(text)) throw unreadable(typeName);
    return size === 4 ? Math.fround(Number(text)) : Number(text);
  };
  return {
    readText,
    readBinary: (bytes, start, end) => {
      expectBytes(start, end, size, typeName);
      return readBinary(bytes, start);
    },
    compare: compareFloats,
    identity: (value) => String(value === 0 ? 0 : value),
    textToBinary: (text) => {
      const target = Buffer.alloc(size);
      write(target, readText(text, 0, text.length));
      return target;
    },
  };
}

function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}
