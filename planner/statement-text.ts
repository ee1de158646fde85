/** A statement's text with its tables ready for any placement, and whether it answers with rows. */
import type { Node } from "@pgsql/types";
import { resolveTable, searchedSchemas, targetOf } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { tableTemplate, templateOf } from "./rewrite.ts";
import type { SqlTemplate } from "./sql-template.ts";

export function templateFor(statement: ParsedStatement, context: PlanContext): SqlTemplate {
  const { map } = context;
  return tableTemplate(
    statement,
    (reference) => targetOf(resolveTable(reference, context), context),
    {
      map,
      searchPath: searchedSchemas(context),
    },
  );
}

/** As `templateFor`, with further edits of the same text. */
export function templateWith(
  statement: ParsedStatement,
  edits: SqlTemplate["edits"],
  context: PlanContext,
): SqlTemplate {
  const names = templateFor(statement, context);
  return edits.length === 0 ? names : templateOf(names.sql, [...names.edits, ...edits]);
}

export function returnsRows(node: Node): boolean {
  if ("UpdateStmt" in node) return node.UpdateStmt.returningClause !== undefined;
  return "DeleteStmt" in node ? node.DeleteStmt.returningClause !== undefined : true;
}
