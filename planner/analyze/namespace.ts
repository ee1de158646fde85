/**
 * Which column a name means: PostgreSQL's namespaces (parse_relation.c, parse_clause.c).
 * A name that is not proven to mean one known column means "undefined" here, and nothing
 * is concluded from it; whether it is an error is for the server to say.
 */
import type { ColumnRef } from "@pgsql/types";
import type { Column, Level } from "./model.ts";

export interface Scope {
  readonly items: readonly NamespaceItem[];
  readonly parent: Scope | undefined;
  readonly level: Level;
}

/** One entry of a namespace: a table, a sub-select, or a whole join. */
export interface NamespaceItem {
  /** Undefined for a join without an alias. */
  readonly name: string | undefined;
  readonly schema: string | undefined;
  readonly columns: readonly VisibleColumn[];
  /** Further columns may exist that are not known. */
  readonly isOpen: boolean;
  /** False for the parts of a join: their columns are seen through the join. */
  readonly columnsAreVisible: boolean;
}

export interface VisibleColumn {
  readonly name: string;
  /** Undefined where the column is no source's own: a FULL JOIN's merged one. */
  readonly column: Column | undefined;
}

export interface Resolution {
  readonly column: Column | undefined;
  readonly level: Level;
}

/** Undefined where the name cannot be proven to mean a column. */
export function resolveColumn(reference: ColumnRef, scope: Scope): Resolution | undefined {
  const names: string[] = [];
  for (const field of reference.fields ?? []) {
    if (!("String" in field)) return undefined;
    names.push(field.String.sval ?? "");
  }
  const name = names.at(-1);
  if (name === undefined || names.length > 3) return undefined;
  if (names.length === 1) return resolveUnqualified(name, scope);
  return resolveQualified(
    names.at(-2) ?? "",
    names.length === 3 ? names[0] : undefined,
    name,
    scope,
  );
}

function resolveUnqualified(name: string, from: Scope): Resolution | undefined {
  for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.parent) {
    const visible = scope.items.filter((item) => item.columnsAreVisible);
    const found = visible.flatMap(({ columns }) =>
      columns.filter((column) => column.name === name),
    );
    if (found.length === 1) return { column: found[0]?.column, level: scope.level };
    if (found.length > 1 || visible.some(({ isOpen }) => isOpen)) return undefined;
  }
  return undefined;
}

function resolveQualified(
  table: string,
  schema: string | undefined,
  name: string,
  from: Scope,
): Resolution | undefined {
  for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.parent) {
    const items = findItems(table, schema, scope);
    if (items.length > 1) return undefined;
    const [item] = items;
    if (item === undefined) continue;
    const found = item.columns.filter((column) => column.name === name);
    return found.length === 1 ? { column: found[0]?.column, level: scope.level } : undefined;
  }
  return undefined;
}

export function findItems(
  table: string,
  schema: string | undefined,
  scope: Scope,
): readonly NamespaceItem[] {
  return scope.items.filter(
    (item) => item.name === table && (schema === undefined || item.schema === schema),
  );
}

export interface JoinedColumns {
  readonly columns: readonly VisibleColumn[];
  readonly isOpen: boolean;
}

/** The columns that a list of items shows to unqualified names, in the order of `*`. */
export function visibleColumns(items: readonly NamespaceItem[]): JoinedColumns {
  const visible = items.filter((item) => item.columnsAreVisible);
  return {
    columns: visible.flatMap(({ columns }) => columns),
    isOpen: visible.some(({ isOpen }) => isOpen),
  };
}
