/** Ranges, snapshots, keys: what becomes of a change, told without a server. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { ChunkMap, type DoneChunk } from "../../migration/chunk-map.ts";
import { compareOrdered, orderedKey } from "../../migration/key-order.ts";
import { parseSnapshot, printSnapshot, sees, widen } from "../../migration/snapshot.ts";

const ONE = databaseName("one");
const TWO = databaseName("two");

describe("a snapshot", () => {
  const snapshot = parseSnapshot("100:110:100,105");

  test.each([
    [99n, true],
    [100n, false],
    [104n, true],
    [105n, false],
    [109n, true],
    [110n, false],
    [4_294_967_395n, false],
  ])("of transaction %s: %s", (transaction, expected) => {
    expect(sees(snapshot, transaction)).toBe(expected);
  });

  test("is stored as it is printed", () => {
    for (const text of ["100:110:100,105", "7:7:"])
      expect(printSnapshot(parseSnapshot(text))).toBe(text);
    expect(() => parseSnapshot("7:8")).toThrow("a snapshot is printed as");
  });

  test("an id of 32 bits is the one nearest to a known id of 64", () => {
    const anyId = fc.bigInt({ min: 1n << 31n, max: 1n << 60n });
    const anyDistance = fc.bigInt({ min: -(1n << 31n), max: (1n << 31n) - 1n });
    fc.assert(
      fc.property(anyId, anyDistance, (near, distance) => {
        const id = near + distance;
        expect(widen(Number(BigInt.asUintN(32, id)), near)).toBe(id);
      }),
    );
  });
});

describe("keys", () => {
  test("are ordered as PostgreSQL's indexes order them", () => {
    const sorted = [
      ["-9223372036854775808", "a", "\\x"],
      ["-1", "", "\\x00"],
      ["-1", "Z", "\\x"],
      ["-1", "a", "\\x"],
      ["-1", "a", "\\x00"],
      ["-1", "ab", "\\x"],
      ["-1", "ÿ", "\\x"],
      // By its bytes an astral character is behind the end of the plane below it; by UTF-16 it is before.
      ["-1", "\uFFFD", "\\x"],
      ["-1", "🐎", "\\x"],
      ["2", "", "\\x"],
      ["10", "", "\\x"],
    ];
    const orders = ["integer", "textBytes", "hexBytes"] as const;
    const keys = sorted.map((key) => orderedKey(orders, key));
    expect(keys.toSorted(compareOrdered)).toEqual(keys);
    for (const key of keys) expect(compareOrdered(key, key)).toBe(0);
  });
});

describe("a table's chunks", () => {
  const early = parseSnapshot("10:20:15");
  const late = parseSnapshot("30:40:");

  test("discard, buffer, apply what the snapshot did not see", () => {
    const chunks = new ChunkMap(["integer"], [ONE]);
    expect(chunks.judge(["5"], ONE, 12n).kind).toBe("discard");
    const range = chunks.nextTodo();
    if (range === undefined) throw new Error("all is to be done");
    const chunk = chunks.openPart(range, ["7"]);
    expect(chunks.judge(["7"], ONE, 12n)).toEqual({ kind: "buffer", chunk });
    expect(chunks.judge(["8"], ONE, 12n).kind).toBe("discard");
    chunks.finish(chunk, early);
    expect(chunks.judge(["7"], ONE, 12n).kind).toBe("seen");
    expect(chunks.judge(["7"], ONE, 15n).kind).toBe("apply");
    expect(chunks.judge(["7"], ONE, 20n).kind).toBe("apply");
    expect(chunks.isDone).toBe(false);
  });

  test("given up, a chunk discards until it is opened again", () => {
    const chunks = new ChunkMap(["integer"], [ONE]);
    const range = chunks.nextTodo();
    if (range === undefined) throw new Error("all is to be done");
    const chunk = chunks.open(range);
    chunks.giveUp(chunk);
    expect(chunks.judge(["1"], ONE, 12n).kind).toBe("discard");
    expect(chunks.nextTodo()).toBeUndefined();
    chunks.reopen(chunk);
    expect(chunks.isGivenUp(chunk)).toBe(false);
    expect(chunks.nextTodo()).toBeDefined();
  });

  test("are read back as they were stored, though one target may have fewer", () => {
    const done: DoneChunk[] = [
      { database: ONE, from: undefined, to: ["10"], snapshot: early },
      { database: ONE, from: ["10"], to: ["20"], snapshot: late },
      { database: TWO, from: undefined, to: ["10"], snapshot: early },
    ];
    const chunks = new ChunkMap(["integer"], [ONE, TWO], done);
    expect(chunks.judge(["11"], ONE, 35n).kind).toBe("seen");
    expect(chunks.judge(["11"], TWO, 35n).kind).toBe("discard");
    expect(chunks.rangeCount).toBe(3);
    const next = chunks.nextTodo();
    expect(next).toMatchObject({ from: ["10"], to: ["20"] });
    if (next === undefined) throw new Error("a range waits");
    expect(chunks.open(next).databases).toEqual([TWO]);
  });

  test("need no snapshots any more once the stream has passed them", () => {
    const done: DoneChunk[] = [{ database: ONE, from: undefined, to: undefined, snapshot: early }];
    const chunks = new ChunkMap(["integer"], [ONE], done);
    chunks.pass(19n);
    expect([chunks.isFiltering, chunks.judge(["1"], ONE, 12n).kind]).toEqual([true, "seen"]);
    chunks.pass(20n);
    expect([chunks.isFiltering, chunks.judge(["1"], ONE, 12n).kind]).toEqual([false, "apply"]);
  });

  test("leave no key out, wherever they are cut", () => {
    const keys = fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 12 });
    fc.assert(
      fc.property(keys, fc.integer({ min: -60, max: 60 }), (cuts, key) => {
        const chunks = new ChunkMap(["integer"], [ONE]);
        for (const cut of cuts.toSorted((a, b) => a - b)) {
          const range = chunks.nextTodo();
          if (range === undefined) break;
          if (range.from?.[0] === String(cut)) continue;
          chunks.finish(chunks.openPart(range, [String(cut)]), early);
        }
        const highest = Math.max(...cuts);
        const expected = key <= highest ? "apply" : "discard";
        expect(chunks.judge([String(key)], ONE, 15n).kind).toBe(expected);
      }),
    );
  });
});
