/**
 * date and timestamptz key values, in PostgreSQL's own storage: days, and microseconds,
 * since 2000-01-01. Text is read only where no session setting (DateStyle, TimeZone) can
 * change its meaning: ISO 8601 with a four-digit year, and an explicit offset for times. The infinities are the same in every session.
 */

export const DATE_OID = 1082;
export const TIMESTAMPTZ_OID = 1184;

/** IS_VALID_DATE (datatype/timestamp.h): 4714-11-24 BC up to, not including, 5874898-06-04. */
const DAYS_MIN = -2_451_545;
const DAYS_END = 2_145_031_949;
const DAYS_INFINITY = 0x7fff_ffff;
const DAYS_MINUS_INFINITY = -0x8000_0000;

/** IS_VALID_TIMESTAMP: 4714-11-24 BC up to, not including, 294277-01-01. */
const MICROSECONDS_MIN = -211_813_488_000_000_000n;
const MICROSECONDS_END = 9_223_371_331_200_000_000n;
const MICROSECONDS_INFINITY = 0x7fff_ffff_ffff_ffffn;
const MICROSECONDS_MINUS_INFINITY = -0x8000_0000_0000_0000n;

const MICROSECONDS_PER_DAY = 86_400_000_000n;
const MILLISECONDS_PER_DAY = 86_400_000;
/** 2000-01-01 in days since 1970-01-01. */
const POSTGRES_EPOCH_DAYS = 10_957;

const ISO_DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/;
const ISO_TIMESTAMP =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)$/;

/** PostgreSQL takes zone offsets up to 15:59:59 (MAX_TZDISP_HOUR); larger ones are left to it. */
const OFFSET_HOURS_MAX = 15;

/** Both in any case of letters, in every version and under every DateStyle. */
const INFINITY = /^infinity$/i;
const MINUS_INFINITY = /^-infinity$/i;

/** date_in, for the unambiguous forms alone: `2024-02-29` and the infinities. A day the calendar lacks is "invalid" in every DateStyle. */
export function readDate(text: string): number | "invalid" | "unproven" {
  if (INFINITY.test(text)) return DAYS_INFINITY;
  if (MINUS_INFINITY.test(text)) return DAYS_MINUS_INFINITY;
  const match = ISO_DATE.exec(text);
  if (match === null) return "unproven";
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Whether the year 0 is an error, and of what kind, is for the server to say.
  if (year === 0) return "unproven";
  return daysOf(year, month, day) ?? "invalid";
}

/** date_recv: 32-bit days; its two extremes are the infinities. */
export function readDateBytes(bytes: Buffer): number | "invalid" {
  if (bytes.length !== 4) return "invalid";
  const days = bytes.readInt32BE();
  if (days === DAYS_INFINITY || days === DAYS_MINUS_INFINITY) return days;
  return days >= DAYS_MIN && days < DAYS_END ? days : "invalid";
}

/** timestamptz_in, for ISO 8601 with an offset alone: `2024-02-29 12:00:00.5+02`, `2024-02-29T10:00Z`. */
export function readTimestamptz(text: string): bigint | "invalid" | "unproven" {
  if (INFINITY.test(text)) return MICROSECONDS_INFINITY;
  if (MINUS_INFINITY.test(text)) return MICROSECONDS_MINUS_INFINITY;
  const match = ISO_TIMESTAMP.exec(text);
  if (match === null) return "unproven";
  const [
    ,
    date = "",
    hour,
    minute,
    second = "0",
    fraction = "",
    sign,
    offsetHour = "0",
    offsetMinute = "0",
  ] = match;
  const days = readDate(date);
  if (typeof days === "string") return days;
  // 24:00:00 and a 60th second have rules of their own, and errors their own words.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return "unproven";
  if (Number(offsetHour) > OFFSET_HOURS_MAX || Number(offsetMinute) > 59) return "unproven";
  const offsetSeconds =
    (Number(offsetHour) * 60 + Number(offsetMinute)) * 60 * (sign === "-" ? -1 : 1);
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second) - offsetSeconds;
  return (
    BigInt(days) * MICROSECONDS_PER_DAY +
    BigInt(seconds) * 1_000_000n +
    BigInt(fraction.padEnd(6, "0"))
  );
}

/** timestamptz_recv: 64-bit microseconds; its two extremes are the infinities. */
export function readTimestamptzBytes(bytes: Buffer): bigint | "invalid" {
  if (bytes.length !== 8) return "invalid";
  const microseconds = bytes.readBigInt64BE();
  if (microseconds === MICROSECONDS_INFINITY || microseconds === MICROSECONDS_MINUS_INFINITY)
    return microseconds;
  return microseconds >= MICROSECONDS_MIN && microseconds < MICROSECONDS_END
    ? microseconds
    : "invalid";
}

/** ISO 8601, as PostgreSQL prints under DateStyle ISO. */
export function printDate(days: number): string {
  if (days === DAYS_INFINITY) return "infinity";
  if (days === DAYS_MINUS_INFINITY) return "-infinity";
  const { year, month, day } = civilOf(days);
  const yearText = String(year > 0 ? year : 1 - year).padStart(4, "0");
  return `${yearText}-${twoDigits(month)}-${twoDigits(day)}${year > 0 ? "" : " BC"}`;
}

/** ISO 8601 in UTC, as PostgreSQL prints under DateStyle ISO and TimeZone UTC. */
export function printTimestamptz(microseconds: bigint): string {
  if (microseconds === MICROSECONDS_INFINITY) return "infinity";
  if (microseconds === MICROSECONDS_MINUS_INFINITY) return "-infinity";
  const ofDay =
    ((microseconds % MICROSECONDS_PER_DAY) + MICROSECONDS_PER_DAY) % MICROSECONDS_PER_DAY;
  const date = printDate(Number((microseconds - ofDay) / MICROSECONDS_PER_DAY));
  const [dateText = "", era] = date.split(" ");
  const seconds = Number(ofDay / 1_000_000n);
  const fraction = String(ofDay % 1_000_000n)
    .padStart(6, "0")
    .replace(/0+$/, "");
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map(twoDigits)
    .join(":");
  return `${dateText} ${clock}${fraction === "" ? "" : `.${fraction}`}+00${era === undefined ? "" : ` ${era}`}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** Days since 2000-01-01 of a day of the Gregorian calendar, undefined where there is no such day. */
function daysOf(year: number, month: number, day: number): number | undefined {
  // Date.UTC reads years below 100 as 19xx, so the year is set by itself.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.getTime() / MILLISECONDS_PER_DAY - POSTGRES_EPOCH_DAYS;
}

/**
 * The proleptic Gregorian day; the year before 1 is 0. Written out because PostgreSQL's
 * dates reach twenty times beyond those of JavaScript. Eras are 400 years of 146,097 days
 * that begin on a 1 March, so that the leap day is a year's last.
 */
function civilOf(days: number): {
  readonly year: number;
  readonly month: number;
  readonly day: number;
} {
  const sinceEraZero = days + 730_425;
  const era = Math.floor(sinceEraZero / 146_097);
  const dayOfEra = sinceEraZero - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}
