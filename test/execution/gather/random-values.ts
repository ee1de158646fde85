/** Numbers and times as texts that PostgreSQL reads, with the edges of each type among them. */
import fc from "fast-check";

/** Fixed, so that a failure is the same again. */
export const SEED = 20_260_722;

export const int = (min: bigint, max: bigint) => fc.bigInt({ min, max }).map(String);
const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`));
const pad = (value: number, width: number) => String(value).padStart(width, "0");
export const nat = (min: number, max: number) => fc.integer({ min, max });

export const numeric = fc.oneof(
  fc.tuple(fc.constantFrom("", "-"), digits(30), digits(30)).map(([s, a, b]) => `${s}${a}.${b}`),
  fc
    .tuple(fc.constantFrom("", "-"), digits(3), fc.constantFrom("", ".0", ".00", ".50", ".5"))
    .map((p) => p.join("")),
  fc.tuple(digits(2), nat(-40, 40)).map(([d, e]) => `${d}e${e}`),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "0", "0.000", "1e1000", "-1e1000", "1e-1000"),
);
export const float = fc.oneof(
  fc.double({ noNaN: true }).map((value) => (Object.is(value, -0) ? "-0" : String(value))),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "-0", "0", "1", "1.5"),
);
export const float4 = fc.oneof(
  fc.float({ noNaN: true }).map((value) => (Object.is(value, -0) ? "-0" : String(value))),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "-0", "0", "0.1"),
);
export const date = fc.oneof(
  fc
    .tuple(nat(1, 9999), nat(1, 12), nat(1, 28))
    .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`),
  fc
    .tuple(nat(1, 4713), nat(1, 12), nat(1, 28))
    .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)} BC`),
  fc.tuple(nat(10_000, 294_000), nat(1, 12)).map(([y, m]) => `${y}-${pad(m, 2)}-01`),
  fc.constantFrom(
    "infinity",
    "-infinity",
    "2000-02-29",
    "1900-02-28",
    "2000-01-01",
    "4713-11-24 BC",
    "0001-01-01",
  ),
);
export const time = fc.oneof(
  fc
    .tuple(nat(0, 23), nat(0, 59), nat(0, 59), nat(0, 999_999))
    .map(([h, m, s, f]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(f, 6)}`),
  fc.constantFrom("00:00", "24:00", "12:00:00.5", "12:00:00.45", "12:00"),
);
export const zone = fc.constantFrom(
  "+00",
  "+05:30",
  "-03:30",
  "+13",
  "-12",
  "+00:19:32",
  "-00:00:30",
);
export const moment = fc.tuple(date, time).map(([day, clock]) => {
  if (day.includes("infinity")) return day;
  return day.endsWith(" BC") ? `${day.slice(0, -3)} ${clock} BC` : `${day} ${clock}`;
});
export const interval = fc.oneof(
  fc
    .tuple(nat(-30, 30), nat(-70, 70), nat(-90, 90), nat(-100_000, 100_000), nat(0, 999_999))
    .map(([y, m, d, s, f]) => `${y} years ${m} mons ${d} days ${s}.${pad(f, 6)} seconds`),
  fc.constantFrom(
    "0",
    "1 mon",
    "30 days",
    "720:00",
    "-1 day +24:00",
    "1 day",
    "24:00",
    "infinity",
    "-infinity",
  ),
  fc.constantFrom("178000000 years", "-178000000 years", "2147483647 days", "2562047788:00:54"),
);
