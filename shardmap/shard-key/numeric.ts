/**
 * Exact decimal numbers: literals as written and numeric parameters, brought to the
 * integer they equal or round to. Never through a floating-point number.
 */

/** coefficient x 10^exponent. NaN and the infinities are their own kind: they equal no integer. */
export type Decimal =
  | { readonly kind: "finite"; readonly coefficient: bigint; readonly exponent: number }
  | { readonly kind: "notFinite" };

/** OID of numeric in pg_type. */
export const NUMERIC_OID = 1700;

/** Digits and powers of ten beyond this are left to PostgreSQL: no integer key is near, and BigInt would pay for each. */
const MAGNITUDE_MAX = 400;

const LITERAL = /^([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]{1,6}))?$/;

/** As nearly every key is written. */
const PLAIN = /^[0-9]{1,15}$/;

/** A numeric literal with its sign, or the text of a numeric parameter, without blanks: `5`, `-3`, `5.`, `.5`, `1e3`. */
export function readDecimal(text: string): Decimal | "unproven" {
  if (PLAIN.test(text)) return { kind: "finite", coefficient: BigInt(text), exponent: 0 };
  const match = LITERAL.exec(text);
  if (match === null) return "unproven";
  const [, sign = "", whole = "", fraction = "", onlyFraction = "", power = "0"] = match;
  const digits = whole + fraction + onlyFraction;
  const exponent = Number(power) - fraction.length - onlyFraction.length;
  if (digits.length > MAGNITUDE_MAX || Math.abs(exponent) > MAGNITUDE_MAX) return "unproven";
  const magnitude = BigInt(digits);
  return { kind: "finite", coefficient: sign === "-" ? -magnitude : magnitude, exponent };
}

const SIGN_POSITIVE = 0x0000;
const SIGN_NEGATIVE = 0x4000;
/** NaN, infinity, minus infinity. */
const SIGNS_NOT_FINITE: ReadonlySet<number> = new Set([0xc000, 0xd000, 0xf000]);

/**
 * numeric_recv (utils/adt/numeric.c): four 16-bit words (digit count, weight, sign, display
 * scale), then digits of base 10000. A display scale that hides digits makes the server cut them: unproven.
 */
export function readNumericBytes(bytes: Buffer): Decimal | "invalid" | "unproven" {
  if (bytes.length < 8) return "invalid";
  const digitCount = bytes.readUInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const displayScale = bytes.readUInt16BE(6);
  if (bytes.length !== 8 + 2 * digitCount) return "invalid";
  if (SIGNS_NOT_FINITE.has(sign)) return { kind: "notFinite" };
  if (sign !== SIGN_POSITIVE && sign !== SIGN_NEGATIVE) return "invalid";
  if (digitCount * 4 > MAGNITUDE_MAX || Math.abs(weight) * 4 > MAGNITUDE_MAX) return "unproven";

  let coefficient = 0n;
  for (let index = 0; index < digitCount; index++) {
    const digit = bytes.readUInt16BE(8 + 2 * index);
    if (digit > 9999) return "invalid";
    coefficient = coefficient * 10_000n + BigInt(digit);
  }
  const exponent = 4 * (weight - digitCount + 1);
  if (coefficient % 10n ** BigInt(Math.max(0, -exponent - displayScale)) !== 0n) return "unproven";
  return {
    kind: "finite",
    coefficient: sign === SIGN_NEGATIVE ? -coefficient : coefficient,
    exponent,
  };
}

/** The integer the number equals, or undefined where it has a fraction or is not finite. */
export function exactInteger(decimal: Decimal): bigint | undefined {
  if (decimal.kind === "notFinite") return undefined;
  const { coefficient, exponent } = decimal;
  if (exponent === 0) return coefficient;
  if (exponent > 0) return coefficient * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  return coefficient % divisor === 0n ? coefficient / divisor : undefined;
}

/** numeric to integer by an assignment: half away from zero (round_var). Undefined for what is not finite: an error there. */
export function roundedInteger(decimal: Decimal): bigint | undefined {
  if (decimal.kind === "notFinite") return undefined;
  const { coefficient, exponent } = decimal;
  if (exponent >= 0) return coefficient * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  const magnitude = coefficient < 0n ? -coefficient : coefficient;
  const rounded = (magnitude + divisor / 2n) / divisor;
  return coefficient < 0n ? -rounded : rounded;
}
