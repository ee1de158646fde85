/** Whether the functions a statement calls may run where the statement's tables put it. */
import type { Node } from "@pgsql/types";
import type { Analysis } from "./analyze/model.ts";
import { walkNodes } from "./ast.ts";
import { useOfCall, type FunctionEffect, type FunctionUse } from "./functions.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import type { Home } from "./table-mix.ts";

/** Refuses what would answer for one database only, or write where nobody finds it. */
export function checkFunctions(
  analysis: Pick<Analysis, "functions">,
  home: Home,
  context: PlanContext,
): void {
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
        { location, hint: sessionStateHint(name) },
      );
    case "readsTables":
      if (context.map.tables.size === 0) return;
      return refuse(
        "function_reads_tables",
        `function ${name} may read tables, and would see the rows of one database only`,
        { location },
      );
    case "catalogState":
    case "sessionLock":
      if (isCatalog) return;
      return refuse(
        "catalog_state_function",
        `function ${name} cannot be used together with tables of other databases`,
        { location, hint: name === "setval" ? SETVAL_HINT : undefined },
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

/** Of a query whose rows are kept in the catalog database: it leaves nothing in the session, and reads no table unseen. */
export function checkStoredFunctions(query: Node, context: PlanContext): void {
  walkNodes(query, ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    const { name, effect, location } = useOfCall(body, context);
    const isState = effect === "sessionState" || effect === "sessionLock";
    if (isState || (effect === "readsTables" && context.map.tables.size > 0)) {
      refuse("stored_expression_not_supported", `stored query cannot call function ${name}`, {
        location,
        detail: "It would see the rows and the state of one database only.",
      });
    }
    return true;
  });
}

/** Frameworks set a sequence behind the rows that they have loaded: SELECT setval('s', max(id)) FROM users. */
const SETVAL_HINT =
  "Read the value first, as by SELECT max(id), then give it to setval() in a SELECT of its own.";

/** What gives an application the same without the session's state, where there is such a thing. */
function sessionStateHint(name: string): string | undefined {
  if (name === "currval" || name === "lastval") {
    return `Ask for it in a SELECT of its own, ${name === "currval" ? "the sequence's name a constant or a parameter, " : ""}or read it with RETURNING in the INSERT that draws it.`;
  }
  if (name === "pg_backend_pid") return "Ask for it in a SELECT of its own.";
  if (name === "set_config")
    return "Use SET or SET LOCAL, or a SELECT of set_config() with constants or parameters alone.";
  if (name === "setseed") return "Draw the random values in the application.";
  return undefined;
}

export function hasEffect(analysis: Analysis, ...effects: readonly FunctionEffect[]): boolean {
  return analysis.functions.some(({ effect }) => effects.includes(effect));
}

/** Whether a statement must run on a primary, as a write does. */
export function mayWrite(analysis: Analysis): boolean {
  return (
    analysis.locksRows ||
    analysis.tables.some(({ isWritten }) => isWritten) ||
    hasEffect(analysis, "writes", "catalogState", "sessionLock")
  );
}
