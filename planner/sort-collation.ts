/**
 * How text sorts and compares in an expression, as far as it can be told without the
 * server: by the bytes, or in a way the proxy does not know.
 */
import type { Node } from "@pgsql/types";
import type { Catalog, CatalogCollation } from "../shardmap/catalog.ts";
import { walkNodes } from "./ast.ts";
import { collationOfColumn, collationsNamed, storedColumn } from "./analyze/column-types.ts";
import { definitionOf } from "./analyze/expression-types.ts";
import type { Column, Level, Output } from "./analyze/model.ts";
import type { SortCollation } from "./logical-plan.ts";

export function outputCollation(output: Output, level: Level, catalog: Catalog): SortCollation {
  if (output.column !== undefined) return columnCollation(output.column, catalog);
  return output.expression === undefined
    ? "unknown"
    : expressionCollation(output.expression, level, catalog);
}

function columnCollation(column: Column, catalog: Catalog): SortCollation {
  const stored = storedColumn(column);
  const made = stored.catalog === undefined ? definitionOf(stored) : undefined;
  if (made !== undefined) return expressionCollation(made.expression, made.level, catalog);
  return collationOfColumn(stored, catalog)?.isByteOrder === true ? "byte order" : "unknown";
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
  const collations =
    column === undefined
      ? expression === undefined
        ? [undefined]
        : collationsWithin(expression, level, catalog)
      : collationsOfColumn(column, catalog);
  return collations.some((collation) => collation?.isDeterministic !== true);
}

/** None for a type that has none; undefined stands for one that is not known. */
function collationsOfColumn(
  column: Column,
  catalog: Catalog,
): readonly (CatalogCollation | undefined)[] {
  const stored = storedColumn(column);
  if (stored.catalog?.collationOid === 0) return [];
  const made = stored.catalog === undefined ? definitionOf(stored) : undefined;
  return made === undefined
    ? [collationOfColumn(stored, catalog)]
    : collationsWithin(made.expression, made.level, catalog);
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
    collations.push(...(column === undefined ? [undefined] : collationsOfColumn(column, catalog)));
    return false;
  });
  return collations;
}

function all<T>(items: readonly T[], isTrue: (item: T) => boolean): SortCollation {
  return items.length > 0 && items.every(isTrue) ? "byte order" : "unknown";
}
