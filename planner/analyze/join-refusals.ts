/** How a join that may meet rows of several shards is refused: with both tables and both keys. */
import { refusal, type RefusalDraft } from "../refusal.ts";
import type { Unit } from "./units.ts";

export function joinRefusal(left: Unit | undefined, right: Unit | undefined): RefusalDraft {
  if (left === undefined || right === undefined) {
    return refusal(
      "join_not_colocated",
      "the statement's sharded tables are not joined on their shard keys",
    );
  }
  const names = `"${left.source.name}" and "${right.source.name}"`;
  const location = right.source.location;
  if (left.colocation !== right.colocation) {
    return refusal(
      "join_across_colocations",
      `tables ${names} belong to different colocations and cannot be joined`,
      {
        location,
        detail: `"${left.source.name}" is in colocation "${left.colocation.name}" (key ${keyNames(left)}), "${right.source.name}" in "${right.colocation.name}" (key ${keyNames(right)}).`,
        hint: "Pin both tables to shard keys that lie in one placement, or join them in the application.",
      },
    );
  }
  return refusal("join_not_colocated", `tables ${names} are not joined on their shard keys`, {
    location,
    detail: `The shard key of "${left.source.name}" is ${keyNames(left)}, that of "${right.source.name}" is ${keyNames(right)}.`,
    hint:
      left.key === undefined || right.key === undefined
        ? "Let the sub-select give its shard key and join on it, or pin both to one shard key."
        : `Add ${keyNames(left)} = ${keyNames(right)} to the join condition, or pin both to one shard key.`,
  });
}

/** `o.user_id`, or `(a.x, a.y)` of a composite key. */
export function keyNames({ source, key, colocation }: Unit): string {
  if (key === undefined) return `the shard key of colocation "${colocation.name}"`;
  const names = key.map((column) => `${source.name}.${column.name}`);
  return names.length === 1 ? (names[0] ?? "") : `(${names.join(", ")})`;
}
