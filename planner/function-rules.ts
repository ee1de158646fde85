/** Whether the functions a statement calls may run where the statement's tables put it. */
import type { Analysis } from "./analyze/model.ts";
import type { FunctionEffect, FunctionUse } from "./functions.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import type { Home } from "./table-mix.ts";

/** Refuses what would answer for one database only, or write where nobody finds it. */
export function checkFunctions(analysis: Analysis, home: Home, context: PlanContext): void {
  const isCatalog = home.kind === "home" && home.database === context.map.catalog;
  for (const use of analysis.functions) checkFunction(use, isCatalog, home, context);
}

function checkFunction(
  use: FunctionUse,
  isCatalog: boolean,
  home: Home,
  context: PlanContext,
): void {
  const { name, location } = use;
  switch (use.effect) {
    case "sessionState":
      return refuse(
        "session_state_function",
        `function ${name} is not supported: it reads or keeps state of the session`,
        { location },
      );
    case "readsTables":
      if (context.map.tables.size === 0) return;
      return refuse(
        "function_reads_tables",
        `function ${name} may read tables, and would see the rows of one database only`,
        { location },
      );
    case "catalogState":
      if (isCatalog) return;
      return refuse(
        "catalog_state_function",
        `function ${name} cannot be used together with tables of other databases`,
        { location },
      );
    case "serverState":
      if (isCatalog || home.kind === "reference") return;
      return refuse(
        "server_state_scattered",
        `function ${name} tells of one server, and cannot be used together with sharded tables or groups`,
        { location },
      );
    default:
      return;
  }
}

export function hasEffect(analysis: Analysis, ...effects: readonly FunctionEffect[]): boolean {
  return analysis.functions.some(({ effect }) => effects.includes(effect));
}

/** Whether a statement must run on a primary, as a write does. */
export function mayWrite(analysis: Analysis): boolean {
  return (
    analysis.locksRows ||
    analysis.tables.some(({ isWritten }) => isWritten) ||
    hasEffect(analysis, "writes", "catalogState")
  );
}
