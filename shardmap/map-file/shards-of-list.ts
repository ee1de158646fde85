/** List placements: each placement's `values` together are one logical shard, numbered as in the file; one may be the default. */
import { logicalShard } from "../../base/ids.ts";
import { keyToText, type KeyType, type KeyValue } from "../shard-key.ts";
import { printKey, readKeyScalar } from "./key-scalars.ts";
import type { AssignedShards, PlacementEntry } from "./placement-entry.ts";
import { fieldText, type ProblemList } from "../../base/document/problems.ts";

export function readListShards(
  keyType: KeyType,
  entries: readonly PlacementEntry[],
  problems: ProblemList,
): AssignedShards {
  /** A key's one spelling to the entry that names it: `01` and `1` are one integer. */
  const namedBy = new Map<string, PlacementEntry>();
  const keys = entries.map((entry) => readValues(keyType, entry, namedBy, problems));
  return {
    function: { kind: "list", entries: keys, defaultEntry: readDefault(entries, problems) },
    shards: entries.map((_, index) => [logicalShard(index)]),
  };
}

function readValues(
  keyType: KeyType,
  entry: PlacementEntry,
  namedBy: Map<string, PlacementEntry>,
  problems: ProblemList,
): readonly KeyValue[] {
  const { path, file, unreadable } = entry;
  if (file.values === undefined && file.default !== true && !unreadable.has("values")) {
    problems.report(
      path,
      "the placement names no values",
      "Add `values: [...]`, or `default: true`.",
    );
  }
  const keys: KeyValue[] = [];
  for (const [index, scalar] of (file.values ?? []).entries()) {
    const at = [...path, "values", index];
    const key = readKeyScalar(keyType, scalar, at, problems);
    if (key === undefined) continue;
    const first = namedBy.get(keyToText(key));
    if (first === undefined) {
      namedBy.set(keyToText(key), entry);
      keys.push(key);
    } else {
      const place = first === entry ? "this placement itself" : fieldText(first.path.slice(2));
      problems.report(
        at,
        `value ${printKey(key)} is already in ${place}`,
        "Each value has one placement: remove it from one.",
      );
    }
  }
  return keys;
}

function readDefault(
  entries: readonly PlacementEntry[],
  problems: ProblemList,
): number | undefined {
  const [first, ...others] = [...entries.keys()].filter(
    (index) => entries[index]?.file.default === true,
  );
  for (const index of others) {
    problems.report(
      [...(entries[index]?.path ?? []), "default"],
      `${fieldText(entries[first ?? 0]?.path.slice(2) ?? [])} is already the default`,
      "One placement at most takes the values that no other names.",
      "name",
    );
  }
  return first;
}
