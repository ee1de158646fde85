/**
 * The schema `colonnade` is the proxy's own: records that decide transactions over several
 * databases, and published maps with the databases' passwords. Clients whose role owns it, as
 * the role of the map's URL does where the proxy made it, may neither read nor change it.
 *
 * LOCK TABLE alone is let through: pg_dump locks whatever it finds, and locks as it likes.
 */
import type { Node, RangeVar } from "@pgsql/types";
import { unwrap } from "./ast.ts";
import { findRelation, relationSchemas } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

const RESERVED_SCHEMA = "colonnade";

export function refuseReservedSchema(statement: ParsedStatement, context: PlanContext): void {
  const { node, references } = statement;
  if ("LockStmt" in node) return;
  for (const table of [...references.tables, ...changedTable(node)])
    if (isReserved(table, context)) refuseIt(table.location);
  if (namesOfObjects(node).some((name) => name.includes(RESERVED_SCHEMA))) refuseIt(undefined);
}

function refuseIt(location: number | undefined): never {
  return refuse("schema_reserved", `schema "${RESERVED_SCHEMA}" belongs to the proxy`, {
    location,
  });
}

/** A name without a schema may be of a table that was made since the catalog was read. */
function isReserved(table: RangeVar, context: PlanContext): boolean {
  if (table.schemaname !== undefined) return table.schemaname === RESERVED_SCHEMA;
  const searched = relationSchemas(context);
  if (!searched.includes(RESERVED_SCHEMA)) return false;
  const relation = findRelation(table, context);
  return relation === undefined
    ? table.relname?.startsWith("pg_") !== true
    : relation.schema === RESERVED_SCHEMA;
}

/** Of DDL: ALTER TABLE, CREATE INDEX, CREATE TRIGGER, renames. */
function changedTable(node: Node): readonly RangeVar[] {
  const relation = unwrap(node)?.body["relation"];
  return typeof relation === "object" && relation !== null ? [relation] : [];
}

/** Names that DDL gives in parts, or of schemas: `DROP TABLE colonnade.map`, `DROP SCHEMA colonnade`. */
function namesOfObjects(node: Node): readonly (readonly string[])[] {
  if ("DropStmt" in node) return (node.DropStmt.objects ?? []).map(nameOf);
  if ("GrantStmt" in node) return (node.GrantStmt.objects ?? []).map(nameOf);
  if ("CreateSchemaStmt" in node) return [[node.CreateSchemaStmt.schemaname ?? ""]];
  if ("RenameStmt" in node) return [[node.RenameStmt.subname ?? ""]];
  if ("AlterOwnerStmt" in node) return [nameOf(node.AlterOwnerStmt.object)];
  return [];
}

/** The schema part of an object's name; a schema's own name. A table of that name elsewhere is nobody's concern. */
function nameOf(object: Node | undefined): readonly string[] {
  if (object === undefined) return [];
  if ("String" in object) return [object.String.sval ?? ""];
  if (!("List" in object)) return [];
  const parts = (object.List.items ?? []).flatMap((item) =>
    "String" in item ? [item.String.sval ?? ""] : [],
  );
  return parts.slice(0, -1);
}
