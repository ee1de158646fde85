/** The tables that a statement names, as far as names can be resolved. */
import type { Node, RangeVar } from "@pgsql/types";
import { resolveTable, type ResolvedTable } from "../../planner/names.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { PlanRefused } from "../../planner/refusal.ts";
import { tableReferences } from "../../planner/table-references.ts";

export interface NamedTables {
  /** Each once, in order; with their schema where it is not the canonical one. System catalogs are left out. */
  readonly tables: readonly string[];
  /** Those of them that neither the map nor the schema has. */
  readonly unknown: readonly string[];
  /** Those that a map may place: tables of the canonical schema. */
  readonly placeable: readonly string[];
}

export function namedTables(node: Node, context: PlanContext): NamedTables {
  const tables = new Set<string>();
  const unknown = new Set<string>();
  const placeable = new Set<string>();
  for (const reference of tableReferences(node).tables) {
    const resolved = resolvedOrNothing(reference, context);
    if (resolved === undefined || resolved.kind === "system") continue;
    const name = printedName(reference, context);
    tables.add(name);
    if (resolved.kind === "unknown") unknown.add(name);
    const table = placeableTable(resolved, context);
    if (table !== undefined) placeable.add(table);
  }
  return { tables: sorted(tables), unknown: sorted(unknown), placeable: sorted(placeable) };
}

/** The table's name, if the map may say where its rows live. */
export function placeableTable(resolved: ResolvedTable, { map }: PlanContext): string | undefined {
  if (resolved.kind === "system" || resolved.kind === "unknown") return undefined;
  const { schema, kind } = resolved.relation;
  return schema === map.canonicalSchema && kind === "table" ? resolved.name : undefined;
}

/** Some names are refused wherever they stand; the statement's plan says so too. */
export function resolvedOrNothing(
  reference: RangeVar,
  context: PlanContext,
): ResolvedTable | undefined {
  try {
    return resolveTable(reference, context);
  } catch (error) {
    if (error instanceof PlanRefused) return undefined;
    throw error;
  }
}

function printedName({ schemaname, relname = "" }: RangeVar, { map }: PlanContext): string {
  const isPlain = schemaname === undefined || schemaname === map.canonicalSchema;
  return isPlain ? relname : `${schemaname}.${relname}`;
}

function sorted(names: ReadonlySet<string>): readonly string[] {
  return [...names].toSorted();
}
