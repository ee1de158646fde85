/** Random key values as texts that every server reads alike: seeded, so that a failure repeats. */
import type { KeyType } from "../../shardmap/shard-key.ts";

/** Uniform over [0, 2^32). */
export type Random = () => number;

/** mulberry32: small, seeded, good enough to pick test values. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

export function below(random: Random, limit: number): number {
  return random() % limit;
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[below(random, items.length)] as T;
}

const CHARACTERS = [
  ...Array.from("abcXYZ019 _-'\"\\%\t\n$"),
  "ä",
  "ß",
  "é",
  "€",
  "中",
  "文",
  "\u{1f600}",
  "\u{10ffff}",
  "\u0301",
  "\u0001",
];

export function randomKeyText(type: KeyType, random: Random): string {
  switch (type) {
    case "smallint":
      return String(BigInt.asIntN(16, bits64(random)));
    case "integer":
      return String(BigInt.asIntN(32, bits64(random)));
    case "bigint": {
      // Of every magnitude, so that small numbers and both sides of 2^32 and 2^53 are among them.
      const value = BigInt.asIntN(64, bits64(random)) >> BigInt(below(random, 64));
      return String(value);
    }
    case "uuid":
      return Array.from({ length: 4 }, () => random().toString(16).padStart(8, "0")).join("");
    case "text":
    case "varchar":
      return Array.from({ length: below(random, 40) }, () => pick(random, CHARACTERS)).join("");
    case "date":
      return isoDate(random);
    case "timestamptz": {
      const clock = [24, 60, 60]
        .map((limit) => String(below(random, limit)).padStart(2, "0"))
        .join(":");
      const fraction = pick(random, [
        "",
        ".5",
        `.${String(below(random, 1_000_000)).padStart(6, "0")}`,
      ]);
      return `${isoDate(random)} ${clock}${fraction}${pick(random, ["Z", "+00", "+05:30", "-0800", "+14"])}`;
    }
  }
}

/** Any day from 0001-01-01 to 9999-12-31. */
function isoDate(random: Random): string {
  const date = new Date(0);
  date.setUTCFullYear(1, 0, 1 + below(random, 3_652_058));
  return `${String(date.getUTCFullYear()).padStart(4, "0")}-${date.toISOString().slice(-19, -14)}`;
}

function bits64(random: Random): bigint {
  return (BigInt(random()) << 32n) | BigInt(random());
}
