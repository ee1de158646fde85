/** Copies stay as they are, whatever is copied behind them. */
import { expect, test } from "vitest";
import { keptAppend, keptCopy } from "../../proxy/protocol/bump-arena.ts";

const text = (length: number, letter: string): Buffer => Buffer.alloc(length, letter);
const copyOf = (bytes: Buffer): Buffer => keptCopy(bytes, 0, bytes.length);

test("what is appended to the last copy is one piece with it, and else it is not appended", () => {
  const first = copyOf(text(10, "a"));
  const joined = keptAppend(first, text(100, "b"), 90, 100);
  expect(joined?.toString()).toBe(`${"a".repeat(10)}${"b".repeat(10)}`);
  expect(first.toString()).toBe("a".repeat(10));
  // It is no longer the last.
  expect(keptAppend(first, text(1, "c"), 0, 1)).toBeUndefined();
  expect(keptAppend(joined ?? first, text(1, "c"), 0, 1)?.length).toBe(21);
  expect(joined?.length).toBe(20);
});

test("a copy that is too large to share memory has nothing behind it", () => {
  const large = copyOf(text(20_000, "a"));
  expect(keptAppend(large, text(1, "b"), 0, 1)).toBeUndefined();
});

test("an arena that is full is not written beyond its end", () => {
  let kept = copyOf(text(1_000, "a"));
  let length = kept.length;
  for (;;) {
    const joined = keptAppend(kept, text(1_000, "b"), 0, 1_000);
    if (joined === undefined) break;
    kept = joined;
    length += 1_000;
  }
  expect(length).toBeLessThanOrEqual(64 * 1024);
  expect(kept.toString()).toBe(`${"a".repeat(1_000)}${"b".repeat(length - 1_000)}`);
  expect(copyOf(text(1_000, "c")).toString()).toBe("c".repeat(1_000));
  expect(kept.toString()).toBe(`${"a".repeat(1_000)}${"b".repeat(length - 1_000)}`);
});
