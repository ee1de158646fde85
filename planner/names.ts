/**
 * What a table name means: PostgreSQL's search through the search_path, then the shard
 * map. WITH names are found before this is asked (analyze/), since they hide tables.
 *
 * The temporary tables of a session are tables of the catalog database alone, whose schema
 * stands in a catalog of the session's own and is searched first.
 */
import type { RangeVar } from "@pgsql/types";
import { TEMPORARY_SCHEMA } from "../shardmap/catalog.ts";
import type { CatalogRelation } from "../shardmap/catalog.ts";
import type { MapTable } from "../shardmap/shard-map.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import type { TableTarget } from "./rewrite.ts";

export type ResolvedTable =
  | {
      readonly kind: "sharded";
      readonly name: string;
      readonly relation: CatalogRelation;
      readonly table: Extract<MapTable, { kind: "sharded" }>;
    }
  | {
      readonly kind: "group";
      readonly name: string;
      readonly relation: CatalogRelation;
      readonly table: Extract<MapTable, { kind: "group" }>;
    }
  | { readonly kind: "reference"; readonly name: string; readonly relation: CatalogRelation }
  /** A table of the catalog database alone. */
  | { readonly kind: "unlisted"; readonly name: string; readonly relation: CatalogRelation }
  | { readonly kind: "system"; readonly name: string }
  /** Found nowhere: the catalog database words the error. */
  | { readonly kind: "unknown"; readonly name: string };

const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set([
  "pg_catalog",
  "information_schema",
  "pg_toast",
]);

/** What they show of a backend that clients share is other clients' statements. */
const SESSION_VIEWS: ReadonlySet<string> = new Set(["pg_prepared_statements", "pg_cursors"]);

export function resolveTable(reference: RangeVar, context: PlanContext): ResolvedTable {
  const name = reference.relname ?? "";
  const schema = reference.schemaname;
  if (SESSION_VIEWS.has(name) && (schema === undefined || schema === "pg_catalog")) {
    refuse(
      "session_view",
      `view ${name} is not supported: it shows a pooled backend, not the session`,
      {
        location: reference.location,
      },
    );
  }
  if (schema !== undefined && SYSTEM_SCHEMAS.has(schema)) return { kind: "system", name };
  const relation = findRelation(reference, context);
  if (relation === undefined) {
    // pg_catalog is searched first, and what it holds is named pg_*.
    return { kind: schema === undefined && name.startsWith("pg_") ? "system" : "unknown", name };
  }
  return resolveRelation(relation, reference, context);
}

/** The relation of a user's schema that a name means. */
export function findRelation(
  { schemaname, relname = "" }: RangeVar,
  context: PlanContext,
): CatalogRelation | undefined {
  return schemaname === undefined
    ? searchPath(relname, context)
    : relationOf(schemaname, relname, context);
}

/** Where unqualified names of relations are looked for: as functions are, but a session's own come first. */
export function relationSchemas(context: PlanContext): readonly string[] {
  const searched = searchedSchemas(context);
  const isNamed = searched.some((schema) => schema === TEMPORARY_SCHEMA);
  return isNamed || !hasTemporary(context) ? searched : [TEMPORARY_SCHEMA, ...searched];
}

export function hasTemporary({ catalog }: PlanContext): boolean {
  return catalog.relations.has(TEMPORARY_SCHEMA);
}

export function isTemporary({ schema }: CatalogRelation): boolean {
  return schema === TEMPORARY_SCHEMA;
}

/** The schemas searched for unqualified names, in order; pg_catalog comes before them, unlisted. */
export function searchedSchemas(context: PlanContext): readonly string[] {
  return context.searchPath.map((entry) => (entry === "$user" ? context.user : entry));
}

function searchPath(name: string, context: PlanContext): CatalogRelation | undefined {
  for (const schema of relationSchemas(context)) {
    const relation = relationOf(schema, name, context);
    if (relation !== undefined) return relation;
  }
  return undefined;
}

