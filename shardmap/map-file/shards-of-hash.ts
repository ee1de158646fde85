/** Hash placements: `shards` name numbers from 0 to logical_shards - 1, and each number stands exactly once. */
import { type LogicalShard, logicalShard } from "../../base/ids.ts";
import type { AssignedShards, PlacementEntry } from "./placement-entry.ts";
import { type FieldPath, fieldText, type ProblemList } from "../../base/document/problems.ts";
import { parseShardSet, printShards, type ShardRun } from "./shard-numbers.ts";

export function readHashShards(
  logicalShards: number | undefined,
  entries: readonly PlacementEntry[],
  path: FieldPath,
  problems: ProblemList,
): AssignedShards | undefined {
  const runs = entries.map((entry) => readRuns(entry, problems));
  if (logicalShards === undefined) return undefined;

  /** The entry that has the shard; -1 for none yet. */
  const ownerOf = new Int32Array(logicalShards).fill(-1);
  for (const [index, entry] of entries.entries()) {
    claim(index, entry, runs[index] ?? [], ownerOf, entries, problems);
  }
  const missing = [...ownerOf.keys()].filter((shard) => ownerOf[shard] === -1);
  // What could not be read may be what is missing.
  if (missing.length > 0 && !runs.includes(undefined)) {
    problems.report(
      path,
      `${missing.length === 1 ? "logical shard" : "logical shards"} ${printShards(missing)} ${missing.length === 1 ? "has" : "have"} no placement`,
      `Give each of the ${logicalShards} logical shards to one placement.`,
      "name",
    );
  }
  const shards = entries.map((): LogicalShard[] => []);
  for (const [shard, owner] of ownerOf.entries()) shards[owner]?.push(logicalShard(shard));
  return { function: { kind: "hash", logicalShards }, shards };
}

/** Undefined where the entry has no readable `shards`; then that is reported. */
function readRuns(
  { path, file, unreadable }: PlacementEntry,
  problems: ProblemList,
): readonly ShardRun[] | undefined {
  if (file.shards === undefined) {
    if (!unreadable.has("shards")) {
      problems.report(path, "the placement names no logical shards", "Add `shards: 0-239`.");
    }
    return undefined;
  }
  const { shards } = file;
  const isList = Array.isArray(shards);
  const runs: ShardRun[] = [];
  let isReadable = true;
  for (const [index, element] of (isList ? shards : [shards]).entries()) {
    const parsed =
      typeof element === "number" ? [{ first: element, last: element }] : parseShardSet(element);
    if ("unreadable" in parsed) {
      isReadable = false;
      problems.report(
        isList ? [...path, "shards", index] : [...path, "shards"],
        `"${parsed.unreadable.slice(0, 80)}" is no set of logical shards`,
        "Write a number, a range from the lower to the higher such as 0-239, or several with commas: 0-3,8.",
      );
    } else runs.push(...parsed);
  }
  return isReadable ? runs : undefined;
}

function claim(
  index: number,
  { path }: PlacementEntry,
  runs: readonly ShardRun[],
  ownerOf: Int32Array,
  entries: readonly PlacementEntry[],
  problems: ProblemList,
): void {
  /** Shards that this entry names and another (or itself, earlier) already has, by that one. */
  const twice = new Map<number, number[]>();
  for (const { first, last } of runs) {
    if (last >= ownerOf.length) {
      problems.report(
        [...path, "shards"],
        `logical shard ${Math.max(first, ownerOf.length)} is beyond the last, ${ownerOf.length - 1}`,
        `Logical shards are numbered from 0 to ${ownerOf.length - 1} (\`logical_shards\` less one).`,
      );
    }
    for (let shard = first; shard <= Math.min(last, ownerOf.length - 1); shard++) {
      const owner = ownerOf[shard] ?? -1;
      if (owner === -1) ownerOf[shard] = index;
      else pushTo(twice, owner, shard);
    }
  }
  for (const [owner, shards] of twice) {
    const other =
      owner === index ? "this placement itself" : fieldText(entries[owner]?.path.slice(2) ?? []);
    problems.report(
      [...path, "shards"],
      `${shards.length === 1 ? "logical shard" : "logical shards"} ${printShards(shards)} ${shards.length === 1 ? "is" : "are"} already in ${other}`,
      "Each logical shard has exactly one placement: remove it from one.",
    );
  }
}

function pushTo(lists: Map<number, number[]>, key: number, item: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
