/**
 * Statements about the session rather than about rows: transaction control, settings,
 * SHOW, DEALLOCATE, DISCARD; and by name the refusal of those that one session on one
 * backend gives and a pooled session over several databases does not.
 */
import type { Node, TransactionStmt } from "@pgsql/types";
import type { LogicalPlan, QueryPlan } from "./logical-plan.ts";
import type { SessionPlan, TransactionPlan } from "./session-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import { refuseSessionBound } from "./refused-statements.ts";
import { transactionModes } from "./transaction-modes.ts";
import { planClose, planFetch } from "./utility-cursors.ts";
import { planExecute, planPrepare } from "./utility-prepared.ts";
import { planSetting } from "./utility-settings.ts";
import { AS_THEY_COME } from "./several.ts";

/** The plan of a statement about the session; undefined for one about rows or the schema. */
export function planUtility(
  statement: ParsedStatement,
  context: PlanContext,
): LogicalPlan | undefined {
  const { node, text } = statement;
  if ("TransactionStmt" in node) return planTransaction(node.TransactionStmt, text);
  if ("ConstraintsSetStmt" in node)
    return planConstraints(node.ConstraintsSetStmt.constraints, text);
  if ("VariableSetStmt" in node) return planSetting(node.VariableSetStmt, text);
  if ("VariableShowStmt" in node) return showPlan(text, context);
  if ("PrepareStmt" in node) return planPrepare(statement, node.PrepareStmt);
  if ("ExecuteStmt" in node) return planExecute(statement, node.ExecuteStmt);
  if ("DeallocateStmt" in node) {
    const name = node.DeallocateStmt.isall === true ? undefined : node.DeallocateStmt.name;
    return sessionPlan(text, { kind: "deallocate", name });
  }
  if ("FetchStmt" in node) return planFetch(statement, node.FetchStmt);
  if ("ClosePortalStmt" in node) return planClose(statement, node.ClosePortalStmt);
  if ("DiscardStmt" in node) {
    switch (node.DiscardStmt.target) {
      case "DISCARD_PLANS":
        return sessionPlan(text, { kind: "discardPlans" });
      case "DISCARD_TEMP":
        return sessionPlan(text, { kind: "discardTemporary" });
      case "DISCARD_SEQUENCES":
        return sessionPlan(text, { kind: "discardSequences" });
      default:
        return sessionPlan(text, { kind: "discardAll" });
    }
  }
  if ("NotifyStmt" in node) return notifyPlan(text, context);
  if ("ListenStmt" in node)
    return sessionPlan(text, { kind: "listen", channel: node.ListenStmt.conditionname ?? "" });
  if ("UnlistenStmt" in node)
    return sessionPlan(text, { kind: "unlisten", channel: node.UnlistenStmt.conditionname });
  refuseSessionBound(node);
  return undefined;
}

function sessionPlan(sql: string, action: SessionPlan["action"]): SessionPlan {
  return { kind: "session", sql, action };
}

function showPlan(sql: string, context: PlanContext): QueryPlan {
  return { ...atCatalog(sql, context), access: "read", rule: "showSetting", returnsRows: true };
}

/** All clients listen to the catalog database, so that is where the transaction notifies. */
function notifyPlan(sql: string, context: PlanContext): QueryPlan {
  return { ...atCatalog(sql, context), access: "write", rule: "notify", returnsRows: false };
}

function atCatalog(
  sql: string,
  context: PlanContext,
): Omit<QueryPlan, "access" | "rule" | "returnsRows"> {
  return {
    kind: "query",
    routing: { kind: "home", database: context.map.catalog, because: "session" },
    template: { sql, edits: [], arm: undefined },
    several: AS_THEY_COME,
  };
}

function planTransaction(transaction: TransactionStmt, sql: string): TransactionPlan {
  const chain = transaction.chain === true;
  const name = transaction.savepoint_name ?? "";
  const plan = (action: TransactionPlan["action"]): TransactionPlan => ({
    kind: "transaction",
    sql,
    action,
  });
  switch (transaction.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return plan({
        kind: "begin",
        command: transaction.kind === "TRANS_STMT_START" ? "START TRANSACTION" : "BEGIN",
        modes: transactionModes(transaction.options),
      });
    case "TRANS_STMT_COMMIT":
      return plan({ kind: "commit", chain });
    case "TRANS_STMT_ROLLBACK":
      return plan({ kind: "rollback", chain });
    case "TRANS_STMT_SAVEPOINT":
      return plan({ kind: "savepoint", name });
    case "TRANS_STMT_RELEASE":
      return plan({ kind: "release", name });
    case "TRANS_STMT_ROLLBACK_TO":
      return plan({ kind: "rollbackTo", name });
    default:
      return refuse("statement_not_supported", "prepared transactions are not supported", {
        detail: "The proxy prepares and commits on its databases by itself.",
        hint: "Use COMMIT: a transaction over several databases is committed in all of them or in none.",
        location: location(transaction.location),
      });
  }
}

/** A name would mean other constraints in each database, or none. */
function planConstraints(names: readonly Node[] | undefined, sql: string): TransactionPlan {
  if (names === undefined || names.length === 0)
    return { kind: "transaction", sql, action: { kind: "setConstraints" } };
  const [first] = names;
  return refuse(
    "statement_not_supported",
    "SET CONSTRAINTS of single constraints is not supported",
    {
      hint: "Use SET CONSTRAINTS ALL.",
      location:
        first !== undefined && "RangeVar" in first ? location(first.RangeVar.location) : undefined,
    },
  );
}

/** -1 is the grammar's "nowhere". */
function location(of: number | undefined): number | undefined {
  return of === undefined || of < 0 ? undefined : of;
}
