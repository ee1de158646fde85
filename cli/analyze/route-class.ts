/** What a plan costs, in one word: how many placements it needs, and how their answers become one. */
import { unreachable } from "../../base/invariant.ts";
import type { LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";

/** From the best to the worst. */
export const ROUTE_CLASSES = [
  "single",
  "home",
  "pruned",
  "streamed",
  "gathered",
  "everywhere",
  "session",
  "refused",
] as const;

export type RouteClass = (typeof ROUTE_CLASSES)[number];

/** As a report calls them. */
export const CLASS_TITLES: Readonly<Record<RouteClass, string>> = {
  single: "single placement",
  home: "single database",
  pruned: "some placements",
  streamed: "scatter, streamed",
  gathered: "scatter, database gather",
  everywhere: "every database",
  session: "no rows",
  refused: "refused",
};

export const CLASS_MEANINGS: Readonly<Record<RouteClass, string>> = {
  single: "a shard key leads to one placement",
  home: "tables that are not sharded: one database, whatever the values",
  pruned: "several shard keys, or a range of them",
  streamed: "every placement; rows are merged or combined as they come",
  gathered: "every placement; rows are put together in a database",
  everywhere: "writes to reference tables, and DDL",
  session: "transactions and settings",
  refused: "cannot be answered as one PostgreSQL would",
};

/** Undefined for what is no statement about rows or the session: nothing, or a text that is not SQL. */
export function routeClass(plan: LogicalPlan): RouteClass | undefined {
  switch (plan.kind) {
    case "empty":
    case "rejected":
      return undefined;
    case "query":
      return queryClass(plan);
    case "insert":
      return insertClass(plan);
    case "insertQuery":
      return worse(queryClass(plan.source), "pruned");
    case "explain":
      return routeClass(plan.plan);
    case "copyIn":
      return plan.target.kind === "sharded"
        ? "streamed"
        : plan.target.kind === "home"
          ? "home"
          : "everywhere";
    case "copyOut":
      return queryClass(plan.query);
    case "cursor":
      return plan.action.kind === "declare" ? queryClass(plan.action.query) : "session";
    case "ddl":
      return "everywhere";
    case "transaction":
    case "setting":
    case "session":
      return "session";
    default:
      return unreachable(plan);
  }
}

function queryClass({ routing, several }: QueryPlan): RouteClass {
  const { gather, scatterRefusal } = several;
  switch (routing.kind) {
    case "home":
    case "anyDatabase":
      return "home";
    case "noRows":
      return "single";
    case "everyDatabase":
      return "everywhere";
    case "shardKeys":
      if (differing(routing.keys) === 1) return "single";
      return scatterRefusal === undefined ? "pruned" : "refused";
    case "keyArray":
    case "keyRange":
      return scatterRefusal === undefined ? "pruned" : "refused";
    case "byPulls":
      return "gathered";
    case "allShards":
      if (scatterRefusal !== undefined) return "refused";
      return gather.kind === "database" ? "gathered" : "streamed";
    default:
      return unreachable(routing);
  }
}

function insertClass({ table, rows }: InsertPlan): RouteClass {
  if (table.kind === "reference") return "everywhere";
  return differing(rows.map(({ key }) => key)) <= 1 ? "single" : "pruned";
}

/** Keys that look different: whether they lie together hangs on their values and on the map. */
function differing(keys: readonly unknown[]): number {
  return new Set(keys.map((key) => JSON.stringify(key))).size;
}

function worse(left: RouteClass, right: RouteClass): RouteClass {
  return ROUTE_CLASSES.indexOf(left) > ROUTE_CLASSES.indexOf(right) ? left : right;
}
