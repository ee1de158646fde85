/** The list function: each entry is one logical shard and names its keys; one entry may take all others. */
import { compareKeys, keyToText, type KeyValue } from "../shard-key.ts";
import type { ShardFunction } from "./shard-function.ts";

type ListFunction = Extract<ShardFunction, { kind: "list" }>;

/** A list may name thousands of keys and is asked for each row; its index is derived once per map and dies with it. */
const indexes = new WeakMap<ListFunction, ReadonlyMap<string, number>>();

/** The entry that holds the key: the one that names it, else the default, else undefined. */
export function listEntryOf(list: ListFunction, key: KeyValue): number | undefined {
  let index = indexes.get(list);
  if (index === undefined) {
    index = new Map(
      list.entries.flatMap((keys, entry) =>
        keys.map((named): [string, number] => [keyToText(named), entry]),
      ),
    );
    indexes.set(list, index);
  }
  return index.get(keyToText(key)) ?? list.defaultEntry;
}

/** Entries that may hold a key k with from <= k and k < to (k <= to where `toInclusive`). */
export function listEntriesBetween(
  list: ListFunction,
  from: KeyValue | undefined,
  to: KeyValue | undefined,
  toInclusive: boolean,
): readonly number[] {
  const isBetween = (key: KeyValue): boolean => {
    if (from !== undefined && compareKeys(key, from) < 0) return false;
    if (to === undefined) return true;
    return toInclusive ? compareKeys(key, to) <= 0 : compareKeys(key, to) < 0;
  };
  return [...list.entries.keys()].filter(
    (entry) => entry === list.defaultEntry || (list.entries[entry] ?? []).some(isBetween),
  );
}
