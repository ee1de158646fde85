/**
 * Whether the triggers of the tables that a statement writes give what they would give in
 * one PostgreSQL. A trigger runs in one placement: it may compute with its own row, and
 * not look at others, nor move the row by changing its shard key.
 */
import type { RangeVar } from "@pgsql/types";
import type { CatalogRelation, CatalogTrigger } from "../shardmap/catalog.ts";
import { mayReachTables, storedCallEffect, type FunctionEffect } from "./functions.ts";
import { resolveTable, type ResolvedTable } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

type StoredTable = Exclude<ResolvedTable, { readonly kind: "system" | "unknown" }>;

/** `cascades` where a write may go on along foreign keys: UPDATE, DELETE, and what contains them. */
export function checkTriggers(
  table: StoredTable,
  cascades: boolean,
  location: number | undefined,
  context: PlanContext,
): void {
  const reached = cascades ? withReferencing(table.relation, context) : [table.relation];
  for (const relation of reached) {
    for (const trigger of relation.triggers) {
      const why =
        table.kind === "unlisted"
          ? whyUnlisted(trigger, relation, context)
          : whyMapped(trigger, relation, table, context);
      if (why === undefined) continue;
      refuse(
        "trigger_not_supported",
        `trigger "${trigger.name}" of table "${relation.name}" is not supported`,
        { location, detail: `Its function ${trigger.functionName} ${why}.` },
      );
    }
  }
}

/** TRUNCATE fires triggers that are for each statement, of the table and with CASCADE of those that refer to it. */
export function checkTruncateTriggers(
  reference: RangeVar,
  cascades: boolean,
  context: PlanContext,
): void {
  if (context.map.tables.size === 0) return;
  const table = resolveTable(reference, context);
  if (table.kind === "system" || table.kind === "unknown") return;
  const reached = cascades ? withReferencing(table.relation, context) : [table.relation];
  for (const relation of reached) {
    const triggers = relation.triggers.filter(({ isForEachRow }) => !isForEachRow);
    const fired = { ...table, relation: { ...relation, triggers } };
    checkTriggers(fired, false, reference.location, context);
  }
}

/** The table and those whose rows a foreign key may delete or change with its own. */
function withReferencing(
  relation: CatalogRelation,
  { catalog }: PlanContext,
): ReadonlySet<CatalogRelation> {
  const found = new Set([relation]);
  for (const referenced of found) {
    for (const other of catalog.relations.get(referenced.schema)?.values() ?? []) {
      const refers = other.foreignKeys.some(
        (key) =>
          key.referencedSchema === referenced.schema && key.referencedTable === referenced.name,
      );
      if (refers) found.add(other);
    }
  }
  return found;
}

/** Effects of a call that come out in a placement as they do in one database. */
const HARMLESS: ReadonlySet<FunctionEffect> = new Set(["immutable", "stable", "volatile"]);

function whyMapped(
  trigger: CatalogTrigger,
  relation: CatalogRelation,
  table: StoredTable,
  context: PlanContext,
): string | undefined {
  const { body, isForEachRow } = trigger;
  if (!isForEachRow) return "runs once for a statement, which may run in several placements";
  if (body.reachesTables || body.isOpaque) return "may read or write rows of one placement only";
  if (body.replacesRow) return "may replace the whole row, and its shard key with it";
  const calls = [...body.calls, ...trigger.conditionCalls];
  const reaching = calls.find((name) => mayReachTables(name, context));
  if (reaching !== undefined) return `calls ${reaching}, which may read tables`;
  const local = calls.find((name) => !HARMLESS.has(storedCallEffect(name, context)));
  if (local !== undefined) return `calls ${local}, which answers for one database`;
  const mapped = context.map.tables.get(relation.name);
  const key =
    mapped?.kind === "sharded"
      ? mapped.keyColumns.find((column) => body.assigns.has(column))
      : undefined;
  if (key !== undefined) return `changes shard key column "${key}"`;
  if (table.kind !== "reference") return undefined;
  const isAlike =
    body.assigns.size === 0 &&
    calls.every((name) => storedCallEffect(name, context) === "immutable") &&
    !SESSION_WORDS.some((word) => body.words.has(word));
  return isAlike ? undefined : "may store another value in each database";
}

/** Keywords that are read from the clock or the session. */
const SESSION_WORDS = [
  "current_timestamp",
  "current_date",
  "current_time",
  "localtime",
  "localtimestamp",
  "current_user",
  "current_role",
  "session_user",
  "user",
];

/** A trigger of a table that stands in the catalog database alone may do there what it likes, with tables of that kind. */
function whyUnlisted(
  trigger: CatalogTrigger,
  relation: CatalogRelation,
  context: PlanContext,
  seen: ReadonlySet<CatalogRelation> = new Set(),
): string | undefined {
  const { map, catalog } = context;
  if (map.tables.size === 0) return undefined;
  const { body } = trigger;
  if (body.isOpaque) return "runs what its text does not show, and may write mapped tables";
  const mapped = [...map.tables.keys()].find((name) => body.words.has(name));
  if (mapped !== undefined)
    return `names table "${mapped}", of which the catalog database has no rows`;
  const calls = [...body.calls, ...trigger.conditionCalls];
  const reaching = calls.find((name) => mayReachTables(name, context));
  if (reaching !== undefined) return `calls ${reaching}, which may read tables`;
  const visited = new Set([...seen, relation]);
  for (const named of relationsNamed(body.words, catalog.relations)) {
    if (visited.has(named)) continue;
    if (named.hasRules) return `names table "${named.name}", which has rewrite rules`;
    for (const next of named.triggers) {
      const why = whyUnlisted(next, named, context, visited);
      if (why !== undefined)
        return `names table "${named.name}", whose trigger "${next.name}" calls ${next.functionName}, which ${why}`;
    }
  }
  return undefined;
}

function relationsNamed(
  words: ReadonlySet<string>,
  schemas: PlanContext["catalog"]["relations"],
): readonly CatalogRelation[] {
  return [...schemas.values()].flatMap((relations) =>
    [...words].flatMap((word) => relations.get(word) ?? []),
  );
}
