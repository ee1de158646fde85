/** A view's query out of a schema file, as a server prints it: its tables with their schemas, its columns named. */
import type { Node, ViewStmt } from "@pgsql/types";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import { nameParts, walkNodes } from "../ast.ts";
import { PlanRefused } from "../refusal.ts";
import { synthesize } from "../synthesize.ts";
import { tableReferences } from "../table-references.ts";

/**
 * `schema`: of the names that are written without one; `isFunction`: whether it has a function
 * of a name. Undefined for a query that cannot be printed again.
 */
export function viewQuery(
  { query, aliases }: ViewStmt,
  schema: string,
  isFunction: (name: string) => boolean,
): string | undefined {
  if (query === undefined) return undefined;
  const tree: Node = structuredClone(query);
  for (const table of tableReferences(tree).tables) table.schemaname ??= schema;
  walkNodes(tree, ({ kind, body }) => {
    const names = kind === "FuncCall" ? (body["funcname"] as Node[]) : [];
    const [name, more] = nameParts(names);
    if (name !== undefined && more === undefined && isFunction(name))
      names.unshift({ String: { sval: schema } });
    return true;
  });
  try {
    const { text } = synthesize(tree);
    const names = nameParts(aliases).map(quoteIdentifier);
    return names.length === 0 ? text : `SELECT * FROM (${text}) AS named(${names.join(", ")})`;
  } catch (error) {
    if (error instanceof PlanRefused) return undefined;
    throw error;
  }
}
