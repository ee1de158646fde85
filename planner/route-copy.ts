/** Plans COPY: from the client and to it. Files and programs of a server are not the client's to name. */
import type { CopyStmt } from "@pgsql/types";
import { planCopyIn } from "./copy/copy-in.ts";
import { planCopyOut } from "./copy/copy-out.ts";
import type { LogicalPlan } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

export function planCopy(
  statement: ParsedStatement,
  copy: CopyStmt,
  planQuery: (query: ParsedStatement) => LogicalPlan,
  context: PlanContext,
): LogicalPlan {
  if (copy.filename !== undefined) {
    return refuse("copy_server_file", "COPY of a file or program of the server is not supported");
  }
  return copy.is_from === true
    ? planCopyIn(statement, copy, context)
    : planCopyOut(statement, copy, planQuery, context);
}
