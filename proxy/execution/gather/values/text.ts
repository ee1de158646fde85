/**
 * Types that compare by bytes: text under a byte-order collation, bytea, uuid, bits, MAC
 * addresses, enums by their labels' order. A value is a string whose UTF-16 units are the
 * bytes, so that JavaScript's comparison is memcmp and then length, as PostgreSQL's is.
 */
import { compareNatural, expectBytes, unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

const identical = (value: string): string => value;

function readBytes(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, end);
}

/** text and varchar, and name, whose padding is not sent. */
export const textType: ValueType<string> = {
  readText: readBytes,
  readBinary: readBytes,
  compare: compareNatural,
  identity: identical,
  textToBinary: (text) => text,
};

/** character(n): blanks at the end do not count (varchar.c, bpcharcmp). */
export const bpcharType: ValueType<string> = {
  ...textType,
  readText: readTrimmed,
  readBinary: readTrimmed,
};

function readTrimmed(bytes: Buffer, start: number, end: number): string {
  let last = end;
  while (last > start && bytes[last - 1] === 0x20) last--;
  return bytes.toString("latin1", start, last);
}

/** "char": one byte, unsigned; above 127 its text is `\ooo`, and zero is empty (char.c). */
export const charType: ValueType<number> = {
  readText: (bytes, start, end) => {
    const text = bytes.toString("latin1", start, end);
    if (text.length <= 1) return text === "" ? 0 : text.charCodeAt(0);
    if (!/^\\[0-3][0-7]{2}$/.test(text)) throw unreadable('"char"');
    return Number.parseInt(text.slice(1), 8);
  },
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 1, '"char"');
    return bytes[start] ?? 0;
  },
  compare: compareNatural,
  identity: String,
  textToBinary: (text) => Buffer.of(charType.readText(text, 0, text.length)),
};

/** Both of bytea_output's forms: `\x` begins the hexadecimal one, and only that. */
export const byteaType: ValueType<string> = {
  ...textType,
  readText: (bytes, start, end) =>
    decodeBytea(bytes.toString("latin1", start, end)).toString("latin1"),
  textToBinary: (text) => decodeBytea(text.toString("latin1")),
};

function decodeBytea(text: string): Buffer {
  if (text.startsWith("\\x")) {
    const decoded = Buffer.from(text.slice(2), "hex");
    if (decoded.length * 2 !== text.length - 2) throw unreadable("bytea");
    return decoded;
  }
  const unescaped = text.replaceAll(/\\(\\|[0-3][0-7]{2})/g, (_, code: string) =>
    code === "\\" ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(unescaped, "latin1");
}

/** Hexadecimal with separators at fixed places: orders as its bytes do. */
function fixedHexType(typeName: string, pattern: RegExp, size: number): ValueType<string> {
  const decode = (text: string): Buffer => {
    if (!pattern.test(text)) throw unreadable(typeName);
    return Buffer.from(text.replaceAll(/[^0-9a-f]/g, ""), "hex");
  };
  return {
    ...textType,
    readText: (bytes, start, end) =>
      decode(bytes.toString("latin1", start, end)).toString("latin1"),
    readBinary: (bytes, start, end) => {
      expectBytes(start, end, size, typeName);
      return bytes.toString("latin1", start, end);
    },
    textToBinary: (text) => decode(text.toString("latin1")),
  };
}

export const uuidType = fixedHexType("uuid", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 16);
export const macaddrType = fixedHexType("macaddr", /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/, 6);
export const macaddr8Type = fixedHexType("macaddr8", /^[0-9a-f]{2}(?::[0-9a-f]{2}){7}$/, 8);

/** bit and varbit: as digits, which orders as bit_cmp does: the bits, then their number. */
export const bitType: ValueType<string> = {
  ...textType,
  readText: (bytes, start, end) => {
    const text = bytes.toString("latin1", start, end);
    if (!/^[01]*$/.test(text)) throw unreadable("bit");
    return text;
  },
  readBinary: (bytes, start, end) => {
    if (end - start < 4) throw unreadable("bit");
    let digits = "";
    for (let at = start + 4; at < end; at++) {
      digits += (bytes[at] ?? 0).toString(2).padStart(8, "0");
    }
    return digits.slice(0, bytes.readInt32BE(start));
  },
  textToBinary: (text) => {
    const digits = text.toString("latin1");
    const target = Buffer.alloc(4 + Math.ceil(digits.length / 8));
    target.writeInt32BE(digits.length);
    for (let at = 0; at < digits.length; at += 8) {
      target[4 + at / 8] = Number.parseInt(digits.slice(at, at + 8).padEnd(8, "0"), 2);
    }
    return target;
  },
};

/** Both formats send the label; the catalog says which comes first. */
export function enumType(name: string, labels: readonly string[]): ValueType<number> {
  const positions = new Map(labels.map((label, position) => [label, position]));
  const read = (bytes: Buffer, start: number, end: number): number => {
    const position = positions.get(bytes.toString("utf8", start, end));
    if (position === undefined) throw unreadable(name);
    return position;
  };
  return {
    readText: read,
    readBinary: read,
    compare: compareNatural,
    identity: String,
    textToBinary: (text) => text,
  };
}
