/**
 * Plans COPY ... TO STDOUT: the rows are those of a query. One placement writes its data itself;
 * rows of several are gathered as any query's and written by the proxy.
 */
import type { CopyStmt, Node } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import type { LogicalPlan, QueryPlan } from "../logical-plan.ts";
import { resolveTable } from "../names.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { placeRefusal, plannedOrRefused, refuse } from "../refusal.ts";
import { templateFor } from "../statement-text.ts";
import { synthesize } from "../synthesize.ts";
import { copyOptionsText } from "./copy-check.ts";
import { copyOptions, refuseGenerated, type CopyOptions } from "./copy-options.ts";
import type { CopyOutPlan } from "./copy-plan.ts";

export function planCopyOut(
  statement: ParsedStatement,
  copy: CopyStmt,
  planQuery: (query: ParsedStatement) => LogicalPlan,
  context: PlanContext,
): CopyOutPlan | LogicalPlan {
  const rows = rowsOf(copy, context);
  const plan = planQuery(rows);
  if (plan.kind === "rejected") return { kind: "rejected", sql: statement.text };
  if (plan.kind !== "query") {
    return refuse(
      "copy_of_several_placements",
      "COPY of an INSERT whose rows are split by shard is not supported",
    );
  }
  if (plan.routing.kind === "everyDatabase") {
    return refuse(
      "copy_of_several_placements",
      "COPY of a statement that writes a reference table is not supported",
    );
  }
  if (plan.routing.kind === "home" && plan.routing.because === "session value") {
    return refuse(
      "copy_of_several_placements",
      "COPY of session state (set_config, nextval, currval, pg_backend_pid) is not supported",
    );
  }
  const read = plannedOrRefused(() => copyOptions(copy));
  const { format, header, forceQuote } = read.kind === "planned" ? read.value : SERVERS_OWN;
  const isServers = isWrittenByServer(plan);
  if (!isServers && forceQuote !== "all") checkForcedQuotes(copy, forceQuote, context);
  return {
    kind: "copyOut",
    access: plan.access,
    rule: `copy ${plan.rule}`,
    rowsSql: rows.text,
    query: withCopyText(plan, statement, context),
    format,
    hasHeader: header !== "none",
    forcedQuotes: forceQuote,
    check: isServers ? undefined : copyOptionsText(statement, copy),
    refusal: isServers || read.kind === "planned" ? undefined : placeRefusal(read.draft, statement),
  };
}

/** Whatever its options ask for: one database is asked, and its data relayed. */
function isWrittenByServer({ routing, several }: QueryPlan): boolean {
  return routing.kind === "home" && several.gather.kind !== "database";
}

/** Of a table, PostgreSQL names it; what a query does not give, the server says. */
function checkForcedQuotes(
  { relation }: CopyStmt,
  names: readonly string[],
  context: PlanContext,
): void {
  const table = relation === undefined ? undefined : resolveTable(relation, context);
  if (table === undefined || !("relation" in table)) return;
  const unknown = names.find((name) => !table.relation.columns.some((each) => each.name === name));
  if (unknown === undefined) return;
  refuse(
    "copy_column_unknown",
    `column "${unknown}" of relation "${table.relation.name}" does not exist`,
  );
}

/** Of options that only the server knows: of these the proxy reads none where it relays. */
const SERVERS_OWN: CopyOptions = {
  format: { kind: "text", delimiter: "\t", nullText: "\\N" },
  header: "none",
  forceQuote: [],
  forceNull: [],
  forceNotNull: [],
  defaultText: undefined,
};

function withCopyText(
  plan: QueryPlan,
  statement: ParsedStatement,
  context: PlanContext,
): QueryPlan {
  const { gather, scatterTemplate = plan.template, overflowGather, scatterRefusal } = plan.several;
  return {
    ...plan,
    template: templateFor(statement, context),
    several: { gather, scatterTemplate, overflowGather, scatterRefusal },
  };
}

/** The query in parentheses, or one that gives the table's columns. */
function rowsOf(copy: CopyStmt, context: PlanContext): ParsedStatement {
  if (copy.query !== undefined) return synthesize(copy.query);
  const relation = copy.relation;
  const table = relation === undefined ? undefined : resolveTable(relation, context);
  const listed = nameParts(copy.attlist);
  if (table !== undefined && "relation" in table)
    for (const column of table.relation.columns)
      if (listed.includes(column.name)) refuseGenerated(column);
  const columns =
    copy.attlist === undefined && table !== undefined && "relation" in table
      ? table.relation.columns
          .filter(({ fill }) => fill.kind !== "generated")
          .map(({ name }) => name)
      : listed;
  const target = (field: Node): Node => ({
    ResTarget: { val: { ColumnRef: { fields: [field] } } },
  });
  return synthesize({
    SelectStmt: {
      targetList:
        columns.length === 0
          ? [target({ A_Star: {} })]
          : columns.map((name) => target({ String: { sval: name } })),
      ...(relation === undefined ? {} : { fromClause: [{ RangeVar: relation }] }),
      limitOption: "LIMIT_OPTION_DEFAULT",
      op: "SETOP_NONE",
    },
  });
}
