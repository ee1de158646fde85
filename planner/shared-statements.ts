/**
 * Which statements may be put to a server on a connection that other clients use meanwhile: those
 * that only read, and of which nothing stays on the connection. What is not proven is not shared.
 *
 * A statement that PostgreSQL calls a read may still keep a lock or a setting, by a function. So each
 * function that it calls, by name, by an operator or by a cast, has to be IMMUTABLE or STABLE, and
 * each relation a table, without a policy that might call others.
 */
import type { Node } from "@pgsql/types";
import { TEMPORARY_SCHEMA } from "../shardmap/catalog.ts";
import type { CatalogRelation } from "../shardmap/catalog.ts";
import type { Analysis } from "./analyze/model.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { storedCallEffect, type FunctionEffect } from "./functions.ts";
import type { QueryPlan, Sharing } from "./logical-plan.ts";
import type { ResolvedTable } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";

const HARMLESS: ReadonlySet<FunctionEffect> = new Set(["immutable", "stable"]);

/** Undefined where the statement is to have its connection for itself. */
export function sharingOf(
  node: Node,
  access: QueryPlan["access"],
  { tables, functions }: Pick<Analysis, "tables" | "functions">,
  context: PlanContext,
): Sharing | undefined {
  if (access === "write" || !("SelectStmt" in node)) return undefined;
  if (!tables.every(({ table }) => isPlainTable(table))) return undefined;
  if (!functions.every(({ effect }) => HARMLESS.has(effect))) return undefined;
  const hidden = hiddenEffects(node, context);
  if (!hidden.every((effect) => HARMLESS.has(effect))) return undefined;
  const effects = [...functions.map(({ effect }) => effect), ...hidden];
  const isSameForAll = effects.every((effect) => effect === "immutable") && !differs(node);
  const allowed = context.map.coalescedTables;
  const isAllowed = tables.length > 0 && tables.every(({ table }) => isListed(table, allowed));
  return { coalesces: isSameForAll && isAllowed };
}

const PLAIN_KINDS: ReadonlySet<CatalogRelation["kind"]> = new Set([
  "table",
  "partitioned table",
  "materialized view",
]);

function isPlainTable(table: ResolvedTable): boolean {
  if (table.kind === "system" || table.kind === "unknown") return false;
  const { kind, schema, hasRowSecurity, hasRules } = table.relation;
  return PLAIN_KINDS.has(kind) && schema !== TEMPORARY_SCHEMA && !hasRowSecurity && !hasRules;
}

function isListed(table: ResolvedTable, allowed: ReadonlySet<string>): boolean {
  const isOfMap = table.kind === "sharded" || table.kind === "group" || table.kind === "reference";
  return isOfMap && allowed.has(table.name);
}

/** Of what operators and casts of users call; of names that several schemas have, of all. */
function hiddenEffects(node: Node, context: PlanContext): readonly FunctionEffect[] {
  const { operators, types } = context.catalog.hiddenCalls;
  if (operators.size === 0 && types.size === 0) return [];
  const called = new Set<string>();
  walkNodes(node, ({ kind, body }) => {
    for (const names of [body["name"], body["operName"], body["useOp"]])
      if (kind !== "RangeVar") addAll(called, operators.get(lastOf(names) ?? ""));
    const type = lastOf((body["typeName"] as { names?: unknown } | undefined)?.names);
    addAll(called, types.get(type ?? ""));
    return true;
  });
  return [...called].map((name) => storedCallEffect(name, context));
}

function addAll(to: Set<string>, names: ReadonlySet<string> | undefined): void {
  for (const name of names ?? []) to.add(name);
}

function lastOf(names: unknown): string | undefined {
  return Array.isArray(names) ? nameParts(names as Node[]).at(-1) : undefined;
}

/** CURRENT_TIMESTAMP and its kin, and samples: another answer at each call, though nothing is called by name. */
function differs(node: Node): boolean {
  let isFound = false;
  walkNodes(node, ({ kind }) => {
    isFound ||= kind === "SQLValueFunction" || kind === "RangeTableSample";
    return !isFound;
  });
  return isFound;
}
