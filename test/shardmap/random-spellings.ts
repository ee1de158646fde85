/** Spellings of key values, right and wrong, and numeric literals around every bound: seeded, so that a failure repeats. */
import type { KeyType } from "../../shardmap/shard-key.ts";
import { below, pick, randomKeyText, type Random } from "./random-keys.ts";

const PIECES: Readonly<Record<"number" | "uuid" | "time" | "text", readonly string[]>> = {
  number: [
    ...Array.from("0123456789"),
    "9",
    "00",
    " ",
    "\t",
    "\v",
    "\u00a0",
    "+",
    "-",
    "_",
    "0x",
    "0b",
    "0o",
    "f",
    "e",
    ".",
    "32767",
    "32768",
    "2147483648",
    "9223372036854775807",
  ],
  uuid: [...Array.from("0aF9"), "-", "{", "}", " ", "0123", "abcd", "ABCD-", "g"],
  time: [
    ...Array.from("0129"),
    "-",
    ":",
    ".",
    " ",
    "T",
    "Z",
    "z",
    "+",
    "2024",
    "02",
    "30",
    "29",
    "13",
    "BC",
    "+02",
    "-16",
    "24:00:00",
    "12:30",
    ":60",
    "infinity",
    "now",
    "AD",
    "/",
    "Jan",
  ],
  text: [...Array.from("ab "), "ä", "\u{1f600}", "'", "\\"],
};

const PIECES_OF: Readonly<Record<KeyType, readonly string[]>> = {
  smallint: PIECES.number,
  integer: PIECES.number,
  bigint: PIECES.number,
  uuid: PIECES.uuid,
  text: PIECES.text,
  varchar: PIECES.text,
  date: PIECES.time,
  timestamptz: PIECES.time,
};

/** A right spelling, or one with pieces put in, taken out or replaced, or nothing but pieces. */
export function spelling(type: KeyType, random: Random): string {
  const pieces = PIECES_OF[type];
  const anything = Array.from({ length: below(random, 6) }, () => pick(random, pieces)).join("");
  if (below(random, 4) === 0) return anything;
  let text = randomKeyText(type, random);
  if (type === "uuid" && below(random, 2) === 0)
    text = text.replace(/(.{4})/g, "$1-").replace(/-$/, "");
  if (type === "uuid" && below(random, 3) === 0) text = `{${text}}`;
  if (type === "date" || type === "timestamptz") text = shiftDay(text, random);
  for (let edits = below(random, 3); edits > 0; edits--) {
    const at = below(random, text.length + 1);
    text = text.slice(0, at) + pick(random, [...pieces, ""]) + text.slice(at + below(random, 2));
  }
  return text;
}

/** Now and then a month or a day that may not exist. */
function shiftDay(text: string, random: Random): string {
  if (below(random, 2) === 0) return text;
  const [month, day] = [below(random, 15), below(random, 34)].map((part) =>
    String(part).padStart(2, "0"),
  );
  return text.replace(/^(\d{4})-\d\d-\d\d/, `$1-${month}-${day}`);
}

/** Numeric literals around every bound, with fractions, exponents and signs. */
export function numberLiterals(random: Random, count: number): readonly string[] {
  const bounds = [
    0n,
    5n,
    32767n,
    32768n,
    2147483647n,
    2147483648n,
    9007199254740993n,
    9223372036854775807n,
    9223372036854775808n,
  ];
  return Array.from({ length: count }, () => {
    const sign = pick(random, ["", "-"]);
    const whole = String(pick(random, bounds));
    const shape = pick(random, [
      "",
      "",
      ".0",
      ".",
      ".5",
      ".50",
      ".4999",
      "e0",
      "e1",
      "0e-1",
      "5e-1",
      "e-2",
      "e20",
      ".5e1",
      "e400",
    ]);
    return pick(random, [
      `${sign}${whole}${shape}`,
      `${sign}${whole}${shape}`,
      `${sign}.5`,
      `${sign}00${whole}`,
    ]);
  });
}
