/** What a write sets off besides itself: the triggers, the defaults and the constraints of the tables it writes. */
import type { Node } from "@pgsql/types";
import { checkStoredCalls } from "./hidden-calls.ts";
import { resolveTable } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";
import { checkDefaults } from "./stored-expressions.ts";
import { checkTriggers } from "./trigger-rules.ts";
import { writtenTables } from "./written-tables.ts";

/** Throws PlanRefused for a write that one placement would do otherwise than one PostgreSQL. */
export function checkWriteEffects(node: Node, context: PlanContext): void {
  if (context.map.tables.size === 0) return;
  for (const { relation, statement } of writtenTables(node)) {
    const table = resolveTable(relation, context);
    if (table.kind === "system" || table.kind === "unknown") continue;
    const cascades =
      statement.kind !== "insert" ||
      statement.node.onConflictClause?.action === "ONCONFLICT_UPDATE";
    checkTriggers(table, cascades, relation.location, context);
    checkDefaults(table.relation, statement, table.kind === "sharded", context);
    if (statement.kind !== "delete") checkStoredCalls(table.relation, context);
  }
}
