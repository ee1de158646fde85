/** Schema objects that are not tables: made alike in every database, or kept in the catalog database alone. */
import type { CreateSchemaStmt, CreateSeqStmt, DropStmt, Node, RangeVar } from "@pgsql/types";
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { DdlPlan } from "../logical-plan.ts";
import { nameParts } from "../ast.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { asWritten, ddlPlan } from "./steps.ts";
import { databasesOf } from "./table-homes.ts";

export function planEverywhere(
  rule: string,
  statement: ParsedStatement,
  { map }: PlanContext,
): DdlPlan {
  return ddlPlan(rule, asWritten(statement, databasesOf(map)));
}

export function planInCatalog(
  rule: string,
  statement: ParsedStatement,
  { map }: PlanContext,
  changesCatalog = true,
): DdlPlan {
  return ddlPlan(rule, asWritten(statement, [map.catalog]), { changesCatalog });
}

/**
 * A sequence stands in every database, so that defaults may name it; its values come from
 * the catalog database's alone. One that belongs to a table's column stands there only.
 */
export function planCreateSequence(
  statement: ParsedStatement,
  { options }: CreateSeqStmt,
  context: PlanContext,
): DdlPlan {
  const owner = (options ?? []).find(
    (option) => "DefElem" in option && option.DefElem.defname === "owned_by",
  );
  return owner === undefined
    ? planEverywhere("createSequence", statement, context)
    : planInCatalog("createOwnedSequence", statement, context);
}

export function planDropSequence(
  statement: ParsedStatement,
  drop: DropStmt,
  context: PlanContext,
): DdlPlan {
  const names = (drop.objects ?? []).map((object) =>
    "List" in object ? nameParts(object.List.items) : [],
  );
  const list = names.map((parts) => parts.map(quoteIdentifier).join(".")).join(", ");
  const sql = `DROP SEQUENCE IF EXISTS ${list}${drop.behavior === "DROP_CASCADE" ? " CASCADE" : ""}`;
  const [catalog, ...others] = databasesOf(context.map);
  return ddlPlan("dropSequence", [
    ...asWritten(statement, catalog === undefined ? [] : [catalog]),
    ...others.map((database) => ({ database, sql })),
  ]);
}

/**
 * A function, type or other object made in `pg_temp` belongs to one backend, and what it
 * does is not in the catalog: a function could write past the map.
 */
export function refuseTemporaryObject({ node }: ParsedStatement): void {
  for (const named of Object.values(Object.values(node)[0] as object)) {
    const parts = Array.isArray(named) ? nameParts(named as Node[]) : relationParts(named);
    const [schema, name = ""] = parts;
    if (parts.length < 2 || schema !== "pg_temp") continue;
    refuse("temporary_object_not_supported", `temporary object "${name}" is not supported`, {
      detail: "Tables, views and sequences may be temporary.",
      hint: "Create it in an ordinary schema.",
    });
  }
}

/** A composite type is named as a relation is. */
function relationParts(named: unknown): readonly string[] {
  const { schemaname, relname } = (named ?? {}) as RangeVar;
  return schemaname === undefined || relname === undefined ? [] : [schemaname, relname];
}

export function planCreateSchema(
  statement: ParsedStatement,
  create: CreateSchemaStmt,
  context: PlanContext,
): DdlPlan {
  if (create.schemaElts !== undefined) {
    refuse("ddl_not_supported", "CREATE SCHEMA with objects in it is not supported", {
      hint: "Create the schema first, then its objects.",
    });
  }
  return planEverywhere("createSchema", statement, context);
}

/** A schema that holds mapped tables is not dropped or renamed under them. */
export function refuseMappedSchemas(names: readonly string[], { map }: PlanContext): void {
  const held = new Set<string>(map.tables.size > 0 ? [map.canonicalSchema] : []);
  for (const colocation of map.colocations.values())
    for (const { schema } of colocation.placements) held.add(schema);
  for (const group of map.groups.values()) held.add(group.schema);
  const mapped = names.find((name) => held.has(name));
  if (mapped === undefined) return;
  refuse("ddl_not_supported", `schema "${mapped}" cannot be dropped or renamed`, {
    detail: "It holds tables of the shard map.",
    hint: "Take its tables out of the shard map first.",
  });
}

/** Roles belong to a server: the statement runs in one database of each, since a second would wait for the first. */
export function planRoles(statement: ParsedStatement, { map }: PlanContext): DdlPlan {
  const ofServer = new Map<string, DatabaseName>();
  for (const database of databasesOf(map)) {
    const server = serverOf(database, map);
    if (server === undefined) {
      refuse("ddl_not_supported", "roles cannot be managed through the proxy here", {
        detail: `The shard map does not tell on which server database "${database}" is: it has no URL with a host there.`,
        hint: "Connect to each server past the proxy and run the statement there.",
      });
    }
    if (!ofServer.has(server)) ofServer.set(server, database);
  }
  return ddlPlan("roles", asWritten(statement, [...ofServer.values()]), { changesCatalog: false });
}

function serverOf(database: DatabaseName, map: ShardMap): string | undefined {
  const server = map.databases.get(database)?.server;
  if (server?.kind !== "url" || !URL.canParse(server.primary)) return undefined;
  const { hostname, port, searchParams } = new URL(server.primary);
  // As libpq's, a parameter wins over the URL's own part; a unix socket's directory stands in one alone.
  const host = searchParams.get("host") || hostname;
  return host === "" ? undefined : `${host}:${searchParams.get("port") || port || "5432"}`;
}
