/**
 * An INSERT into a sharded table that goes to its placement as it is, together with the
 * statement it is a part of: the proxy fills no value of its rows.
 */
import type { InsertStmt, Node } from "@pgsql/types";
import { walkNodes } from "../ast.ts";
import type { ResolvedTable } from "../names.ts";
import { refuse } from "../refusal.ts";
import { generatedFor } from "./columns.ts";
import { checkConflictClause, checkUniqueKeys } from "./conflict.ts";

export function checkInsertWithin(
  insert: InsertStmt,
  { relation, table }: Extract<ResolvedTable, { kind: "sharded" }>,
): void {
  const { cols, selectStmt, onConflictClause, relation: target } = insert;
  const written = { relation, keyColumns: table.keyColumns };
  checkUniqueKeys(written, target?.location);
  if (onConflictClause !== undefined) checkConflictClause(onConflictClause, written);
  const names = cols?.map((item) => ("ResTarget" in item ? item.ResTarget.name : undefined));
  const select =
    selectStmt !== undefined && "SelectStmt" in selectStmt ? selectStmt.SelectStmt : undefined;
  const width = (select?.targetList ?? firstRow(select?.valuesLists)).length;
  const hasDefaults = containsDefault(select?.valuesLists);
  const drawn = relation.columns.find((column, index) => {
    const isGiven = names === undefined ? index < width : names.includes(column.name);
    const isKey = table.keyColumns.includes(column.name);
    return (!isGiven || hasDefaults) && generatedFor(column, "sharded", isKey) !== undefined;
  });
  if (drawn === undefined) return;
  refuse(
    "insert_query_not_supported",
    `INSERT into sharded table "${table.name}" must give column "${drawn.name}" a value here`,
    {
      location: target?.location,
      detail: "Its default is drawn from a sequence that all placements share.",
      hint: "Insert the row with a statement of its own.",
    },
  );
}

function firstRow(lists: readonly Node[] | undefined): readonly Node[] {
  const [row] = lists ?? [];
  return row !== undefined && "List" in row ? (row.List.items ?? []) : [];
}

function containsDefault(rows: unknown): boolean {
  let found = false;
  walkNodes(rows, ({ kind }) => {
    found ||= kind === "SetToDefault";
    return !found;
  });
  return found;
}
