/**
 * Functions of users that a statement calls without their names: by an operator, by a cast, by the
 * CHECKs of a domain, and by those and the indexes of the tables that it writes. What holds for a
 * call by name holds for them. An implicit cast shows in no statement and is not seen here.
 */
import type { Node } from "@pgsql/types";
import type { CatalogRelation } from "../shardmap/catalog.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { mayReachTables } from "./functions.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

/** Throws PlanRefused for an operator or a type whose functions may read tables or keep state of the session. */
export function checkHiddenCalls(node: Node, context: PlanContext): void {
  const { operators, types } = context.catalog.hiddenCalls;
  if (operators.size === 0 && types.size === 0) return;
  walkNodes(node, ({ kind, body }) => {
    const location = typeof body["location"] === "number" ? body["location"] : undefined;
    for (const names of [body["name"], body["operName"], body["useOp"]]) {
      const name = kind === "RangeVar" ? undefined : lastOf(names);
      refuseReaching(operators.get(name ?? ""), `operator ${name}`, location, context);
    }
    const type = lastOf((body["typeName"] as { names?: unknown } | undefined)?.names);
    refuseReaching(types.get(type ?? ""), `type ${type}`, location, context);
    return true;
  });
}

/** Throws PlanRefused for a table whose CHECKs, indexes or types may. */
export function checkStoredCalls(relation: CatalogRelation, context: PlanContext): void {
  const { relations, types } = context.catalog.hiddenCalls;
  const table = `table "${relation.name}"`;
  refuseReaching(
    relations.get(relation.oid),
    `a constraint or index of ${table}`,
    undefined,
    context,
  );
  for (const { name, typeOid } of relation.columns) {
    const type = context.catalog.types.get(typeOid)?.name ?? "";
    const owner = `the type of column "${name}" of ${table}`;
    refuseReaching(types.get(type), owner, undefined, context);
  }
}

function lastOf(names: unknown): string | undefined {
  return Array.isArray(names) ? nameParts(names as Node[]).at(-1) : undefined;
}

function refuseReaching(
  calls: ReadonlySet<string> | undefined,
  owner: string,
  location: number | undefined,
  context: PlanContext,
): void {
  for (const name of calls ?? []) {
    if (!mayReachTables(name, context)) continue;
    refuse(
      "function_reads_tables",
      `function ${name} of ${owner} may read tables, and would see the rows and the state of one database only`,
      { location },
    );
  }
}
