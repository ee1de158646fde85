/**
 * date, time, timetz, timestamp and timestamptz. Text is read in DateStyle ISO alone, which
 * no other style can be taken for; the order of the numbers is that of date.c and
 * timestamp.c. Microseconds count from 2000-01-01, days likewise.
 */
import { readInt8 } from "./integers.ts";
import { civilDays, readUsualDate, readUsualInstant } from "./iso-bytes.ts";
import { compareNatural, expectBytes, unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

const MICROSECONDS_PER_DAY = 86_400_000_000;
/** Days from 1970-01-01 to 2000-01-01. */
const POSTGRES_EPOCH_DAYS = 10_957;
/** Days whose microseconds a double still holds exactly: 2^53 / 86.4e9. */
const EXACT_DAYS = 104_000;

const INT4_MAX = 0x7fff_ffff;
const INT4_MIN = -0x8000_0000;
const INT8_MAX = 0x7fff_ffff_ffff_ffffn;
const INT8_MIN = -0x8000_0000_0000_0000n;

const DATE = String.raw`(\d{4,})-(\d\d)-(\d\d)`;
const TIME = String.raw`(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?`;
const ZONE = String.raw`([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?`;
const DATE_TEXT = new RegExp(`^${DATE}( BC)?$`);
const TIME_TEXT = new RegExp(`^${TIME}$`);
const TIMETZ_TEXT = new RegExp(`^${TIME}${ZONE}$`);
const TIMESTAMP_TEXT = new RegExp(`^${DATE} ${TIME}( BC)?$`);
const TIMESTAMPTZ_TEXT = new RegExp(`^${DATE} ${TIME}${ZONE}( BC)?$`);

export const dateType: ValueType<number> = {
  readText: (bytes, start, end) => {
    const usual = readUsualDate(bytes, start, end);
    if (usual !== undefined) return usual - POSTGRES_EPOCH_DAYS;
    const text = bytes.toString("latin1", start, end);
    if (text === "infinity") return INT4_MAX;
    if (text === "-infinity") return INT4_MIN;
    const match = DATE_TEXT.exec(text);
    if (match === null) throw unreadable("date");
    return daysOf(match[1], match[2], match[3], match[4]);
  },
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 4, "date");
    return bytes.readInt32BE(start);
  },
  compare: compareNatural,
  identity: String,
  textToBinary: (text) => {
    const target = Buffer.alloc(4);
    target.writeInt32BE(dateType.readText(text, 0, text.length));
    return target;
  },
};

export const timeType: ValueType<number | bigint> = int64Type("time", (text) => {
  const match = TIME_TEXT.exec(text);
  return match === null ? undefined : timeOf(match[1], match[2], match[3], match[4]);
});

export const timestampType = instantType("timestamp", "no zone", (text) => {
  if (text === "infinity") return INT8_MAX;
  if (text === "-infinity") return INT8_MIN;
  const match = TIMESTAMP_TEXT.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, era] = match;
  return instant(daysOf(year, month, day, era), timeOf(hour, minute, second, fraction));
});

export const timestamptzType = instantType("timestamptz", "zone", (text) => {
  if (text === "infinity") return INT8_MAX;
  if (text === "-infinity") return INT8_MIN;
  const match = TIMESTAMPTZ_TEXT.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, ...rest] = match;
  const [zoneHour, zoneMinute, zoneSecond, era] = rest;
  const time = timeOf(hour, minute, second, fraction);
  const west = secondsWest(sign, zoneHour, zoneMinute, zoneSecond);
  return instant(daysOf(year, month, day, era), time + west * 1_000_000);
});

/** time with time zone: seconds west of Greenwich, as PostgreSQL keeps them. */
export interface TimeWithZone {
  readonly time: number;
  readonly secondsWest: number;
}

