/**
 * EXPLAIN of what one placement or database answers: PostgreSQL's own EXPLAIN there. The
 * statement within is planned as ever; its text keeps the EXPLAIN before it.
 */
import type { ExplainStmt, Node } from "@pgsql/types";
import type { LogicalPlan } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import { placeRefusal, refusal, refuse } from "./refusal.ts";

/** The kinds whose plan is one text: what PostgreSQL explains besides them is refused by name. */
const EXPLAINED: ReadonlySet<string> = new Set([
  "SelectStmt",
  "UpdateStmt",
  "DeleteStmt",
  "InsertStmt",
]);

/** No bind brings these to one placement. */
const SPREAD: ReadonlySet<string> = new Set(["everyDatabase", "byPulls"]);

export function planExplain(
  statement: ParsedStatement,
  explain: ExplainStmt,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const several = refusal(
    "explain_of_several_placements",
    "EXPLAIN of a statement that several placements answer is not supported",
  );
  const plan = planQuery(statement.withNode(explainedQuery(explain)));
  if (plan.kind === "rejected") return plan;
  const runsAlone = plan.kind === "query" && !SPREAD.has(plan.routing.kind);
  if (!runsAlone) {
    return refuse("explain_of_several_placements", several.message);
  }
  return {
    ...plan,
    rule: `explain ${plan.rule}`,
    scatterTemplate: undefined,
    gather: { kind: "concat", limit: undefined },
    overflowGather: undefined,
    scatterRefusal: placeRefusal(several, statement),
    returnsRows: true,
  };
}

function explainedQuery({ query }: ExplainStmt): Node {
  if (query === undefined || !EXPLAINED.has(Object.keys(query)[0] ?? "")) {
    return refuse("statement_not_supported", "EXPLAIN of this statement is not supported", {
      hint: "EXPLAIN takes SELECT, INSERT, UPDATE and DELETE.",
    });
  }
  return query;
}
