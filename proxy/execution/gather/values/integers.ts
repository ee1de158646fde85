/**
 * Whole numbers: smallint, integer, bigint, oid, pg_lsn, and boolean. Values that a double
 * holds exactly are numbers, larger ones bigints; JavaScript compares the two exactly.
 */
import { compareNatural, expectBytes, unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

type Whole = number | bigint;

/** More digits than this may not be exact in a double. */
const EXACT_DIGITS = 15;

function readWholeText(typeName: string): (bytes: Buffer, start: number, end: number) => Whole {
  return (bytes, start, end) => {
    const isNegative = bytes[start] === 0x2d;
    const first = isNegative ? start + 1 : start;
    if (first === end || end - first > 20) throw unreadable(typeName);
    let value = 0;
    for (let position = first; position < end; position++) {
      const digit = (bytes[position] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) throw unreadable(typeName);
      value = value * 10 + digit;
    }
    if (end - first > EXACT_DIGITS) return BigInt(bytes.toString("latin1", start, end));
    return isNegative ? -value : value;
  };
}

function integerType(
  typeName: string,
  size: number,
  readBinary: (bytes: Buffer, start: number) => Whole,
  write: (target: Buffer, value: bigint) => void,
): ValueType<Whole> {
  const readText = readWholeText(typeName);
  return {
    readText,
    readBinary: (bytes, start, end) => {
      expectBytes(start, end, size, typeName);
      return readBinary(bytes, start);
    },
    compare: compareNatural,
    identity: String,
    textToBinary: (text) => {
      const target = Buffer.alloc(size);
      write(target, BigInt(readText(text, 0, text.length)));
      return target;
    },
  };
}

export const int2Type = integerType(
  "smallint",
  2,
  (bytes, start) => bytes.readInt16BE(start),
  (target, value) => target.writeInt16BE(Number(value)),
);

export const int4Type = integerType(
  "integer",
  4,
  (bytes, start) => bytes.readInt32BE(start),
  (target, value) => target.writeInt32BE(Number(value)),
);

export const int8Type = integerType("bigint", 8, readInt8, (target, value) =>
  target.writeBigInt64BE(value),
);

export const oidType = integerType(
  "oid",
  4,
  (bytes, start) => bytes.readUInt32BE(start),
  (target, value) => target.writeUInt32BE(Number(value)),
);

/** 64 bits as a number where that is exact. */
export function readInt8(bytes: Buffer, start: number): Whole {
  const high = bytes.readInt32BE(start);
  if (high >= -0x20_0000 && high < 0x20_0000) return high * 2 ** 32 + bytes.readUInt32BE(start + 4);
  return bytes.readBigInt64BE(start);
}

/** false before true. */
export const boolType: ValueType<number> = {
  readText: (bytes, start, end) => {
    expectBytes(start, end, 1, "boolean");
    if (bytes[start] === 0x74) return 1;
    if (bytes[start] === 0x66) return 0;
    throw unreadable("boolean");
  },
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 1, "boolean");
    return bytes[start] === 0 ? 0 : 1;
  },
  compare: compareNatural,
  identity: String,
  textToBinary: (text) => Buffer.of(boolType.readText(text, 0, text.length)),
};

/** `16/B374D848`: two halves of 32 bits in hexadecimal. */
export const pgLsnType: ValueType<bigint> = {
  readText: (bytes, start, end) => {
    const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(bytes.toString("latin1", start, end));
    if (match === null) throw unreadable("pg_lsn");
    return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
  },
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 8, "pg_lsn");
    return bytes.readBigUInt64BE(start);
  },
  compare: compareNatural,
  identity: String,
  textToBinary: (text) => {
    const target = Buffer.alloc(8);
    target.writeBigUInt64BE(pgLsnType.readText(text, 0, text.length));
    return target;
  },
};
