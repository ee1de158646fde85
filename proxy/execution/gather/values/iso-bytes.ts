/**
 * Dates and instants in the form they nearly always have, read from the bytes themselves: a
 * merge reads one of every row, and a string and a regular expression for each would be
 * most of its time. Anything else (BC, infinity, five-digit years, instants a double does
 * not hold exactly) is left to date-time.ts. Counted from 1970-01-01.
 */
const DATE_BYTES = 10;
/** `2026-01-31 23:59:59` */
const INSTANT_BYTES_MIN = 19;
const FRACTION_UNIT = 100_000;

const MICROSECONDS_PER_SECOND = 1_000_000;
const SECONDS_PER_DAY = 86_400;

const MINUS = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const BLANK = 0x20;
const POINT = 0x2e;

/** Days; undefined where bytes[start, end) is not `YYYY-MM-DD`. */
export function readUsualDate(bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start !== DATE_BYTES) return undefined;
  return dateAt(bytes, start);
}

/** Microseconds; undefined where bytes[start, end) is not `YYYY-MM-DD HH:MM:SS[.ffffff]` with a zone, or without. */
export function readUsualInstant(
  bytes: Buffer,
  start: number,
  end: number,
  zone: "zone" | "no zone",
): number | undefined {
  if (end - start < INSTANT_BYTES_MIN || bytes[start + DATE_BYTES] !== BLANK) return undefined;
  const days = dateAt(bytes, start);
  if (days === undefined || bytes[start + 13] !== COLON || bytes[start + 16] !== COLON)
    return undefined;
  let seconds =
    days * SECONDS_PER_DAY +
    pairAt(bytes, start + 11) * 3600 +
    pairAt(bytes, start + 14) * 60 +
    pairAt(bytes, start + 17);
  let at = start + INSTANT_BYTES_MIN;
  let fraction = 0;
  if (at < end && bytes[at] === POINT) {
    at++;
    for (let unit = FRACTION_UNIT; unit >= 1 && at < end; unit /= 10, at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      fraction += digit * unit;
    }
  }
  if (zone === "zone") {
    const east = zoneAt(bytes, at, end);
    if (east === undefined) return undefined;
    seconds -= east;
  } else if (at !== end) return undefined;
  const instant = seconds * MICROSECONDS_PER_SECOND + fraction;
  return Number.isSafeInteger(instant) ? instant : undefined;
}

/** `+HH`, `-HH:MM`, `+HH:MM:SS` up to `end`, as seconds east of Greenwich. */
function zoneAt(bytes: Buffer, start: number, end: number): number | undefined {
  const sign = bytes[start];
  if (start >= end || (sign !== PLUS && sign !== MINUS)) return undefined;
  let seconds = 0;
  let at = start + 1;
  for (let unit = 3600; ; unit /= 60, at += 3) {
    if (at + 2 > end || unit < 1) return undefined;
    seconds += pairAt(bytes, at) * unit;
    if (at + 2 === end) return sign === PLUS ? seconds : -seconds;
    if (bytes[at + 2] !== COLON) return undefined;
  }
}

function dateAt(bytes: Buffer, start: number): number | undefined {
  if (bytes[start + 4] !== MINUS || bytes[start + 7] !== MINUS) return undefined;
  const year = pairAt(bytes, start) * 100 + pairAt(bytes, start + 2);
  const days = civilDays(year, pairAt(bytes, start + 5), pairAt(bytes, start + 8));
  return Number.isNaN(days) ? undefined : days;
}

/** Two digits, or NaN, which whatever is reckoned with it becomes. */
function pairAt(bytes: Buffer, at: number): number {
  const tens = (bytes[at] ?? 0) - 0x30;
  const ones = (bytes[at + 1] ?? 0) - 0x30;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? Number.NaN : tens * 10 + ones;
}

/** Days from 1970-01-01 to a day of the proleptic Gregorian calendar; 1 BC is the year 0. */
export function civilDays(civilYear: number, month: number, day: number): number {
  // Years begin in March, so that the leap day is the last one; eras have 400 years.
  const year = civilYear - (month <= 2 ? 1 : 0);
  const era = Math.floor(year / 400);
  const yearOfEra = year - era * 400;
  const monthFromMarch = (month + 9) % 12;
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
