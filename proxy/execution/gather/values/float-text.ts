/**
 * Floats as PostgreSQL writes them with extra_float_digits above 0: the shortest decimal
 * that reads back as the same value, fixed-point for middling exponents (d2s.c, f2s.c).
 *
 * PostgreSQL accepts only decimals strictly inside the interval that rounds to the value,
 * JavaScript also its bounds; so 2^89 and its like may need one more digit than String gives.
 */

/** Decimal exponents from -4 up to this are written without `e`. */
const FLOAT8_FIXED_EXPONENT_END = 15;
const FLOAT4_FIXED_EXPONENT_END = 6;

export function formatFloat8(value: number): string {
  return formatSpecial(value) ?? layOut(shortestFloat8(value), FLOAT8_FIXED_EXPONENT_END);
}

/** `value` must be one that a float of four bytes holds. */
export function formatFloat4(value: number): string {
  return formatSpecial(value) ?? layOut(shortestFloat4(value), FLOAT4_FIXED_EXPONENT_END);
}

function formatSpecial(value: number): string | undefined {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  return Number.isFinite(value) ? undefined : String(value);
}

/** `-d.ddde±x`, digits shortest. */
function shortestFloat8(value: number): string {
  const shortest = value.toExponential();
  if (!isOnBound(value, shortest)) return shortest;
  for (let digits = significantDigits(shortest) + 1; digits < 17; digits++) {
    const candidate = value.toExponential(digits - 1);
    if (Number(candidate) === value && !isOnBound(value, candidate)) return candidate;
  }
  return value.toExponential(16);
}

/** Only decimals of whole numbers above 2^53 can be as far from their value as from its neighbour. */
function isOnBound(value: number, decimal: string): boolean {
  const size = Math.abs(value);
  if (size <= Number.MAX_SAFE_INTEGER) return false;
  const exact = BigInt(size);
  const written = wholeNumber(decimal);
  if (written === exact) return false;
  const neighbour = nextFloat8(size, written > exact);
  return neighbour !== Number.POSITIVE_INFINITY && exact + BigInt(neighbour) === 2n * written;
}

/** The digits of a decimal that is a whole number, without its sign. */
function wholeNumber(decimal: string): bigint {
  const [mantissa = "", exponent = "0"] = decimal.replace("-", "").split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return BigInt(whole + fraction) * 10n ** BigInt(Number(exponent) - fraction.length);
}

const BITS = new DataView(new ArrayBuffer(8));

function nextFloat8(value: number, isUp: boolean): number {
  BITS.setFloat64(0, value);
  BITS.setBigInt64(0, BITS.getBigInt64(0) + (isUp ? 1n : -1n));
  return BITS.getFloat64(0);
}

function shortestFloat4(value: number): string {
  const size = Math.abs(value);
  BITS.setFloat32(0, size);
  const bits = BITS.getInt32(0);
  const lowerBound = (size + float4OfBits(bits - 1)) / 2;
  const upperBound = (size + float4OfBits(bits + 1)) / 2;
  for (let digits = 1; digits < 9; digits++) {
    const candidate = size.toExponential(digits - 1);
    const read = Number(candidate);
    if (read > lowerBound && read < upperBound) return value < 0 ? `-${candidate}` : candidate;
  }
  return value.toExponential(8);
}

function float4OfBits(bits: number): number {
  // Past the largest value the spacing goes on as if there were another one.
  if (bits === 0x7f80_0000) return 2 ** 128;
  BITS.setInt32(0, bits);
  return BITS.getFloat32(0);
}

function significantDigits(decimal: string): number {
  return decimal.replace(/e.*$/, "").replaceAll(/[-.]/g, "").length;
}

/** From `d.ddde±x`: zeros at the end go, and small exponents become places of the point. */
function layOut(decimal: string, fixedExponentEnd: number): string {
  const [mantissa = "", exponentText = "0"] = decimal.split("e");
  const sign = mantissa.startsWith("-") ? "-" : "";
  const exponent = Number(exponentText);
  const digits = mantissa.replaceAll(/[-.]/g, "").replace(/0+$/, "");
  if (exponent < -4 || exponent >= fixedExponentEnd) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    const width = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${width}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = digits.slice(exponent + 1);
  return fraction === "" ? sign + whole : `${sign}${whole}.${fraction}`;
}
