/** Range placements: each entry of `ranges` is one logical shard; numbers follow the bounds, not the file. Gaps are allowed, overlaps are not. */
import { type LogicalShard, logicalShard } from "../../base/ids.ts";
import type { KeyRange } from "../shard-function/shard-function.ts";
import { compareKeys, type KeyType } from "../shard-key.ts";
import { printKey, readKeyScalar } from "./key-scalars.ts";
import type { AssignedShards, PlacementEntry } from "./placement-entry.ts";
import { type FieldPath, fieldText, type ProblemList } from "../../base/document/problems.ts";

interface PlacedRange {
  readonly range: KeyRange;
  readonly entry: number;
  readonly path: FieldPath;
}

export function readRangeShards(
  keyType: KeyType,
  entries: readonly PlacementEntry[],
  problems: ProblemList,
): AssignedShards {
  const placed = entries
    .flatMap((entry, index) => readRanges(keyType, entry, index, problems))
    .toSorted((left, right) => compareFrom(left.range, right.range));
  for (const [index, later] of placed.entries()) {
    const earlier = placed[index - 1];
    if (earlier !== undefined) rejectOverlap(earlier, later, problems);
  }
  const shards = entries.map((): LogicalShard[] => []);
  for (const [shard, { entry }] of placed.entries()) shards[entry]?.push(logicalShard(shard));
  return { function: { kind: "range", ranges: placed.map(({ range }) => range) }, shards };
}

function readRanges(
  keyType: KeyType,
  { path, file, unreadable }: PlacementEntry,
  entry: number,
  problems: ProblemList,
): readonly PlacedRange[] {
  if (file.ranges === undefined) {
    if (unreadable.has("ranges")) return [];
    problems.report(
      path,
      "the placement names no ranges",
      "Add `ranges: [{ from: ..., to: ... }]`.",
    );
    return [];
  }
  const placed: PlacedRange[] = [];
  for (const [index, bounds] of file.ranges.entries()) {
    const at = [...path, "ranges", index];
    const read = (field: "from" | "to"): KeyRange["from"] => {
      const scalar = bounds[field];
      return scalar === undefined
        ? undefined
        : readKeyScalar(keyType, scalar, [...at, field], problems);
    };
    const range: KeyRange = { from: read("from"), to: read("to") };
    // A bound that could not be read is reported, and must not count as unbounded.
    if ((range.from === undefined) !== (bounds.from === undefined)) continue;
    if ((range.to === undefined) !== (bounds.to === undefined)) continue;
    if (
      range.from !== undefined &&
      range.to !== undefined &&
      compareKeys(range.from, range.to) >= 0
    ) {
      problems.report(
        at,
        `the range from ${printKey(range.from)} to ${printKey(range.to)} is empty`,
        "`from` is inside the range and `to` is not, so `from` must be less.",
      );
      continue;
    }
    placed.push({ range, entry, path: at });
  }
  return placed;
}

function compareFrom(left: KeyRange, right: KeyRange): number {
  if (left.from === undefined) return right.from === undefined ? 0 : -1;
  return right.from === undefined ? 1 : compareKeys(left.from, right.from);
}

function rejectOverlap(earlier: PlacedRange, later: PlacedRange, problems: ProblemList): void {
  const { from } = later.range;
  const { to } = earlier.range;
  if (from !== undefined && to !== undefined && compareKeys(to, from) <= 0) return;
  problems.report(
    later.path,
    `the range from ${printKey(from)} to ${printKey(later.range.to)} overlaps ${fieldText(earlier.path.slice(2))}, from ${printKey(earlier.range.from)} to ${printKey(to)}`,
    "Every key is in one range at most: end one where the other begins (`to` is not inside).",
  );
}
