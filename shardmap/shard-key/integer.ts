/** Integer key values from text and from two's complement bytes, as utils/adt/int.c, int8.c and numutils.c read them. */

export type IntegerType = "smallint" | "integer" | "bigint";

/** pg_type.oid of the three; also the widths their binary forms have. */
export const INTEGER_OIDS: ReadonlyMap<number, IntegerType> = new Map([
  [21, "smallint"],
  [23, "integer"],
  [20, "bigint"],
]);

const BITS: Readonly<Record<IntegerType, number>> = { smallint: 16, integer: 32, bigint: 64 };

/** PostgreSQL allows what isspace() allows in the C locale around a number. */
const DECIMAL = /^[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*$/;

/** Since PostgreSQL 16 also hexadecimal, octal, binary and underscores; an error before. */
const SINCE_16 =
  /^[ \t\n\v\f\r]*[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)[ \t\n\v\f\r]*$/;

/** Longer runs of digits are zeros first or out of range; both are cut before BigInt sees them. */
const DIGITS_MAX = 20;

export function fitsInteger(type: IntegerType, value: bigint): boolean {
  return BigInt.asIntN(BITS[type], value) === value;
}

/** int2in, int4in, int8in. "unproven" for spellings whose meaning depends on the server's version. */
export function readInteger(type: IntegerType, text: string): bigint | "invalid" | "unproven" {
  const decimal = DECIMAL.exec(text)?.[1];
  if (decimal === undefined) return SINCE_16.test(text) ? "unproven" : "invalid";
  const isNegative = decimal.startsWith("-");
  const digits = decimal.replace(/^[+-]?0*/, "");
  if (digits.length > DIGITS_MAX) return "invalid";
  const magnitude = BigInt(digits === "" ? "0" : digits);
  const value = isNegative ? -magnitude : magnitude;
  return fitsInteger(type, value) ? value : "invalid";
}

/** int2recv, int4recv, int8recv: network byte order, exactly the type's width. */
export function readIntegerBytes(type: IntegerType, bytes: Buffer): bigint | "invalid" {
  if (bytes.length * 8 !== BITS[type]) return "invalid";
  switch (type) {
    case "smallint":
      return BigInt(bytes.readInt16BE());
    case "integer":
      return BigInt(bytes.readInt32BE());
    case "bigint":
      return bytes.readBigInt64BE();
  }
}
