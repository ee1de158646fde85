/**
 * interval: months, days and microseconds, kept apart. Text is read and written in
 * IntervalStyle postgres; other styles differ in form and are refused, but for the plain
 * `hh:mm:ss` that means the same in all of them. Sums and averages are timestamp.c's.
 */
import { SqlError } from "../../../../base/sql-error.ts";
import { compareNatural, expectBytes, unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly microseconds: bigint;
}

const MICROSECONDS_PER_DAY = 86_400_000_000n;
const SECONDS_PER_DAY = 86_400;
const DAYS_PER_MONTH = 30;
const INT4_MAX = 0x7fff_ffff;
const INT4_MIN = -0x8000_0000;
const INT8_MAX = 0x7fff_ffff_ffff_ffffn;
const INT8_MIN = -0x8000_0000_0000_0000n;

/** PostgreSQL 17 and later. */
const INFINITE: Interval = { months: INT4_MAX, days: INT4_MAX, microseconds: INT8_MAX };
const MINUS_INFINITE: Interval = { months: INT4_MIN, days: INT4_MIN, microseconds: INT8_MIN };

/** Ordered as if a month had 30 days and a day 24 hours (interval_cmp_value). */
export const intervalType: ValueType<bigint> = {
  readText: (bytes, start, end) =>
    intervalSpan(parseInterval(bytes.toString("latin1", start, end))),
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 16, "interval");
    return intervalSpan({
      microseconds: bytes.readBigInt64BE(start),
      days: bytes.readInt32BE(start + 8),
      months: bytes.readInt32BE(start + 12),
    });
  },
  compare: compareNatural,
  identity: String,
  textToBinary: (text) => encodeInterval(parseInterval(text.toString("latin1"))),
};

function intervalSpan({ months, days, microseconds }: Interval): bigint {
  const wholeDays = BigInt(months) * BigInt(DAYS_PER_MONTH) + BigInt(days);
  return wholeDays * MICROSECONDS_PER_DAY + microseconds;
}

const INTERVAL_TEXT =
  /^(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?(?:([+-]?)(\d{2,}):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

export function parseInterval(text: string): Interval {
  if (text === "infinity") return INFINITE;
  if (text === "-infinity") return MINUS_INFINITE;
  const match = INTERVAL_TEXT.exec(text);
  if (match === null || text === "") throw unreadable("interval");
  const [, years = "0", months = "0", days = "0", sign, hours = "0", minutes, seconds] = match;
  const fraction = (match[8] ?? "").padEnd(6, "0");
  const wholeSeconds = BigInt(hours) * 3600n + BigInt(minutes ?? 0) * 60n + BigInt(seconds ?? 0);
  const microseconds = wholeSeconds * 1_000_000n + BigInt(fraction);
  return {
    months: Number(years) * 12 + Number(months),
    days: Number(days),
    microseconds: sign === "-" ? -microseconds : microseconds,
  };
}

/** EncodeInterval, INTSTYLE_POSTGRES: a plus sign follows a minus, so that each field reads alone. */
export function formatInterval(interval: Interval): string {
  if (isInfinite(interval)) return interval.months > 0 ? "infinity" : "-infinity";
  const { months, days, microseconds } = interval;
  const parts: string[] = [];
  let isAfterNegative = false;
  const append = (value: number, unit: string): void => {
    if (value === 0) return;
    parts.push(
      `${isAfterNegative && value > 0 ? "+" : ""}${value} ${unit}${value === 1 ? "" : "s"}`,
    );
    isAfterNegative = value < 0;
  };
  append(Math.trunc(months / 12), "year");
  append(months % 12, "mon");
  append(days, "day");
  if (parts.length === 0 || microseconds !== 0n) {
    const sign = microseconds < 0n ? "-" : isAfterNegative ? "+" : "";
    parts.push(sign + clock(microseconds < 0n ? -microseconds : microseconds));
  }
  return parts.join(" ");
}

function clock(microseconds: bigint): string {
  const seconds = microseconds / 1_000_000n;
  const fraction = String(microseconds % 1_000_000n)
    .padStart(6, "0")
    .replace(/0+$/, "");
  const fields = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n];
  const whole = fields.map((field) => String(field).padStart(2, "0")).join(":");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

export function encodeInterval({ months, days, microseconds }: Interval): Buffer {
  const target = Buffer.alloc(16);
  target.writeBigInt64BE(microseconds);
  target.writeInt32BE(days, 8);
  target.writeInt32BE(months, 12);
  return target;
}

/** interval_pl: field by field; opposite infinities have no sum. */
export function addIntervals(a: Interval, b: Interval): Interval {
  if (isInfinite(a)) {
    if (isInfinite(b) && a.months !== b.months) throw outOfRange();
    return a;
  }
  if (isInfinite(b)) return b;
  return checkedInterval(a.months + b.months, a.days + b.days, a.microseconds + b.microseconds);
}

/** interval_div: fractions of a month go to days, of a day to the time, in doubles as there. */
export function divideInterval(span: Interval, divisor: number): Interval {
  if (isInfinite(span)) return span;
  const months = Math.trunc(span.months / divisor);
  let days = Math.trunc(span.days / divisor);
  const monthRest = toMicros((span.months / divisor - months) * DAYS_PER_MONTH);
  const wholeRestDays = Math.trunc(monthRest);
  let seconds = toMicros(
    (span.days / divisor - days + monthRest - wholeRestDays) * SECONDS_PER_DAY,
  );
  if (Math.abs(seconds) >= SECONDS_PER_DAY) {
    const carried = Math.trunc(seconds / SECONDS_PER_DAY);
    days += carried;
    seconds -= carried * SECONDS_PER_DAY;
  }
  days += wholeRestDays;
  const microseconds = roundEven(Number(span.microseconds) / divisor + seconds * 1_000_000);
  return checkedInterval(months, days, BigInt(microseconds));
}

/** TSROUND: to whole microseconds. */
function toMicros(value: number): number {
  return roundEven(value * 1_000_000) / 1_000_000;
}

/** C's rint: halves go to the even neighbour. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function isInfinite({ months, days, microseconds }: Interval): boolean {
  return (
    (months === INT4_MAX && days === INT4_MAX && microseconds === INT8_MAX) ||
    (months === INT4_MIN && days === INT4_MIN && microseconds === INT8_MIN)
  );
}

function checkedInterval(months: number, days: number, microseconds: bigint): Interval {
  const interval = { months, days, microseconds };
  const fits =
    [months, days].every((field) => field >= INT4_MIN && field <= INT4_MAX) &&
    microseconds >= INT8_MIN &&
    microseconds <= INT8_MAX &&
    !isInfinite(interval);
  if (!fits) throw outOfRange();
  return interval;
}

function outOfRange(): SqlError {
  return new SqlError("combined_interval_out_of_range", "interval out of range");
}
