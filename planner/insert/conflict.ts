/**
 * ON CONFLICT over placements: a conflict can only be seen by the placement that holds the
 * other row, so the key that arbitrates must contain the shard key.
 */
import type { InferClause, Node, OnConflictClause } from "@pgsql/types";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import { refuse } from "../refusal.ts";

export interface ConflictTarget {
  readonly relation: CatalogRelation;
  readonly keyColumns: readonly string[];
}

/** A unique key that could hold equal values on two placements is one PostgreSQL's answer would differ for. */
export function checkUniqueKeys(
  { relation, keyColumns }: ConflictTarget,
  location: number | undefined,
): void {
  for (const { name, columns } of relation.uniqueKeys) {
    if (columns !== undefined && keyColumns.every((column) => columns.includes(column))) continue;
    refuse(
      "unique_key_without_shard_key",
      `unique key "${name}" of table "${relation.name}" does not contain the shard key (${keyColumns.join(", ")})`,
      {
        location,
        detail: "It cannot be enforced over several placements.",
        hint: "Add the shard key's columns to the unique key.",
      },
    );
  }
}

export function checkConflictClause(clause: OnConflictClause, target: ConflictTarget): void {
  const { infer, location } = clause;
  const arbiter = infer === undefined ? undefined : arbiterColumns(infer, target.relation);
  if (infer !== undefined && !containsKey(arbiter, target)) {
    refuse(
      "conflict_target_without_shard_key",
      `ON CONFLICT target does not contain the shard key of table "${target.relation.name}" (${target.keyColumns.join(", ")})`,
      {
        location: infer.location ?? location,
        detail: "A conflicting row may be on another placement.",
      },
    );
  }
  if (clause.action === "ONCONFLICT_UPDATE") checkAssignments(clause.targetList ?? [], target);
}

function containsKey(
  columns: readonly string[] | undefined,
  { keyColumns }: ConflictTarget,
): boolean {
  return columns !== undefined && keyColumns.every((column) => columns.includes(column));
}

/** The columns whose values a conflicting row shares; undefined where that is not known. */
function arbiterColumns(
  infer: InferClause,
  relation: CatalogRelation,
): readonly string[] | undefined {
  if (infer.conname !== undefined) {
    return relation.uniqueKeys.find(({ name }) => name === infer.conname)?.columns;
  }
  const columns: string[] = [];
  for (const element of infer.indexElems ?? []) {
    const name = "IndexElem" in element ? element.IndexElem.name : undefined;
    // An expression may be equal for rows of different keys, but a column beside it may not.
    if (name !== undefined) columns.push(name);
  }
  return columns;
}

/** The row in conflict has the same shard key, so EXCLUDED's key columns are its own. */
function checkAssignments(
  assignments: readonly Node[],
  { relation, keyColumns }: ConflictTarget,
): void {
  for (const assignment of assignments) {
    if (!("ResTarget" in assignment)) continue;
    const { name, val, location } = assignment.ResTarget;
    if (name === undefined || !keyColumns.includes(name)) continue;
    const parts = val !== undefined && "ColumnRef" in val ? nameParts(val.ColumnRef.fields) : [];
    if (parts.length === 2 && parts[0] === "excluded" && parts[1] === name) continue;
    refuse("shard_key_updated", `shard key of table "${relation.name}" cannot be updated`, {
      location,
    });
  }
}
