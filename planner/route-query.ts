/**
 * Decides where a SELECT, UPDATE or DELETE runs.
 *
 * Reads only the statement, the map and the catalog, never a parameter's value, so the
 * plan is good for every execution of the statement under that map and catalog.
 */
import { analyze } from "./analyze/analyze.ts";
import type { Analysis } from "./analyze/model.ts";
import { checkFunctions, hasEffect, mayWrite } from "./function-rules.ts";
import type { Gather, QueryPlan, Routing } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, refuse, withRefusals } from "./refusal.ts";
import { checkReferenceWrite } from "./reference-write.ts";
import { planSessionValues } from "./session-values.ts";
import { routeSharded } from "./route-sharded.ts";
import { sharingOf } from "./shared-statements.ts";
import { overCopies } from "./route-beside-temporary.ts";
import { returnsRows, templateFor } from "./statement-text.ts";
import { placeTables, type Home } from "./table-mix.ts";
import { severally } from "./several.ts";

/** Throws SqlError 0A000 for what cannot be answered as one PostgreSQL would. */
export function routeQuery(statement: ParsedStatement, context: PlanContext): QueryPlan {
  return withRefusals(statement, () => {
    const ofSession = planSessionValues(statement, context);
    if (ofSession !== undefined) return ofSession;
    const analysis = analyze(statement.node, context);
    refuseSystemWrites(analysis);
    const home = placeTables(analysis, context);
    checkFunctions(analysis, home, context);
    if (home.kind === "shardedBesideTemporary")
      return besideTemporary(statement, analysis, home.refuse, context);
    if (home.kind === "sharded") {
      const [barred] = analysis.shardedRefusals;
      if (barred !== undefined) throw new PlanRefused(barred);
      return withSharing(routeSharded(statement, analysis, context), statement, analysis, context);
    }
    const plan = routeUnsharded(statement, analysis, home, context);
    return withSharing(plan, statement, analysis, context);
  });
}

function withSharing(
  plan: QueryPlan,
  { node }: ParsedStatement,
  analysis: Analysis,
  context: PlanContext,
): QueryPlan {
  const sharing = sharingOf(node, plan.access, analysis, context);
  return sharing === undefined ? plan : { ...plan, sharing };
}

/** The rows of the shards are brought to where the session's temporary tables are. */
function besideTemporary(
  statement: ParsedStatement,
  analysis: Analysis,
  refuseMix: () => never,
  context: PlanContext,
): QueryPlan {
  if (!("SelectStmt" in statement.node) || mayWrite(analysis)) return refuseMix();
  return overCopies(statement, analysis, "read", context);
}

/** An UPDATE of pg_settings is a SET that nobody sees: it would stay on the backend for whoever gets it next. */
function refuseSystemWrites({ tables }: Analysis): void {
  const written = tables.find(({ table, isWritten }) => isWritten && table.kind === "system");
  if (written === undefined) return;
  refuse("system_catalog_written", `system catalog "${written.table.name}" cannot be written`, {
    location: written.location,
  });
}

/** Ids that were drawn ahead are void after it. */
function setsSequence({ functions }: Analysis): boolean {
  return functions.some(({ name }) => name === "setval");
}

function routeUnsharded(
  statement: ParsedStatement,
  analysis: Analysis,
  home: Exclude<Home, { kind: "sharded" | "shardedBesideTemporary" }>,
  context: PlanContext,
): QueryPlan {
  const whole = {
    kind: "query" as const,
    access: mayWrite(analysis) ? ("write" as const) : ("read" as const),
    template: templateFor(statement, context),
    returnsRows: returnsRows(statement.node),
  };
  const [rule, routing, gather] = unshardedRouting(statement, analysis, home, context);
  return { ...whole, rule, routing, several: severally(gather) };
}

function unshardedRouting(
  statement: ParsedStatement,
  analysis: Analysis,
  home: Exclude<Home, { kind: "sharded" | "shardedBesideTemporary" }>,
  context: PlanContext,
): [string, Routing, Gather] {
  const concat: Gather = { kind: "concat", limit: undefined };
  if (home.kind === "home") {
    const isGroup = home.because === "group";
    if (
      isGroup &&
      analysis.tables.some(({ table, isWritten }) => isWritten && table.kind === "reference")
    ) {
      refuse(
        "reference_write_mixed",
        "a reference table cannot be written together with tables of a group",
      );
    }
    const because = hasEffect(analysis, "sessionLock")
      ? "advisory lock"
      : setsSequence(analysis)
        ? "sequence"
        : home.because;
    return [home.rule, { kind: "home", database: home.database, because }, concat];
  }
  if (home.isWritten) {
    checkReferenceWrite(statement.node, analysis);
    return ["everyDatabaseForReference", { kind: "everyDatabase" }, { kind: "agree" }];
  }
  // A row lock must be met by every writer, and what a server says of itself is the catalog database's to say.
  if (analysis.locksRows || hasEffect(analysis, "writes", "serverState")) {
    return [
      "catalogForReference",
      { kind: "home", database: context.map.catalog, because: "reference table" },
      concat,
    ];
  }
  return ["anyDatabaseForReference", { kind: "anyDatabase" }, concat];
}
