/** ALTER TABLE, and the renaming of a table's parts, in every place that has the table. */
import type { AlterTableCmd, AlterTableStmt, RenameStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import { checkInsertExpressions } from "../insert/expressions.ts";
import type { DdlPlan } from "../logical-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { checkStoredExpression } from "../stored-expressions.ts";
import { checkAddedColumn, constraintsOf } from "./columns.ts";
import { checkConstraint, type ConstrainedTable } from "./constraints.ts";
import { asWritten, ddlPlan, ownSchema, splicedSteps, type NamePlace } from "./steps.ts";
import { existingTable, homesOf } from "./table-homes.ts";

export function planAlterTable(
  statement: ParsedStatement,
  alter: AlterTableStmt,
  context: PlanContext,
): DdlPlan {
  invariant(alter.relation !== undefined, "ALTER TABLE names a table");
  const target = existingTable(alter.relation, context);
  if (target.kind === "catalogOnly") {
    refuseReferencesToMapped(alter, context);
    checkStoredExpression(alter.cmds, `table "${alter.relation.relname ?? ""}"`, context);
    return ddlPlan("alterCatalogTable", asWritten(statement, [context.map.catalog]));
  }
  const owner = { ...target, context };
  const commands = (alter.cmds ?? []).flatMap((command) =>
    "AlterTableCmd" in command ? [command.AlterTableCmd] : [],
  );
  const names = commands.flatMap((command) => checkCommand(command, owner));
  return ddlPlan(
    "alterTable",
    splicedSteps(statement, homesOf(target.table, context.map), [
      { tree: alter.relation, schemaAt: ownSchema },
      ...names,
    ]),
  );
}

/** Commands that mean the same in every place and touch neither the shard key nor other tables. */
const PLAIN_COMMANDS: ReadonlySet<string> = new Set([
  "AT_SetNotNull",
  "AT_DropNotNull",
  "AT_DropConstraint",
  "AT_ValidateConstraint",
  "AT_AlterConstraint",
  "AT_SetStatistics",
  "AT_SetOptions",
  "AT_ResetOptions",
  "AT_SetStorage",
  "AT_SetCompression",
  "AT_SetRelOptions",
  "AT_ResetRelOptions",
  "AT_ReplicaIdentity",
  "AT_ChangeOwner",
  "AT_SetTableSpace",
  "AT_SetLogged",
  "AT_SetUnLogged",
  "AT_EnableTrig",
  "AT_EnableAlwaysTrig",
  "AT_EnableReplicaTrig",
  "AT_DisableTrig",
  "AT_SetIdentity",
  "AT_DropIdentity",
  "AT_DropExpression",
  "AT_ClusterOn",
  "AT_DropCluster",
]);

/** Gives the tables the command names. */
function checkCommand(command: AlterTableCmd, owner: ConstrainedTable): readonly NamePlace[] {
  const { subtype = "AT_AddColumn", def, name } = command;
  const { table, context } = owner;
  switch (subtype) {
    case "AT_AddColumn": {
      if (def === undefined || !("ColumnDef" in def)) return [];
      const definition = def.ColumnDef;
      checkAddedColumn(table, definition, context);
      return constraintsOf(definition).flatMap((constraint) =>
        checkConstraint(constraint, definition.colname, owner),
      );
    }
    case "AT_AddConstraint":
    case "AT_AddIdentity":
      return def !== undefined && "Constraint" in def
        ? checkConstraint(def.Constraint, name, owner)
        : [];
    case "AT_ColumnDefault":
      checkStoredExpression(
        def,
        `default of column "${name ?? ""}" of table "${table.name}"`,
        context,
      );
      return [];
    case "AT_DropColumn":
      refuseKeyChange(table, name, "dropped");
      return [];
    case "AT_AlterColumnType": {
      refuseKeyChange(table, name, "given another type");
      const using = def !== undefined && "ColumnDef" in def ? def.ColumnDef.raw_default : undefined;
      checkInsertExpressions(
        using,
        table.kind === "reference" ? "reference" : "sharded",
        table.name,
        context,
      );
      return [];
    }
    default:
      if (PLAIN_COMMANDS.has(subtype)) return [];
      return refuse(
        "ddl_not_supported",
        `this form of ALTER TABLE is not supported for mapped table "${table.name}"`,
        {
          detail: `The grammar calls it ${subtype}.`,
        },
      );
  }
}

function refuseKeyChange(table: MapTable, column: string | undefined, change: string): void {
  if (table.kind !== "sharded" || column === undefined || !table.keyColumns.includes(column))
    return;
  refuse(
    "shard_key_definition",
    `shard key column "${column}" of table "${table.name}" cannot be ${change}`,
    {
      detail: "The shard map finds rows by it.",
    },
  );
}

/** A foreign key from a table of the catalog database to one whose rows are elsewhere would refuse every row. */
function refuseReferencesToMapped(alter: AlterTableStmt, context: PlanContext): void {
  for (const command of alter.cmds ?? []) {
    const def = "AlterTableCmd" in command ? command.AlterTableCmd.def : undefined;
    const constraints =
      def === undefined
        ? []
        : "Constraint" in def
          ? [def.Constraint]
          : "ColumnDef" in def
            ? constraintsOf(def.ColumnDef)
            : [];
    for (const { pktable } of constraints) {
      const other = pktable === undefined ? undefined : existingTable(pktable, context);
      if (other?.kind !== "mapped" || other.table.kind === "reference") continue;
      refuse(
        "foreign_key_not_supported",
        `table "${alter.relation?.relname ?? ""}" of the catalog database cannot refer to table "${other.table.name}"`,
        {
          location: pktable?.location,
          detail: "The rows of that table are in other databases.",
        },
      );
    }
  }
}

/** RENAME of a table's column, constraint or trigger; of the table itself where the map does not name it. */
export function planRenameInTable(
  statement: ParsedStatement,
  rename: RenameStmt,
  context: PlanContext,
): DdlPlan {
  const { relation, renameType, subname, newname } = rename;
  invariant(relation !== undefined, "a renamed part belongs to a table");
  const target = existingTable(relation, context);
  if (target.kind === "catalogOnly") {
    refuseMappedName(newname, target.relation, renameType === "OBJECT_TABLE", context);
    return ddlPlan("renameInCatalog", asWritten(statement, [context.map.catalog]));
  }
  if (renameType === "OBJECT_TABLE") {
    refuse("ddl_not_supported", `table "${target.table.name}" cannot be renamed`, {
      location: relation.location,
      detail: "The shard map names it.",
      hint: "Rename it in every database and in the shard map, past the proxy and while nothing uses it; or give readers a view of the new name.",
    });
  }
  if (renameType === "OBJECT_COLUMN") refuseKeyChange(target.table, subname, "renamed");
  return ddlPlan(
    "renameInTable",
    splicedSteps(statement, homesOf(target.table, context.map), [
      { tree: relation, schemaAt: ownSchema },
    ]),
  );
}

/** A table that took a mapped table's name would be taken for it. */
function refuseMappedName(
  name: string | undefined,
  relation: CatalogRelation | undefined,
  isTable: boolean,
  { map }: PlanContext,
): void {
  if (
    !isTable ||
    name === undefined ||
    relation?.schema !== map.canonicalSchema ||
    !map.tables.has(name)
  )
    return;
  refuse("ddl_not_supported", `table cannot be renamed to "${name}"`, {
    detail: "The shard map names a table so.",
    hint: "Choose another name.",
  });
}
