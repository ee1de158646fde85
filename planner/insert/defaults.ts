/** Defaults that every database of a reference table would compute for itself must come out alike. */
import type { CatalogColumn } from "../../shardmap/catalog.ts";
import { checkInsertExpressions } from "./expressions.ts";
import { parseSql } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { PlanRefused, refuse } from "../refusal.ts";

export function checkReferenceDefaults(
  table: string,
  defaulted: readonly CatalogColumn[],
  context: PlanContext,
): void {
  for (const { name, fill } of defaulted) {
    if (fill.kind !== "expression" || isAlike(fill.sql, table, context)) continue;
    refuse(
      "reference_value_differs",
      `default of column "${name}" of reference table "${table}" may differ between databases`,
      {
        detail: `Every database holds a copy of the table and would compute ${fill.sql} for itself.`,
        hint: "Give the column a value in the statement.",
      },
    );
  }
}

function isAlike(expression: string, table: string, context: PlanContext): boolean {
  const parsed = parseSql(`SELECT ${expression}`);
  if (parsed.kind !== "statements") return false;
  try {
    checkInsertExpressions(parsed.statements[0]?.node, "reference", table, context);
    return true;
  } catch (error) {
    if (error instanceof PlanRefused) return false;
    throw error;
  }
}
