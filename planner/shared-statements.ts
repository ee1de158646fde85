/**
 * Which statements may be put to a server on a connection that other clients use meanwhile: those
 * that only read, and of which nothing stays on the connection. What is not proven is not shared.
 *
 * A statement that PostgreSQL calls a read may still keep a lock or a setting, by a function. So each
 * function that it calls has to be IMMUTABLE or STABLE, and each relation a table, without a policy that
 * might call others. Functions that are called without a name, by operators, casts and domains, may be
 * met by any statement: where one of the catalog's may do more, no statement is shared.
 */
import type { Node } from "@pgsql/types";
import { TEMPORARY_SCHEMA } from "../shardmap/catalog.ts";
import type { Catalog, CatalogRelation } from "../shardmap/catalog.ts";
import type { Analysis } from "./analyze/model.ts";
import { walkNodes } from "./ast.ts";
import { storedCallEffect, type FunctionEffect } from "./functions.ts";
import type { QueryPlan, Sharing } from "./logical-plan.ts";
import type { ResolvedTable } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";

/** Undefined where the statement is to have its connection for itself. */
export function sharingOf(
  node: Node,
  access: QueryPlan["access"],
  { tables, functions }: Pick<Analysis, "tables" | "functions">,
  context: PlanContext,
): Sharing | undefined {
  if (access === "write" || !("SelectStmt" in node)) return undefined;
  if (!tables.every(({ table }) => isPlainTable(table))) return undefined;
  if (!functions.every(({ effect }) => effect === "immutable" || effect === "stable"))
    return undefined;
  if (mayLeaveSomething(context)) return undefined;
  const isSameForAll = functions.every(({ effect }) => effect === "immutable") && !differs(node);
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

/** Beside these, a call without a name computes only. */
const LEAVING: ReadonlySet<FunctionEffect> = new Set([
  "writes",
  "catalogState",
  "sessionLock",
  "sessionState",
  "readsTables",
]);

const MAY_LEAVE = new WeakMap<Catalog, boolean>();

/** Some function that is called without its name may keep more than its result. */
function mayLeaveSomething(context: PlanContext): boolean {
  const { catalog } = context;
  const known = MAY_LEAVE.get(catalog);
  if (known !== undefined) return known;
  const { operators, types } = catalog.hiddenCalls;
  const called = new Set([...operators.values(), ...types.values()].flatMap((names) => [...names]));
  const may = [...called].some((name) => LEAVING.has(storedCallEffect(name, context)));
  MAY_LEAVE.set(catalog, may);
  return may;
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
