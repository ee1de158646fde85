/** CREATE TABLE: on the canonical schema and in every place the map gives the table. */
import type { CreateStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import type { DdlPlan } from "../logical-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { checkStoredConstraints, checkStoredExpression } from "../stored-expressions.ts";
import { checkKeyColumns, constraintsOf } from "./columns.ts";
import { checkConstraint, type ConstrainedTable } from "./constraints.ts";
import { withoutCopiedGuard } from "./copied-guards.ts";
import { asWritten, ddlPlan, ownSchema, splicedSteps, type NamePlace } from "./steps.ts";
import { existingTable, homesOf, newTable } from "./table-homes.ts";

export function planCreateTable(
  statement: ParsedStatement,
  create: CreateStmt,
  context: PlanContext,
): DdlPlan {
  const { relation } = create;
  invariant(relation !== undefined, "CREATE TABLE names a table");
  const target = newTable(relation, context);
  if (target.kind === "catalogOnly") return planCatalogTable(statement, create, context);
  checkForm(create, target.table);
  const definitions = (create.tableElts ?? []).flatMap((element) =>
    "ColumnDef" in element ? [element.ColumnDef] : [],
  );
  checkKeyColumns(target.table, definitions, context);
  const names = [
    { tree: relation, schemaAt: ownSchema },
    ...constraintNames(create, { table: target.table, relation: undefined, context }),
  ];
  return ddlPlan("createTable", splicedSteps(statement, homesOf(target.table, context.map), names));
}

function constraintNames(create: CreateStmt, owner: ConstrainedTable): readonly NamePlace[] {
  return (create.tableElts ?? []).flatMap((element) => {
    if ("Constraint" in element) return checkConstraint(element.Constraint, undefined, owner);
    if (!("ColumnDef" in element)) return [];
    const definition = element.ColumnDef;
    return constraintsOf(definition).flatMap((constraint) =>
      checkConstraint(constraint, definition.colname, owner),
    );
  });
}

/** Forms whose columns or rows come from another table, or go to others. */
function checkForm(create: CreateStmt, table: MapTable): void {
  const like = (create.tableElts ?? []).find((element) => "TableLikeClause" in element);
  const form =
    create.partspec !== undefined
      ? "PARTITION BY"
      : create.partbound !== undefined
        ? "PARTITION OF"
        : create.inhRelations !== undefined
          ? "INHERITS"
          : create.ofTypename !== undefined
            ? "OF"
            : like !== undefined
              ? "LIKE"
              : undefined;
  if (form === undefined) return;
  refuse(
    "ddl_not_supported",
    `CREATE TABLE ... ${form} is not supported for mapped table "${table.name}"`,
    {
      location: create.relation?.location,
      hint: "Write the table's columns and constraints out.",
    },
  );
}

/** An unlisted table is made in the catalog database, and may only refer to what is there. */
function planCatalogTable(
  statement: ParsedStatement,
  create: CreateStmt,
  context: PlanContext,
): DdlPlan {
  const { map } = context;
  const { relation, tableElts = [], inhRelations = [] } = create;
  if (map.unlistedTables === "error") {
    refuse("table_not_in_map", `table "${relation?.relname ?? ""}" is not in the shard map`, {
      location: relation?.location,
      hint: "List the table in the shard map first.",
    });
  }
  const constraints = tableElts.flatMap((element) =>
    "Constraint" in element
      ? [element.Constraint]
      : "ColumnDef" in element
        ? constraintsOf(element.ColumnDef)
        : [],
  );
  const owner = `table "${relation?.relname ?? ""}"`;
  checkStoredConstraints(tableElts, owner, context);
  checkStoredExpression(create.partbound, `partition bound of ${owner}`, context);
  const parents = inhRelations.flatMap((parent) => ("RangeVar" in parent ? [parent.RangeVar] : []));
  for (const named of [
    ...constraints.flatMap(({ pktable }) => (pktable === undefined ? [] : [pktable])),
    ...parents,
  ]) {
    const other = existingTable(named, context);
    if (other.kind === "mapped" && other.table.kind !== "reference") {
      refuse(
        "foreign_key_not_supported",
        `table "${relation?.relname ?? ""}" of the catalog database cannot refer to table "${other.table.name}"`,
        {
          location: named.location,
          detail: "The rows of that table are in other databases.",
        },
      );
    }
  }
  const steps = asWritten(statement, [map.catalog]);
  return ddlPlan("createCatalogTable", withoutCopiedGuard(steps, { statement, create }, context));
}
