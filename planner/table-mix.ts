/**
 * Which kinds of tables a statement names, and whether one database has them all. Sharded
 * tables are left to route-sharded.ts; this file places everything else.
 */
import type { DatabaseName } from "../base/ids.ts";
import type { Analysis, TableUse } from "./analyze/model.ts";
import type { HomeReason } from "./logical-plan.ts";
import { isTemporary, type ResolvedTable } from "./names.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

export type Home =
  | { readonly kind: "sharded" }
  /** With reference tables, and temporary ones of the session, which it reads. */
  | { readonly kind: "shardedBesideTemporary"; readonly refuse: () => never }
  | {
      readonly kind: "home";
      readonly rule: string;
      readonly database: DatabaseName;
      readonly because: HomeReason;
    }
  /** Reference tables alone. */
  | { readonly kind: "reference"; readonly isWritten: boolean };

export function placeTables(analysis: Analysis, context: PlanContext): Home {
  const { catalog } = context.map;
  const of = (kind: ResolvedTable["kind"]): TableUse | undefined =>
    analysis.tables.find(({ table }) => table.kind === kind);
  // The catalog database has a canonical table of every name, and words the error for the one it has not.
  if (of("unknown") !== undefined)
    return { kind: "home", rule: "undefinedTable", database: catalog, because: "catalog query" };
  const local = of("unlisted") ?? of("system");
  const group = of("group");
  const sharded = of("sharded");
  const reference = of("reference");
  if (sharded !== undefined) {
    if (group !== undefined) refuseMix(sharded, group);
    if (local !== undefined) {
      if (!areOwn(analysis)) refuseMix(sharded, local);
      return { kind: "shardedBesideTemporary", refuse: () => refuseMix(sharded, local) };
    }
    return { kind: "sharded" };
  }
  const written = analysis.tables.find(
    ({ table, isWritten }) => isWritten && table.kind === "reference",
  );
  if (written !== undefined && (group ?? local) !== undefined) {
    refuse(
      "reference_write_mixed",
      `write to reference table "${written.table.name}" uses table "${(group ?? local)?.table.name ?? ""}", which not every database has`,
      { location: (group ?? local)?.location },
    );
  }
  if (group !== undefined) return placeGroup(group, local, analysis, catalog);
  if (local !== undefined) {
    const isSystem = of("unlisted") === undefined;
    return {
      kind: "home",
      rule: isSystem ? "catalogQuery" : "unlistedTable",
      database: catalog,
      because: isSystem ? "catalog query" : "unlisted table",
    };
  }
  if (reference !== undefined) return { kind: "reference", isWritten: written !== undefined };
  return { kind: "home", rule: "noTable", database: catalog, because: "no table" };
}

/** What the catalog database alone has are temporary tables of the session, and nothing is written. */
function areOwn({ tables }: Analysis): boolean {
  return tables.every(
    ({ table, isWritten }) =>
      !isWritten &&
      table.kind !== "system" &&
      (table.kind !== "unlisted" || isTemporary(table.relation)),
  );
}

function placeGroup(
  first: TableUse,
  local: TableUse | undefined,
  analysis: Analysis,
  catalog: DatabaseName,
): Home {
  const database = groupDatabase(first.table);
  for (const use of analysis.tables) {
    const other = groupDatabase(use.table);
    if (other !== undefined && other !== database) refuseMix(first, use);
  }
  if (local !== undefined && database !== catalog) refuseMix(first, local);
  return { kind: "home", rule: "groupHome", database: database ?? catalog, because: "group" };
}

function groupDatabase(table: ResolvedTable): DatabaseName | undefined {
  return table.kind === "group" ? table.table.group.database : undefined;
}

function refuseMix(left: TableUse, right: TableUse): never {
  if (right.table.kind === "system") {
    return refuse(
      "system_catalog_joined",
      `system catalog "${right.table.name}" cannot be used together with table "${left.table.name}"`,
      { location: right.location },
    );
  }
  if (right.table.kind === "unlisted" && isTemporary(right.table.relation)) {
    return refuse(
      "tables_in_different_databases",
      `temporary table "${right.table.name}" cannot be used together with table "${left.table.name}"`,
      {
        location: right.location,
        detail: `A temporary table is in the catalog database; ${describe(left.table)}.`,
        hint: "Read what is needed of the temporary table first, and pass it as parameters; or SELECT without a lock.",
      },
    );
  }
  return refuse(
    "tables_in_different_databases",
    `tables "${left.table.name}" and "${right.table.name}" live in different databases`,
    {
      location: right.location,
      detail: `${describe(left.table)}; ${describe(right.table)}.`,
      hint: "Query each table by itself and join in the application, or move the tables together in the shard map.",
    },
  );
}

function describe(table: ResolvedTable): string {
  switch (table.kind) {
    case "sharded":
      return `"${table.name}" is sharded by ${table.table.keyColumns.join(", ")} in colocation "${table.table.colocation.name}"`;
    case "group":
      return `"${table.name}" belongs to group "${table.table.group.name}" in database "${table.table.group.database}"`;
    case "unlisted":
      if (isTemporary(table.relation)) return `"${table.name}" is a temporary table`;
      return `"${table.name}" is in the catalog database alone`;
    default:
      return `"${table.name}" is in the catalog database alone`;
  }
}
