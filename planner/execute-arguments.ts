/**
 * The arguments of EXECUTE. A server of the catalog database reads them before it is known where
 * the statement runs, and not always in its transaction: they may compute, and nothing more.
 */
import type { ExecuteStmt, Node, SQLValueFunction } from "@pgsql/types";
import { walkNodes } from "./ast.ts";
import { useOfCall, type FunctionEffect } from "./functions.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

const COMPUTING: ReadonlySet<FunctionEffect> = new Set(["immutable", "stable", "volatile"]);

/** Stable functions whose answer is the transaction's own. */
const OF_TRANSACTION: ReadonlySet<string> = new Set([
  "now",
  "transaction_timestamp",
  "statement_timestamp",
  "age",
  "current_setting",
]);

/** Of an EXECUTE, and of an EXPLAIN of one. Throws PlanRefused. */
export function checkArguments(node: Node, context: PlanContext): void {
  const execute = executeIn(node);
  if (execute === undefined) return;
  walkNodes(execute.params, ({ kind, body }) => {
    if (kind === "SQLValueFunction") refuseClock(body);
    if (kind !== "FuncCall") return true;
    const { name, effect, location } = useOfCall(body, context);
    if (!COMPUTING.has(effect) || OF_TRANSACTION.has(name))
      refuseCall(`function ${name}`, location);
    return true;
  });
}

function executeIn(node: Node): ExecuteStmt | undefined {
  if ("ExecuteStmt" in node) return node.ExecuteStmt;
  const explained = "ExplainStmt" in node ? node.ExplainStmt.query : undefined;
  return explained === undefined ? undefined : executeIn(explained);
}

function refuseClock({ op, location }: SQLValueFunction): void {
  const name = String(op)
    .replace(/^SVFOP_/, "")
    .replace(/_N$/, "");
  if (/DATE|TIME/.test(name)) refuseCall(name, location);
}

function refuseCall(what: string, location: number | undefined): never {
  return refuse("execute_argument_not_supported", `an argument of EXECUTE cannot call ${what}`, {
    location,
  });
}
