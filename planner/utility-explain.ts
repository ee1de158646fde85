/**
 * EXPLAIN: the statement within is planned as if it stood alone, and what stands before it
 * is put before each text that the plan sends. A database so explains what it would be
 * asked; bind-explain.ts says what the proxy does with the answers.
 */
import type { DefElem, ExplainStmt, Node } from "@pgsql/types";
import type { ExplainFormat } from "./explain/explain-node.ts";
import type { LogicalPlan, QueryPlan } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import { refuse } from "./refusal.ts";
import { planExplainExecute } from "./utility-prepared.ts";
import { statementWithin, type StatementWithin } from "./statement-within.ts";

/** The kinds whose plan is one text: what PostgreSQL explains besides them is refused by name. */
const EXPLAINED: ReadonlySet<string> = new Set([
  "SelectStmt",
  "UpdateStmt",
  "DeleteStmt",
  "InsertStmt",
  "MergeStmt",
]);

/** What PostgreSQL explains besides, each with what tells the same. */
const UNEXPLAINED: ReadonlyMap<string, readonly [command: string, hint: string]> = new Map([
  ["CreateTableAsStmt", ["CREATE TABLE AS", "Explain its query by itself."]],
  ["DeclareCursorStmt", ["DECLARE CURSOR", "Explain its query by itself."]],
  ["RefreshMatViewStmt", ["REFRESH MATERIALIZED VIEW", "Explain the view's query by itself."]],
]);

export function planExplain(
  statement: ParsedStatement,
  explain: ExplainStmt,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { query } = explain;
  if (query !== undefined && "ExecuteStmt" in query)
    return planExplainExecute(statement, query.ExecuteStmt);
  if (query === undefined || !EXPLAINED.has(Object.keys(query)[0] ?? "")) {
    const [command, hint] = UNEXPLAINED.get(Object.keys(query ?? {})[0] ?? "") ?? [
      "this statement",
    ];
    return refuse("explain_not_supported", `EXPLAIN of ${command} is not supported`, {
      hint: hint ?? "EXPLAIN takes SELECT, INSERT, UPDATE, DELETE and MERGE.",
    });
  }
  const { start, within } = explainedStatement(statement, query);
  const plan = planQuery(within);
  // What PostgreSQL refuses in the statement within it refuses in this one.
  if (plan.kind === "rejected") return { kind: "rejected", sql: statement.text };
  if (plan.kind !== "query" && plan.kind !== "insert") {
    return refuse(
      "explain_not_supported",
      plan.kind === "cursor"
        ? "EXPLAIN of WHERE CURRENT OF is not supported"
        : "EXPLAIN of an INSERT whose rows are read first is not supported",
    );
  }
  if (
    plan.kind === "query" &&
    plan.several.gather.kind === "database" &&
    plan.several.gather.own === "made"
  )
    refuse("explain_not_supported", "EXPLAIN of a temporary table that is made is not supported");
  const executes = isOn("analyze", explain);
  if (executes && plan.kind === "query") refuseSessionState(plan);
  return {
    kind: "explain",
    access: executes ? plan.access : "read",
    plan,
    prefix: statement.text.slice(0, start),
    executes,
    format: formatOf(explain),
    isVerbose: isOn("verbose", explain),
  };
}

/** What it does to the session, or asks of it, the proxy knows by the rows, which an explanation has not. */
function refuseSessionState({ routing }: QueryPlan): void {
  if (routing.kind !== "home") return;
  const { because } = routing;
  if (because !== "advisory lock" && because !== "session value" && because !== "sequence") return;
  refuse(
    "explain_not_supported",
    "EXPLAIN ANALYZE of session state (set_config, setval, nextval, currval, advisory locks) is not supported",
    { hint: "Explain it without ANALYZE." },
  );
}

function explainedStatement(statement: ParsedStatement, query: Node): StatementWithin {
  return (
    statementWithin(statement, query, possibleStarts(statement)) ??
    refuse("explain_not_supported", "the statement within EXPLAIN cannot be told apart")
  );
}

/** Behind EXPLAIN and its words, and behind each parenthesis that may end a list of options. */
function* possibleStarts({ tokens, text }: ParsedStatement): Iterable<number> {
  const words = tokens.map(({ start, end }) => text.slice(start, end).toLowerCase());
  let at = 1;
  while (words[at] === "analyze" || words[at] === "analyse" || words[at] === "verbose") at++;
  for (let depth = 0, close = at; words[at] === "(" && close < tokens.length; close++) {
    if (words[close] === "(") depth++;
    if (words[close] === ")") depth--;
    const next = tokens[close + 1];
    if (depth > 0) continue;
    if (next !== undefined) yield next.start;
    break;
  }
  const first = tokens[at];
  if (first !== undefined) yield first.start;
}

const FORMATS: ReadonlySet<string> = new Set<ExplainFormat>(["text", "json", "yaml", "xml"]);

/** An unknown format is the server's to refuse, before any row. */
function formatOf(explain: ExplainStmt): ExplainFormat {
  const argument = optionOf("format", explain)?.arg;
  const name = argument !== undefined && "String" in argument ? argument.String.sval : undefined;
  const format = name?.toLowerCase() ?? "";
  return FORMATS.has(format) ? (format as ExplainFormat) : "text";
}

/** A Boolean option that is named is on, unless its value says otherwise (define.c, defGetBoolean). */
function isOn(name: string, explain: ExplainStmt): boolean {
  const option = optionOf(name, explain);
  if (option === undefined) return false;
  const { arg } = option;
  if (arg === undefined) return true;
  if ("Integer" in arg) return (arg.Integer.ival ?? 0) !== 0;
  const word = "String" in arg ? (arg.String.sval ?? "").toLowerCase() : "";
  return word !== "false" && word !== "off";
}

/** Of an option that is given twice the last counts. */
function optionOf(name: string, { options }: ExplainStmt): DefElem | undefined {
  return (options ?? [])
    .flatMap((option) => ("DefElem" in option ? [option.DefElem] : []))
    .findLast(({ defname }) => defname === name);
}
