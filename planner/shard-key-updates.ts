/** A row's place follows from its shard key, so UPDATE may assign to one only what it holds already. */
import type { Node } from "@pgsql/types";
import type { MapTable } from "../shardmap/shard-map.ts";
import { equalityFamily } from "./analyze/column-types.ts";
import { termOf } from "./analyze/key-terms.ts";
import type { Column, Level } from "./analyze/model.ts";
import { equalColumns } from "./analyze/equal-columns.ts";
import { isSameTerm, isStoredAlike } from "./insert/keys.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

/**
 * `assignments`: the SET list of an UPDATE, or of an UPDATE within MERGE. `isKept`: whether a
 * value is known to be that of the column. `keepingHint`: how a statement says so of a column, where it can.
 */
export function checkKeyUnchanged(
  assignments: readonly Node[],
  table: Extract<MapTable, { kind: "sharded" }>,
  isKept: (column: string, value: Node) => boolean,
  keepingHint?: (column: string) => string,
): void {
  for (const item of assignments) {
    if (!("ResTarget" in item)) continue;
    const { name, val, indirection, location } = item.ResTarget;
    if (name === undefined || !table.keyColumns.includes(name)) continue;
    if (val !== undefined && indirection === undefined && isKept(name, val)) continue;
    refuse(
      "shard_key_updated",
      `shard key column "${name}" of table "${table.name}" cannot be updated`,
      { location, hint: keepingHint?.(name) },
    );
  }
}

/** Frameworks assign every column of a changed row: most who meet the refusal want to move nothing. */
export function hintOfUpdate(column: string): string {
  return `Leave the column out of SET or, where it keeps its value, compare it with that value in WHERE (${column} = ...). To move a row, delete it and insert it under its new shard key.`;
}

/** By what every row that an UPDATE changes satisfies: `SET id = id`, and `SET id = $1 WHERE id = $1`. */
export function keptByUpdate(
  level: Level,
  context: PlanContext,
): (column: string, value: Node) => boolean {
  const [target] = level.sources;
  return (name, value) => {
    const key = target?.columns.find(({ catalog }) => catalog?.name === name);
    if (key === undefined) return false;
    const column = level.columnOf(value);
    return column === undefined
      ? isPinnedTo(key, value, level, context)
      : equalColumns(key, level.always).has(column);
  };
}

function isPinnedTo(key: Column, value: Node, { always }: Level, context: PlanContext): boolean {
  const family = equalityFamily(key, context.catalog);
  const term = family === undefined ? undefined : termOf(value, family, context);
  if (key.catalog === undefined || term === undefined || !isStoredAlike(term, key.catalog))
    return false;
  const equal = equalColumns(key, always);
  return always.some((fact) => {
    if (fact.kind !== "values" || !equal.has(fact.column)) return false;
    const [only, ...others] = fact.values.kind === "terms" ? fact.values.terms : [];
    return only !== undefined && others.length === 0 && isSameTerm(only, term);
  });
}
