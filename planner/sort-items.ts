/** ORDER BY of a statement over several placements: which outputs it sorts by, and how. */
import type { Node, SelectStmt, SortBy } from "@pgsql/types";
import type { Catalog } from "../shardmap/catalog.ts";
import { typeOfAnyColumn, typeOfExpression } from "./analyze/expression-types.ts";
import type { Level, Output } from "./analyze/model.ts";
import { sameExpression } from "./analyze/same-expression.ts";
import { ordinalOf, outputNamed } from "./analyze/shape.ts";
import type { SortCollation } from "./logical-plan.ts";
import { refuse } from "./refusal.ts";
import { outputCollation } from "./sort-collation.ts";
import { valueOrder } from "./value-order.ts";

export interface SortItem {
  /** Zero-based; undefined where no output is this expression, so that the proxy must add one. */
  readonly output: number | undefined;
  readonly expression: Node;
  readonly clause: SortBy;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
  /** Who can tell which of two values comes first; "unknown" until the rows' types are seen. */
  readonly comparedBy: Comparer;
}

export type Comparer = "proxy" | "database" | "unknown";

export function sortItems(node: SelectStmt, level: Level, catalog: Catalog): readonly SortItem[] {
  const items: SortItem[] = [];
  for (const clause of node.sortClause ?? [])
    if ("SortBy" in clause) items.push(sortItem(clause.SortBy, level, catalog));
  return items;
}

function sortItem(clause: SortBy, level: Level, catalog: Catalog): SortItem {
  if (clause.node === undefined || level.outputsAreOpen)
    return refuse("select_list_unknown", "the columns of the select list are not known", {
      location: level.location,
    });
  const index = outputOf(clause.node, level);
  const output: Output = level.outputs[index ?? -1] ?? {
    name: undefined,
    expression: clause.node,
    column: level.columnOf(clause.node),
  };
  const collation = outputCollation(output, level, catalog);
  const isUsing = clause.sortby_dir === "SORTBY_USING";
  const descending = clause.sortby_dir === "SORTBY_DESC";
  return {
    output: level.outputs[index ?? -1] === undefined ? undefined : index,
    expression: output.expression ?? clause.node,
    clause,
    descending,
    // NULL is larger than any value, unless the clause says otherwise.
    nullsFirst:
      clause.sortby_nulls === "SORTBY_NULLS_FIRST" ||
      (clause.sortby_nulls !== "SORTBY_NULLS_LAST" && descending),
    collation,
    comparedBy: isUsing ? "database" : comparerOf(output, collation, level, catalog),
  };
}

/** A column, or what else an output is made of. */
type Expressed = Pick<Output, "expression" | "column">;

/** An operator's order, or a type's or collation's that the proxy does not have, is the database's to tell. */
export function comparerOf(
  output: Expressed,
  collation: SortCollation,
  level: Level,
  catalog: Catalog,
): Comparer {
  switch (valueOrder(typeOfOutput(output, level, catalog), catalog)) {
    case "ordered":
      return "proxy";
    case "collated":
      return collation === "byte order" ? "proxy" : "database";
    case "foreign":
      return "database";
    case "unknown":
      return "unknown";
  }
}

/** 0 where it is not known. */
function typeOfOutput({ expression, column }: Expressed, level: Level, catalog: Catalog): number {
  if (column !== undefined) return typeOfAnyColumn(column, catalog);
  return expression === undefined ? 0 : typeOfExpression(expression, level, catalog);
}

/** ORDER BY takes an ordinal, then an output's name, then an expression (parse_clause.c, findTargetlistEntrySQL92). */
export function outputOf(expression: Node, level: Level): number | undefined {
  const index = ordinalOf(expression) ?? outputNamed(expression, level);
  if (index !== undefined) return index;
  const column = level.columnOf(expression);
  const found = level.outputs.findIndex((output) =>
    column === undefined
      ? output.expression !== undefined && sameExpression(output.expression, expression, level)
      : output.column === column,
  );
  return found < 0 ? undefined : found;
}
