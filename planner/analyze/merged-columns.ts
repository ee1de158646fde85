/**
 * The columns that USING and NATURAL merge. An inner or one-sided join shows the preserved
 * side's; a FULL JOIN's is `coalesce(left, right)`, a column of the join itself.
 */
import type { JoinExpr } from "@pgsql/types";
import type { Catalog, CatalogColumn } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import { equalityFamily, storedColumn, type Family } from "./column-types.ts";
import type { Column, Fact, MergedColumn, OuterJoin, Source } from "./model.ts";
import { visibleColumns, type NamespaceItem, type VisibleColumn } from "./namespace.ts";

/** A column of each side under one name; undefined sides are not known. */
export interface MergedPair {
  readonly name: string;
  readonly left: VisibleColumn | undefined;
  readonly right: VisibleColumn | undefined;
}

/** Undefined where NATURAL's cannot be known. */
export function mergedPairs(
  join: JoinExpr,
  left: readonly NamespaceItem[],
  right: readonly NamespaceItem[],
): readonly MergedPair[] | undefined {
  const leftColumns = visibleColumns(left);
  const rightColumns = visibleColumns(right);
  const only = (columns: readonly VisibleColumn[], name: string): VisibleColumn | undefined => {
    const found = columns.filter((column) => column.name === name);
    return found.length === 1 ? found[0] : undefined;
  };
  const merge = (name: string): MergedPair => ({
    name,
    left: only(leftColumns.columns, name),
    right: only(rightColumns.columns, name),
  });
  if (join.isNatural !== true) return nameParts(join.usingClause).map(merge);
  if (leftColumns.isOpen || rightColumns.isOpen) return undefined;
  const rightNames = new Set(rightColumns.columns.map(({ name }) => name));
  return leftColumns.columns
    .filter(({ name }) => rightNames.has(name))
    .map(({ name }) => merge(name));
}

export function mergedFacts(
  pairs: readonly MergedPair[] | undefined,
  catalog: Catalog,
): readonly Fact[] {
  return (pairs ?? []).flatMap(({ left, right }): Fact[] => {
    if (left?.column === undefined || right?.column === undefined) return [];
    return commonFamily(left.column, right.column, catalog) === undefined
      ? []
      : [{ kind: "columns", left: left.column, right: right.column }];
  });
}

function commonFamily(left: Column, right: Column, catalog: Catalog): Family | undefined {
  const family = equalityFamily(left, catalog);
  return family === equalityFamily(right, catalog) ? family : undefined;
}

/** A FULL JOIN as a source of rows, with the columns that it merges. */
export function fullJoinSource(
  pairs: readonly MergedPair[] | undefined,
  catalog: Catalog,
): { readonly joined: Source; readonly merged: readonly MergedColumn[] } {
  const columns: Column[] = [];
  const joined: Source = {
    name: "FULL JOIN",
    content: { kind: "fullJoin" },
    columns,
    isOpen: true,
    isFilter: false,
    location: undefined,
  };
  const merged = (pairs ?? []).flatMap(({ name, left, right }): MergedColumn[] => {
    const type =
      left?.column === undefined || right?.column === undefined
        ? undefined
        : mergedType(left.column, right.column, catalog);
    if (type === undefined || left?.column === undefined || right?.column === undefined) return [];
    const column = { name, source: joined, catalog: { ...type, name }, inner: undefined };
    columns.push(column);
    return [{ column, left: left.column, right: right.column }];
  });
  return { joined, merged };
}

/** By pg_type.oid, the wider of two types of a family: what PostgreSQL resolves both to (manual, "UNION, CASE, and Related Constructs"). */
const WIDTHS: readonly number[] = [21, 23, 20, 1043, 25];

/** As a column of that type; undefined where it is not worked out. */
function mergedType(left: Column, right: Column, catalog: Catalog): CatalogColumn | undefined {
  const one = storedColumn(left).catalog;
  const other = storedColumn(right).catalog;
  if (one === undefined || other === undefined || one.collationOid !== other.collationOid)
    return undefined;
  if (commonFamily(left, right, catalog) === undefined) return undefined;
  const notNull = one.notNull && other.notNull;
  if (one.typeOid === other.typeOid)
    return { ...one, notNull, typmod: one.typmod === other.typmod ? one.typmod : -1 };
  const widths = [WIDTHS.indexOf(one.typeOid), WIDTHS.indexOf(other.typeOid)];
  if (widths.includes(-1)) return undefined;
  const typeOid = WIDTHS[Math.max(...widths)] ?? 0;
  return { ...one, notNull, typeOid, typmod: -1 };
}

/** What a join shows under a merged name. */
export function shownColumn(
  { name, left, right }: MergedPair,
  type: "inner" | OuterJoin["type"],
  merged: readonly MergedColumn[],
): Column | undefined {
  switch (type) {
    case "inner":
    case "left":
      return left?.column;
    case "right":
      return right?.column;
    case "full":
      return merged.find(({ column }) => column.name === name)?.column;
  }
}
