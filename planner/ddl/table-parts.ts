/** Triggers and policies: parts of a table that are dropped by their own name and the table's. */
import type { CreateTrigStmt, DropStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { quoteIdentifier, quoteQualified } from "../../base/sql-quoting.ts";
import type { DdlPlan } from "../logical-plan.ts";
import { nameParts } from "../ast.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { asWritten, ddlPlan, ownSchema, splicedSteps } from "./steps.ts";
import { existingTable, homesOf } from "./table-homes.ts";
import { rangeVar } from "./table-lists.ts";

export function planCreateTrigger(
  statement: ParsedStatement,
  trigger: CreateTrigStmt,
  context: PlanContext,
): DdlPlan {
  const { relation, constrrel } = trigger;
  invariant(relation !== undefined, "CREATE TRIGGER names a table");
  const target = existingTable(relation, context);
  if (target.kind === "catalogOnly")
    return ddlPlan("createCatalogTrigger", asWritten(statement, [context.map.catalog]));
  if (constrrel !== undefined) {
    refuse(
      "ddl_not_supported",
      "CREATE CONSTRAINT TRIGGER ... FROM is not supported for mapped tables",
      { location: constrrel.location, hint: "Leave FROM out." },
    );
  }
  return ddlPlan(
    "createTrigger",
    splicedSteps(statement, homesOf(target.table, context.map), [
      { tree: relation, schemaAt: ownSchema },
    ]),
  );
}

/** DROP TRIGGER and DROP RULE. */
export function planDropPart(
  part: "TRIGGER" | "RULE",
  statement: ParsedStatement,
  drop: DropStmt,
  context: PlanContext,
): DdlPlan {
  const [object] = drop.objects ?? [];
  const parts = object !== undefined && "List" in object ? nameParts(object.List.items) : [];
  const name = parts.at(-1) ?? "";
  const target = existingTable(rangeVar(parts.slice(0, -1)), context);
  if (target.kind === "catalogOnly")
    return ddlPlan("dropCatalogTablePart", asWritten(statement, [context.map.catalog]));
  // A rule was not made through the proxy, and may stand in some places only.
  const ifExists = drop.missing_ok === true || part === "RULE" ? "IF EXISTS " : "";
  const behavior = drop.behavior === "DROP_CASCADE" ? " CASCADE" : "";
  const steps = homesOf(target.table, context.map).map(({ database, schema }) => ({
    database,
    sql: `DROP ${part} ${ifExists}${quoteIdentifier(name)} ON ${quoteQualified(schema, target.table.name)}${behavior}`,
  }));
  return ddlPlan("dropTablePart", steps);
}
