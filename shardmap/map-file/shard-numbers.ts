/** Sets of logical shards as a map file writes them: `7`, `0-239`, `0-3,8`, or a list of these. */

/** A run of shards, both ends inside. */
export interface ShardRun {
  readonly first: number;
  readonly last: number;
}

/** One element in words that cannot be read is returned as it was written. */
export function parseShardSet(text: string): readonly ShardRun[] | { readonly unreadable: string } {
  const runs: ShardRun[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?$/.exec(part);
    if (match === null) return { unreadable: part.trim() };
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first) return { unreadable: part.trim() };
    runs.push({ first, last });
  }
  return runs;
}

/** `0-3, 8`: ascending numbers, runs joined; a long answer is cut. */
export function printShards(shards: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const shard of shards) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1 === shard) run.last = shard;
    else runs.push({ first: shard, last: shard });
  }
  const shown = runs
    .slice(0, 20)
    .map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  return runs.length > shown.length ? `${shown.join(", ")} and more` : shown.join(", ");
}
