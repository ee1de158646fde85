/** Whether two expressions of a level mean the same, however its columns are written: `name` and `users.name`. */
import type { Node } from "@pgsql/types";
import { sameTree, unwrap } from "../ast.ts";
import type { Level } from "./model.ts";

export function sameExpression(left: Node, right: Node, level: Level): boolean {
  return sameTree(left, right) || sameTree(resolved(left, level), resolved(right, level));
}

/** A copy in which columns are called by the place of their source and their name. */
function resolved(value: unknown, level: Level): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => resolved(item, level));
  const node = unwrap(value);
  if (node?.kind === "ColumnRef") {
    const column = level.columnOf({ ColumnRef: node.body });
    const source = column === undefined ? -1 : level.sources.indexOf(column.source);
    if (column !== undefined && source >= 0) return { source, column: column.name };
  }
  return Object.fromEntries(
    Object.entries(value).map(([field, inner]) => [field, resolved(inner, level)]),
  );
}
