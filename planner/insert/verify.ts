/** Parses the split statement again: as many rows and values as were meant, in the same order. */
import type { Node } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { sameTree } from "../ast.ts";
import { renderInsert } from "./template.ts";
import type { InsertInput } from "./values.ts";
import type { InsertPlan } from "./insert-plan.ts";
import { parseSql } from "../parse.ts";

const PROBE_UUID = "00000000-0000-0000-0000-000000000000";

/** What the proxy wrote into the statement must be what it meant; where it wrote nothing there is nothing to verify. */
export function verifyInsert(plan: InsertPlan, { insert, context }: InsertInput): void {
  if (plan.generated.length === 0 && insert.selectStmt !== undefined) return;
  const probe = plan.generated.map(({ source }) =>
    source.kind === "randomUuid" ? PROBE_UUID : "1",
  );
  const rendered = renderInsert(
    plan,
    plan.rows.map((_, row) => row),
    plan.rows.map(() => probe),
    { placement: undefined, canonicalSchema: context.map.canonicalSchema, limit: undefined },
  );
  const outcome = parseSql(rendered.sql);
  const [statement] = outcome.kind === "statements" ? outcome.statements : [];
  const node = explained(statement?.node);
  invariant(node !== undefined && "InsertStmt" in node, "a split INSERT is one INSERT");
  const written = node.InsertStmt;
  const select = written.selectStmt;
  const rows =
    select !== undefined && "SelectStmt" in select ? (select.SelectStmt.valuesLists ?? []) : [];
  invariant(rows.length === plan.rows.length, "a split INSERT keeps its rows");
  const columns = written.cols?.length;
  const counts = rows.map((row) => ("List" in row ? (row.List.items?.length ?? 0) : 0));
  invariant(
    counts.every((count) => count === (columns ?? counts[0])),
    "each row of a split INSERT fills its columns",
  );
  invariant(
    sameTree(
      [written.onConflictClause, written.returningClause],
      [insert.onConflictClause, insert.returningClause],
    ),
    "a split INSERT keeps its ON CONFLICT and RETURNING",
  );
}

/** The INSERT of an EXPLAIN, whose text keeps the EXPLAIN before it. */
function explained(node: Node | undefined): Node | undefined {
  return node !== undefined && "ExplainStmt" in node ? node.ExplainStmt.query : node;
}
