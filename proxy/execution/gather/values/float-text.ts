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

/** The neighbour of a positive number. */
export function nextFloat8(value: number, isUp: boolean): number {
  BITS.setFloat64(0, value);
  BITS.setBigInt64(0, BITS.getBigInt64(0) + (isUp ? 1n : -1n));
  return BITS.getFloat64(0);
}

/** Exact: a double's shortest decimal says nothing about a float of four bytes. */
function shortestFloat4(value: number): string {
  const size = Math.abs(value);
  BITS.setFloat32(0, size);
  const bits = BITS.getUint32(0);
  const fraction = bits & 0x7f_ffff;
  const biasedExponent = bits >>> 23;
  const mantissa = BigInt(biasedExponent === 0 ? fraction : fraction | 0x80_0000);
  const interval = {
    // In quarters of the last binary digit; below a power of two the spacing halves.
    lower: 4n * mantissa - (fraction === 0 && biasedExponent > 1 ? 1n : 2n),
    value: 4n * mantissa,
    upper: 4n * mantissa + 2n,
    binaryExponent: Math.max(biasedExponent, 1) - 152,
  };
  const decimalExponent = Number(size.toExponential().split("e")[1]);
  const sign = value < 0 ? "-" : "";
  for (let digits = 1; ; digits++) {
    const lastPlace = decimalExponent - digits + 1;
    const nearest = nearestInside(interval, lastPlace);
    if (nearest === undefined) continue;
    const written = String(nearest);
    return `${sign}${written[0]}.${written.slice(1)}e${lastPlace + written.length - 1}`;
  }
}

/** The multiple of 10^lastPlace that is nearest to the value, even on ties; undefined where none is inside. */
function nearestInside(
  interval: { lower: bigint; value: bigint; upper: bigint; binaryExponent: number },
  lastPlace: number,
): bigint | undefined {
  const power = (base: bigint, exponent: number): bigint => base ** BigInt(Math.max(exponent, 0));
  const perMultiple = power(10n, lastPlace) * power(2n, -interval.binaryExponent);
  const perQuarter = power(10n, -lastPlace) * power(2n, interval.binaryExponent);
  const isInside = (multiple: bigint): boolean =>
    multiple * perMultiple > interval.lower * perQuarter &&
    multiple * perMultiple < interval.upper * perQuarter;
  const exact = interval.value * perQuarter;
  const below = exact / perMultiple;
  const twiceRest = 2n * (exact - below * perMultiple);
  const isBelowNearer = twiceRest < perMultiple || (twiceRest === perMultiple && below % 2n === 0n);
  const inOrder = isBelowNearer ? [below, below + 1n] : [below + 1n, below];
  return inOrder.find(isInside);
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
