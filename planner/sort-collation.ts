/**
 * How text sorts and compares in an expression, as far as it can be told without the
 * server: by the bytes, or in a way the proxy does not know.
 */
import type { Node } from "@pgsql/types";
import type { Catalog, CatalogCollation } from "../shardmap/catalog.ts";
import { walkNodes } from "./ast.ts";
import { collationOfColumn, collationsNamed, storedColumn } from "./analyze/column-types.ts";
import type { Column, Level, Output } from "./analyze/model.ts";
import type { SortCollation } from "./logical-plan.ts";

export function outputCollation(output: Output, level: Level, catalog: Catalog): SortCollation {
  if (output.column !== undefined) return columnCollation(output.column, catalog);
  return output.expression === undefined
    ? "unknown"
    : expressionCollation(output.expression, level, catalog);
}

function columnCollation(column: Column, catalog: Catalog): SortCollation {
  return collationOfColumn(column, catalog)?.isByteOrder === true ? "byte order" : "unknown";
}

/**
 * An expression's collation is that of its COLLATE clause, or is derived from its columns
 * and the database's default. Where all of them sort by bytes, so does the expression.
 */
export function expressionCollation(
  expression: Node,
  level: Level,
  catalog: Catalog,
): SortCollation {
  if ("ColumnRef" in expression) {
    const column = level.columnOf(expression);
    return column === undefined ? "unknown" : columnCollation(column, catalog);
  }
  if ("CollateClause" in expression) {
    return all(
      collationsNamed(expression.CollateClause.collname, catalog),
      ({ isByteOrder }) => isByteOrder,
    );
  }
  return all(
    collationsWithin(expression, level, catalog),
    (collation) => collation?.isByteOrder === true,
  );
}

/** Whether equal texts may differ in their bytes, so that grouping them by bytes would be wrong. */
export function mayBeNondeterministic(
  expression: Node | undefined,
  column: Column | undefined,
  level: Level,
  catalog: Catalog,
): boolean {
  if (column !== undefined)
    return isCollatable(column) && collationOfColumn(column, catalog)?.isDeterministic !== true;
  if (expression === undefined) return true;
  return collationsWithin(expression, level, catalog).some(
    (collation) => collation?.isDeterministic !== true,
  );
}

function isCollatable(column: Column): boolean {
  return storedColumn(column).catalog?.collationOid !== 0;
}

function collationsWithin(
  expression: Node,
  level: Level,
  catalog: Catalog,
): readonly (CatalogCollation | undefined)[] {
  const collations: (CatalogCollation | undefined)[] = [catalog.defaultCollation];
  walkNodes(expression, ({ kind, body }) => {
    if (kind === "SubLink") collations.push(undefined);
    if (kind === "CollateClause") {
      const named = collationsNamed(body["collname"] as readonly Node[] | undefined, catalog);
      collations.push(...(named.length === 0 ? [undefined] : named));
    }
    if (kind !== "ColumnRef") return true;
    const column = level.columnOf({ ColumnRef: body });
    if (column === undefined) collations.push(undefined);
    else if (isCollatable(column)) collations.push(collationOfColumn(column, catalog));
    return false;
  });
  return collations;
}

function all<T>(items: readonly T[], isTrue: (item: T) => boolean): SortCollation {
  return items.length > 0 && items.every(isTrue) ? "byte order" : "unknown";
}
