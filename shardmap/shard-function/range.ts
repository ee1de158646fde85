/** The range function: each entry is one logical shard, from its lower bound (inclusive) to its upper (exclusive). */
import { compareKeys, type KeyValue } from "../shard-key.ts";
import type { KeyRange } from "./shard-function.ts";

/** The entry that holds the key, or undefined where the ranges leave a gap. Binary search: ranges are sorted and disjoint. */
export function rangeEntryOf(ranges: readonly KeyRange[], key: KeyValue): number | undefined {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range === undefined) return undefined;
    if (range.from !== undefined && compareKeys(key, range.from) < 0) high = middle - 1;
    else if (range.to !== undefined && compareKeys(key, range.to) >= 0) low = middle + 1;
    else return middle;
  }
  return undefined;
}

/** Entries that may hold a key k with from <= k and k < to (k <= to where `toInclusive`). */
export function rangeEntriesBetween(
  ranges: readonly KeyRange[],
  from: KeyValue | undefined,
  to: KeyValue | undefined,
  toInclusive: boolean,
): readonly number[] {
  const entries: number[] = [];
  for (const [index, range] of ranges.entries()) {
    const endsBefore =
      from !== undefined && range.to !== undefined && compareKeys(range.to, from) <= 0;
    const beginsAfter =
      to !== undefined &&
      range.from !== undefined &&
      (toInclusive ? compareKeys(range.from, to) > 0 : compareKeys(range.from, to) >= 0);
    if (!endsBefore && !beginsAfter) entries.push(index);
  }
  return entries;
}
