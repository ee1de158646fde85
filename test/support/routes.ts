/** By which route the planner answers a query, or why it refuses: told by the plan alone. */
import { SqlError } from "../../base/sql-error.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { gatherLabel } from "../../planner/explain/gather-label.ts";
import { routingLabel } from "../../planner/explain/routing-label.ts";
import type { LogicalPlan, Routing } from "../../planner/logical-plan.ts";
import { parseSql } from "../../planner/parse.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";

export type Route =
  /** One placement, or any database: its rows are relayed as they come. */
  | { readonly kind: "single"; readonly how: string }
  /** Several placements; their answers are put together as they stream. */
  | { readonly kind: "scatter"; readonly how: string }
  /** Several placements; rows, groups or tables are finished in the catalog database. */
  | { readonly kind: "database gather"; readonly how: string }
  | { readonly kind: "refused"; readonly id: string; readonly message: string };

export function planContext(mapYaml: string, schema: string): PlanContext {
  const parsed = parseShardMap(mapYaml, "map.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return {
    map: parsed.map,
    catalog: catalogFromSql(schema, { schema: "public", isByteOrder: true }),
    searchPath: ["$user", "public"],
    parameterTypes: [],
    user: "app",
  };
}

export function routeOf(sql: string, context: PlanContext): Route {
  try {
    return routeOfPlan(planOf(sql, context));
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return { kind: "refused", id: error.id, message: error.message };
  }
}

/** Throws SqlError where the planner refuses. */
export function planOf(sql: string, context: PlanContext): LogicalPlan {
  const outcome = parseSql(sql);
  const [statement, ...more] = outcome.kind === "statements" ? outcome.statements : [];
  if (statement === undefined || more.length > 0) throw new Error(`not one statement: ${sql}`);
  return planStatement(statement, context);
}

function routeOfPlan(plan: LogicalPlan): Route {
  if (plan.kind !== "query") return { kind: "single", how: plan.kind };
  const { routing } = plan;
  if (isOnePlacement(routing)) return { kind: "single", how: routingLabel(routing) };
  const { gather, scatterRefusal } = plan.several;
  if (scatterRefusal !== undefined) {
    const { id, message } = scatterRefusal;
    return { kind: "refused", id, message };
  }
  if (gather.kind !== "database") return { kind: "scatter", how: gatherLabel(gather) };
  const pulls = gather.pulls.map(({ table }) => table);
  return { kind: "database gather", how: `${gatherLabel(gather)}: ${pulls.join(", ")}` };
}

function isOnePlacement(routing: Routing): boolean {
  switch (routing.kind) {
    case "home":
    case "anyDatabase":
    case "noRows":
      return true;
    case "shardKeys":
      return routing.keys.length === 1 && routing.alsoPinned.length === 0;
    default:
      return false;
  }
}