/** By the instant in UTC, then by zone (date.c, timetz_cmp_internal). */
export const timetzType: ValueType<TimeWithZone> = {
  readText: (bytes, start, end) => {
    const match = TIMETZ_TEXT.exec(bytes.toString("latin1", start, end));
    if (match === null) throw unreadable("timetz");
    const [, hour, minute, second, fraction, sign, zoneHour, zoneMinute, zoneSecond] = match;
    return {
      time: timeOf(hour, minute, second, fraction),
      secondsWest: secondsWest(sign, zoneHour, zoneMinute, zoneSecond),
    };
  },
  readBinary: (bytes, start, end) => {
    expectBytes(start, end, 12, "timetz");
    return {
      time: Number(bytes.readBigInt64BE(start)),
      secondsWest: bytes.readInt32BE(start + 8),
    };
  },
  compare: (a, b) => {
    const instants = a.time + a.secondsWest * 1_000_000 - (b.time + b.secondsWest * 1_000_000);
    return instants === 0 ? a.secondsWest - b.secondsWest : instants;
  },
  identity: ({ time, secondsWest: west }) => `${time}:${west}`,
  textToBinary: (text) => {
    const value = timetzType.readText(text, 0, text.length);
    const target = Buffer.alloc(12);
    target.writeBigInt64BE(BigInt(value.time));
    target.writeInt32BE(value.secondsWest, 8);
    return target;
  },
};

/** `read` gives undefined for text that is not in the ISO style. */
function int64Type(
  typeName: string,
  read: (text: string) => number | bigint | undefined,
): ValueType<number | bigint> {
  const readText = (bytes: Buffer, start: number, end: number): number | bigint => {
    const value = read(bytes.toString("latin1", start, end));
    if (value === undefined) throw unreadable(typeName);
    return value;
  };
  return {
    readText,
    readBinary: (bytes, start, end) => {
      expectBytes(start, end, 8, typeName);
      return readInt8(bytes, start);
    },
    compare: compareNatural,
    identity: String,
    textToBinary: (text) => {
      const target = Buffer.alloc(8);
      target.writeBigInt64BE(BigInt(readText(text, 0, text.length)));
      return target;
    },
  };
}

/** As int64Type, but that the usual form of an instant is read without making a string of it. */
function instantType(
  typeName: string,
  zone: "zone" | "no zone",
  read: (text: string) => number | bigint | undefined,
): ValueType<number | bigint> {
  const type = int64Type(typeName, read);
  return {
    ...type,
    readText: (bytes, start, end) => {
      const usual = readUsualInstant(bytes, start, end, zone);
      return usual === undefined
        ? type.readText(bytes, start, end)
        : usual - POSTGRES_EPOCH_DAYS * MICROSECONDS_PER_DAY;
    },
  };
}

type Digits = string | undefined;

/** Days of the proleptic Gregorian calendar; 1 BC is the year 0. */
function daysOf(yearText: Digits, monthText: Digits, dayText: Digits, era: Digits): number {
  const written = Number(yearText);
  const year = era === undefined ? written : 1 - written;
  return civilDays(year, Number(monthText), Number(dayText)) - POSTGRES_EPOCH_DAYS;
}

/** Microseconds since midnight. */
function timeOf(hour: Digits, minute: Digits, second: Digits, fraction: Digits): number {
  const seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  return seconds * 1_000_000 + Number((fraction ?? "").padEnd(6, "0"));
}

function secondsWest(sign: Digits, hour: Digits, minute: Digits, second: Digits): number {
  const seconds = Number(hour) * 3600 + Number(minute ?? 0) * 60 + Number(second ?? 0);
  return sign === "-" ? seconds : -seconds || 0;
}

function instant(days: number, microseconds: number): number | bigint {
  if (Math.abs(days) < EXACT_DAYS) return days * MICROSECONDS_PER_DAY + microseconds;
  return BigInt(days) * BigInt(MICROSECONDS_PER_DAY) + BigInt(microseconds);
}
