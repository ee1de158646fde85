/** ORDER BY of a statement over several placements: which outputs it sorts by, and how. */
import type { Node, SelectStmt, SortBy } from "@pgsql/types";
import type { Catalog } from "../shardmap/catalog.ts";
import { sameTree } from "./ast.ts";
import type { Level } from "./analyze/model.ts";
import { ordinalOf, outputNamed } from "./analyze/shape.ts";
import type { SortCollation } from "./logical-plan.ts";
import { refuse } from "./refusal.ts";
import { expressionCollation, outputCollation } from "./sort-collation.ts";

export interface SortItem {
  /** Zero-based; undefined where no output is this expression, so that the proxy must add one. */
  readonly output: number | undefined;
  readonly expression: Node;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
}

export function sortItems(node: SelectStmt, level: Level, catalog: Catalog): readonly SortItem[] {
  const items: SortItem[] = [];
  for (const clause of node.sortClause ?? [])
    if ("SortBy" in clause) items.push(sortItem(clause.SortBy, level, catalog));
  return items;
}

function sortItem(sort: SortBy, level: Level, catalog: Catalog): SortItem {
  const { node: expression, location } = sort;
  if (sort.sortby_dir === "SORTBY_USING" || expression === undefined) {
    return refuse(
      "order_using_scattered",
      "ORDER BY ... USING over several placements is not supported",
      { location },
    );
  }
  if (level.outputsAreOpen)
    refuse("select_list_unknown", "the columns of the select list are not known", {
      location: level.location,
    });
  const index = outputOf(expression, level);
  const output = index === undefined ? undefined : level.outputs[index];
  const descending = sort.sortby_dir === "SORTBY_DESC";
  return {
    output: output === undefined ? undefined : index,
    expression: output?.expression ?? expression,
    descending,
    // NULL is larger than any value, unless the clause says otherwise.
    nullsFirst:
      sort.sortby_nulls === "SORTBY_NULLS_FIRST" ||
      (sort.sortby_nulls !== "SORTBY_NULLS_LAST" && descending),
    collation:
      output === undefined
        ? expressionCollation(expression, level, catalog)
        : outputCollation(output, level, catalog),
  };
}

/** ORDER BY takes an ordinal, then an output's name, then an expression (parse_clause.c, findTargetlistEntrySQL92). */
function outputOf(expression: Node, level: Level): number | undefined {
  const index = ordinalOf(expression) ?? outputNamed(expression, level);
  if (index !== undefined) return index;
  const column = level.columnOf(expression);
  const found = level.outputs.findIndex((output) =>
    column === undefined
      ? output.expression !== undefined && sameTree(output.expression, expression)
      : output.column === column,
  );
  return found < 0 ? undefined : found;
}