function relationOf(
  schema: string,
  name: string,
  context: PlanContext,
): CatalogRelation | undefined {
  return context.catalog.relations.get(schema)?.get(name);
}

function resolveRelation(
  relation: CatalogRelation,
  reference: RangeVar,
  context: PlanContext,
): ResolvedTable {
  const { name } = relation;
  const { map } = context;
  const location = reference.location;
  const table = relation.schema === map.canonicalSchema ? map.tables.get(name) : undefined;
  if (table === undefined) return resolveUnlisted(relation, location, context);
  if (reference.catalogname !== undefined) {
    refuse(
      "cross_database_reference",
      `cross-database references are not implemented: "${reference.catalogname}.${relation.schema}.${name}"`,
      { location },
    );
  }
  refuseRules(relation, location);
  if (relation.hasRowSecurity && table.kind === "sharded") {
    refuse(
      "row_security_not_supported",
      `row-level security of sharded table "${name}" is not supported`,
      { location, detail: "A policy sees the rows of one placement only." },
    );
  }
  switch (table.kind) {
    case "sharded":
      return { kind: "sharded", name, relation, table };
    case "group":
      return { kind: "group", name, relation, table };
    case "reference":
      return { kind: "reference", name, relation };
  }
}

function refuseRules({ name, hasRules }: CatalogRelation, location: number | undefined): void {
  if (!hasRules) return;
  refuse("rules_not_supported", `table "${name}" has rewrite rules`, {
    location,
    detail: "A rule may read or write rows of other placements.",
  });
}

function resolveUnlisted(
  relation: CatalogRelation,
  location: number | undefined,
  context: PlanContext,
): ResolvedTable {
  const { name, schema, kind } = relation;
  const { map } = context;
  // The session's own, whatever the map says: nobody else can write to it or see its rows.
  if (isTemporary(relation)) return { kind: "unlisted", name, relation };
  if (context.catalog.unconfirmed.has(relation.oid)) {
    refuse(
      "table_unconfirmed",
      `table "${name}" is newer than what the proxy knows of the shard map`,
      { location },
    );
  }
  const isView = kind === "view" || kind === "materialized view";
  if (map.unlistedTables === "error" && !isView && kind !== "sequence") {
    refuse("table_not_in_map", `table "${schema}.${name}" is not in the shard map`, { location });
  }
  // A view over mapped tables is not met here: views/expand.ts has put its query in its place.
  if (map.tables.size === 0 || isView) return { kind: "unlisted", name, relation };
  refuseRules(relation, location);
  if (isPlacedElsewhere(relation, context)) {
    refuse("placement_table_named", `table "${schema}.${name}" belongs to a placement`, {
      location,
      hint: `Name the table "${map.canonicalSchema}.${name}": the proxy finds its rows by the shard key.`,
    });
  }
  if (relation.isInherited) {
    refuse("partition_named", `partition or child table "${name}" cannot be named by itself`, {
      location,
      hint: "Name its parent table, or list the partition in the shard map.",
    });
  }
  return { kind: "unlisted", name, relation };
}

/** A mapped table's copy in the schema of a placement or group: only its own rows are there. */
function isPlacedElsewhere({ schema, name }: CatalogRelation, { map }: PlanContext): boolean {
  const table = map.tables.get(name);
  switch (table?.kind) {
    case "sharded":
      return table.colocation.placements.some((placement) => placement.schema === schema);
    case "group":
      return table.group.schema === schema;
    default:
      return false;
  }
}

/** How rewrite.ts names the table where the statement runs. */
export function targetOf(resolved: ResolvedTable, context: PlanContext): TableTarget {
  if (resolved.kind === "sharded") return { kind: "placed", name: resolved.name };
  if (resolved.kind === "group" && resolved.table.group.schema !== context.map.canonicalSchema) {
    return { kind: "fixed", schema: resolved.table.group.schema, name: resolved.name };
  }
  return { kind: "asWritten" };
}
