/**
 * Statements over sharded tables that meet the session's own temporary tables: they read them,
 * or make one of the shards' rows. The rows are copied to the session's backend of the catalog
 * database, and the client's text runs there over the copies.
 *
 *     SELECT ... FROM orders o JOIN picked p USING (user_id)
 *     CREATE TEMP TABLE picked AS SELECT ... FROM orders
 *     SELECT ... INTO TEMP picked FROM orders
 */
import type { CreateTableAsStmt, Node, RangeVar, SelectStmt } from "@pgsql/types";
import { analyze } from "./analyze/analyze.ts";
import type { Analysis } from "./analyze/model.ts";
import { PlacementRules } from "./analyze/placement-rules.ts";
import { gatherTables, refuseTakenName } from "./database-gather/tables.ts";
import { checkNewName, intoTarget, isMadeTemporary } from "./ddl/temporary.ts";
import { checkFunctions, mayWrite } from "./function-rules.ts";
import type { OwnTables, QueryPlan } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, withRefusals } from "./refusal.ts";
import { templateFor } from "./statement-text.ts";
import { placeTables } from "./table-mix.ts";
import { severally } from "./several.ts";

/** Of a temporary table that is made of sharded ones; undefined for any other statement. */
export function planTemporaryOfShards(
  statement: ParsedStatement,
  context: PlanContext,
): QueryPlan | undefined {
  const made = madeTable(statement.node);
  if (made === undefined || !isMadeTemporary(made.target, context)) return undefined;
  const { target, query } = made;
  return withRefusals(statement, () => {
    const analysis = analyze(query, context);
    if (!analysis.tables.some(({ table }) => table.kind === "sharded")) return undefined;
    checkNewName(target);
    const home = placeTables(analysis, context);
    checkFunctions(analysis, home, context);
    if (mayWrite(analysis)) return undefined;
    const taken = analysis.tables.find(
      ({ table }) => table.kind === "sharded" && table.name === target.relname,
    );
    if (taken !== undefined) refuseTakenName(taken.table.name, target.location);
    return overCopies(statement, analysis, "made", context);
  });
}

interface MadeTable {
  readonly target: RangeVar;
  /** Where its rows come from. */
  readonly query: Node;
}

function madeTable(node: Node): MadeTable | undefined {
  if ("CreateTableAsStmt" in node) return madeByCreate(node.CreateTableAsStmt);
  const target = "SelectStmt" in node ? intoTarget(node.SelectStmt) : undefined;
  if (target === undefined || !("SelectStmt" in node)) return undefined;
  return { target, query: { SelectStmt: withoutInto(node.SelectStmt) } };
}

/** The first arm of a set operation has it. */
function withoutInto(select: SelectStmt): SelectStmt {
  const { larg } = select;
  const rest: SelectStmt = { ...select };
  delete rest.intoClause;
  return larg === undefined ? rest : { ...rest, larg: withoutInto(larg) };
}

function madeByCreate({ into, query, objtype }: CreateTableAsStmt): MadeTable | undefined {
  if (into?.rel === undefined || query === undefined || objtype === "OBJECT_MATVIEW")
    return undefined;
  return "SelectStmt" in query ? { target: into.rel, query } : undefined;
}

export function overCopies(
  statement: ParsedStatement,
  analysis: Analysis,
  own: Exclude<OwnTables, "none">,
  context: PlanContext,
): QueryPlan {
  const [barred] = analysis.shardedRefusals;
  if (barred !== undefined) throw new PlanRefused(barred);
  const rules = new PlacementRules(analysis, context);
  return {
    kind: "query",
    access: own === "made" ? "write" : "read",
    rule: own === "made" ? "makeTemporary" : "gatherBesideTemporary",
    routing: { kind: "byPulls" },
    template: templateFor(statement, context),
    several: severally(gatherTables(statement, analysis, rules, context, own)),
    returnsRows: own === "read",
  };
}
