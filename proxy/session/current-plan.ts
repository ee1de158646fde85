/**
 * Plans a statement in the catalog as it is. A table that the proxy's catalog has not may have been
 * made meanwhile, past this proxy: before the statement runs, the server is asked whether it knows
 * the name, and then the catalog is read again. To run it in the catalog database in the hope of an
 * error would do for a name that nobody knows; a table of the map stands there, too, and is empty.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { ParsedStatement } from "../../planner/parse.ts";
import { describe } from "../execution/describe.ts";
import { namesUnknownTable } from "./plan-traits.ts";
import type { Responder } from "./responder.ts";
import type { StatementPlanner } from "./statement-planner.ts";
import type { StatementRunner } from "./statement-runner.ts";

const UNHEARD = { of: "statement", onNotice: () => undefined } as const;

export interface CurrentPlanParts {
  readonly runner: StatementRunner;
  readonly planner: StatementPlanner;
}

/** `text`: the query string, where this statement is all of it. Throws what the server says of a name that is not there. */
export async function planNow(
  statement: ParsedStatement,
  { text, parameterTypes }: { readonly text?: string; readonly parameterTypes: readonly number[] },
  { runner, planner }: CurrentPlanParts,
  signal: AbortSignal,
): Promise<LogicalPlan> {
  const context = await runner.view.planContext(
    parameterTypes,
    signal,
    isTransactionEnd(statement),
  );
  const plan = planner.plan(statement, context, text);
  if (!namesUnknownTable(plan) || runner.transaction.isFailed) return plan;
  await runner.view.withCatalog(signal, (connection) =>
    describe(connection, statement.text, parameterTypes, UNHEARD),
  );
  await runner.lookAgain();
  return planner.plan(statement, await runner.view.planContext(parameterTypes, signal), text);
}

/** Of such a statement nothing is described, and it has to be possible whatever becomes of the catalog database. */
export function isTransactionEnd({ node }: ParsedStatement): boolean {
  if (!("TransactionStmt" in node)) return false;
  return TRANSACTION_ENDS.has(node.TransactionStmt.kind ?? "");
}

/** IsTransactionExitStmt of postgres.c, but for PREPARE TRANSACTION. */
const TRANSACTION_ENDS: ReadonlySet<string> = new Set([
  "TRANS_STMT_COMMIT",
  "TRANS_STMT_ROLLBACK",
  "TRANS_STMT_ROLLBACK_TO",
]);

/** What the planner cannot read is put to a server as a Parse, which runs nothing, for its words. */
export async function rejected(
  sql: string,
  { runner, responder }: Pick<CurrentPlanParts, "runner"> & { readonly responder: Responder },
  signal: AbortSignal,
): Promise<never> {
  const onNotice = (notice: Buffer): void => responder.notice(notice);
  await runner.view.withCatalog(signal, (connection) =>
    describe(connection, sql, [], { of: "statement", onNotice }),
  );
  throw new SqlError(
    "statement_not_understood",
    "statement is understood by the server, but not by the proxy",
  );
}
