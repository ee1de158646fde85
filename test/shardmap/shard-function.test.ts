/** The shard functions against vectors that a real server made, and their rules at the edges. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { partitionHash, partitionHashModulo } from "../../shardmap/shard-function/hash.ts";
import { shardOf, shardsInRange } from "../../shardmap/shard-function/shard-of.ts";
import type { ShardFunction } from "../../shardmap/shard-function/shard-function.ts";
import { keyFromText, keyToText, type KeyType, type KeyValue } from "../../shardmap/shard-key.ts";
import type { GoldenFile } from "./golden/generate.ts";

const golden: GoldenFile = JSON.parse(
  readFileSync(new URL("testdata/partition-hash.json", import.meta.url), "utf8"),
) as GoldenFile;

function key(type: KeyType, text: string): KeyValue {
  const read = keyFromText(type, text);
  if (typeof read === "string") throw new Error(`${type} ${text}: ${read}`);
  return read;
}

describe("hash", () => {
  test("there are vectors of every key type", () => {
    expect(new Set(golden.vectors.flatMap(({ types }) => types)).size).toBe(8);
    expect(golden.vectors.length).toBeGreaterThan(180);
  });

  test.each(
    golden.vectors.map((vector) => [vector.types.join(), vector.key.join("|"), vector] as const),
  )("%s %j is in the server's partition", (_types, _key, { types, key: texts, remainders }) => {
    const values = types.map((type, index) => key(type, texts[index] ?? ""));
    for (const [modulus, remainder] of Object.entries(remainders)) {
      expect(partitionHashModulo(values, Number(modulus))).toBe(remainder);
      expect(Number(partitionHash(values) % BigInt(modulus))).toBe(remainder);
      expect(shardOf({ kind: "hash", logicalShards: Number(modulus) }, values)).toBe(remainder);
    }
  });

  test("equal integers of different widths hash alike", () => {
    for (const text of ["0", "-1", "-32768", "32767"]) {
      const hashes = (["smallint", "integer", "bigint"] as const).map((type) =>
        partitionHash([key(type, text)]),
      );
      expect(new Set(hashes).size).toBe(1);
    }
  });

  test("the remainder of the whole hash is exact up to the largest number of logical shards", () => {
    for (let value = 0n; value < 2_000n; value++) {
      const values: KeyValue[] = [{ kind: "integer", value: value * 7_919_191_919_191n }];
      for (const modulus of [2 ** 20, 2 ** 20 - 3]) {
        expect(partitionHashModulo(values, modulus)).toBe(
          Number(partitionHash(values) % BigInt(modulus)),
        );
      }
    }
  });
});

describe("range", () => {
  const year = (text: string): KeyValue => key("date", text);
  const fn: ShardFunction = {
    kind: "range",
    ranges: [
      { from: undefined, to: year("2020-01-01") },
      { from: year("2020-01-01"), to: year("2021-01-01") },
      { from: year("2022-01-01"), to: year("2023-01-01") },
    ],
  };

  test.each([
    ["1999-12-31", 0],
    ["2019-12-31", 0],
    ["2020-01-01", 1],
    ["2020-12-31", 1],
    ["2021-01-01", undefined],
    ["2021-12-31", undefined],
    ["2022-01-01", 2],
    ["2023-01-01", undefined],
  ])("%s is in range %s", (text, shard) => {
    expect(shardOf(fn, [year(text)])).toBe(shard);
  });

  test("bounds leave out ranges that cannot hold the key, and no others", () => {
    expect(shardsInRange(fn, year("2020-06-01"), undefined, false)).toEqual([1, 2]);
    expect(shardsInRange(fn, year("2020-01-01"), year("2022-01-01"), false)).toEqual([1]);
    expect(shardsInRange(fn, year("2020-01-01"), year("2022-01-01"), true)).toEqual([1, 2]);
    expect(shardsInRange(fn, year("2021-02-01"), year("2021-03-01"), true)).toEqual([]);
    expect(shardsInRange(fn, undefined, year("2019-01-01"), false)).toEqual([0]);
  });

  test("text bounds leave out nothing: the column's collation may order otherwise", () => {
    const letters: ShardFunction = {
      kind: "range",
      ranges: [
        { from: undefined, to: key("text", "m") },
        { from: key("text", "m"), to: undefined },
      ],
    };
    expect(shardOf(letters, [key("text", "Z")])).toBe(0);
    expect(shardOf(letters, [key("text", "ä")])).toBe(1);
    expect(shardsInRange(letters, key("text", "n"), undefined, false)).toEqual([0, 1]);
  });
});

describe("list", () => {
  const values = (...texts: string[]): KeyValue[] => texts.map((text) => key("integer", text));
  const entries = [values("1", "2"), [], values("5")];

  test("a value is in the entry that names it, else in the default, else nowhere", () => {
    const fn: ShardFunction = { kind: "list", entries, defaultEntry: 1 };
    const without: ShardFunction = { kind: "list", entries, defaultEntry: undefined };
    expect([1, 2, 5, 6].map((value) => shardOf(fn, values(String(value))))).toEqual([0, 0, 2, 1]);
    expect([1, 2, 5, 6].map((value) => shardOf(without, values(String(value))))).toEqual([
      0,
      0,
      2,
      undefined,
    ]);
    expect(shardsInRange(fn, values("2")[0], values("4")[0], false)).toEqual([0, 1]);
    expect(shardsInRange(without, values("2")[0], values("5")[0], true)).toEqual([0, 2]);
    expect(shardsInRange(without, values("2")[0], values("5")[0], false)).toEqual([0]);
  });
});

test("a key's text is read back as the key", () => {
  for (const { types, key: texts } of golden.vectors) {
    for (const [index, type] of types.entries()) {
      const value = key(type, texts[index] ?? "");
      expect(key(type, keyToText(value))).toEqual(value);
    }
  }
});
