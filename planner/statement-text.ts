/** A statement's text with its tables ready for any placement, and whether it answers with rows. */
import type { Node } from "@pgsql/types";
import { resolveTable, searchedSchemas, targetOf } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { tableTemplate, templateOf } from "./rewrite.ts";
import type { SqlTemplate } from "./sql-template.ts";
import { unionArm, type UnionArm } from "./union-arm.ts";

export function templateFor(statement: ParsedStatement, context: PlanContext): SqlTemplate {
  const { map } = context;
  const template = tableTemplate(
    statement,
    (reference) => targetOf(resolveTable(reference, context), context),
    {
      map,
      searchPath: searchedSchemas(context),
    },
  );
  const isPlaced = template.edits.some((edit) => edit.with.kind === "table");
  return isPlaced ? { ...template, arm: armOf(statement, context) } : template;
}

function armOf({ node }: ParsedStatement, context: PlanContext): UnionArm | undefined {
  return unionArm(node, (reference) => {
    const resolved = resolveTable(reference, context);
    return "relation" in resolved ? resolved.relation.columns.map(({ name }) => name) : undefined;
  });
}

/** As `templateFor`, with further edits of the same text. */
export function templateWith(
  statement: ParsedStatement,
  edits: SqlTemplate["edits"],
  context: PlanContext,
): SqlTemplate {
  const names = templateFor(statement, context);
  return edits.length === 0 ? names : templateOf(names.sql, [...names.edits, ...edits], names.arm);
}

export function returnsRows(node: Node): boolean {
  if ("UpdateStmt" in node) return node.UpdateStmt.returningClause !== undefined;
  return "DeleteStmt" in node ? node.DeleteStmt.returningClause !== undefined : true;
}
