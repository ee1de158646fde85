/**
 * Plans DDL and maintenance: which texts run in which databases, so that the canonical
 * schema and every placement stay alike. A kind of statement that is not named here is not
 * known to keep them alike, and is refused by the caller.
 */
import type {
  AlterObjectSchemaStmt,
  AlterTableStmt,
  ClusterStmt,
  DropStmt,
  Node,
  RangeVar,
  ReindexStmt,
  RenameStmt,
} from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import { planAlterTable, planRenameInTable } from "./ddl/alter-table.ts";
import { planCreateTable } from "./ddl/create-table.ts";
import { planAlterIndex, planCreateIndex, planDropIndex, planRenameIndex } from "./ddl/indexes.ts";
import {
  planCreateSchema,
  planCreateSequence,
  planDropSequence,
  planEverywhere,
  planInCatalog,
  planRoles,
  refuseMappedSchemas,
  refuseTemporaryObject,
} from "./ddl/objects.ts";
import { asWritten, ddlPlan, kindOf, ownSchema, splicedSteps, type DdlStep } from "./ddl/steps.ts";
import { existingTable, homesOf, type DdlTable } from "./ddl/table-homes.ts";
import { planDropTable, planGrant, planLock, planTruncate, planVacuum } from "./ddl/table-lists.ts";
import { planCreateTrigger, planDropPart } from "./ddl/table-parts.ts";
import { planTemporaryDdl } from "./ddl/temporary.ts";
import { planCreateView, planRefreshView, planStoredQuery } from "./ddl/views.ts";
import type { DdlPlan } from "./logical-plan.ts";
import { nameParts } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import { checkStoredConstraints } from "./stored-expressions.ts";

/** Undefined for a statement that is no DDL, or none that is carried. */
export function planDdl(statement: ParsedStatement, context: PlanContext): DdlPlan | undefined {
  refuseStoredExecute(statement);
  const plan =
    planTemporaryDdl(statement, context) ??
    planTableDdl(statement, context) ??
    planObjectDdl(statement, context);
  if (plan !== undefined) verifySteps(statement, plan);
  return plan;
}

/** Prepared statements are the session's own: no server knows them by their names. */
function refuseStoredExecute({ node }: ParsedStatement): void {
  if (!("CreateTableAsStmt" in node)) return;
  const { query = {}, into } = node.CreateTableAsStmt;
  if (!("ExecuteStmt" in query)) return;
  refuse("statement_not_supported", "CREATE TABLE AS EXECUTE is not supported", {
    location: into?.rel?.location,
    hint: "Write the prepared statement's query after AS.",
  });
}

function planTableDdl(statement: ParsedStatement, context: PlanContext): DdlPlan | undefined {
  const { node } = statement;
  if ("CreateStmt" in node) return planCreateTable(statement, node.CreateStmt, context);
  if ("AlterTableStmt" in node) return planAlter(statement, node.AlterTableStmt, context);
  if ("IndexStmt" in node) return planCreateIndex(statement, node.IndexStmt, context);
  if ("DropStmt" in node) return planDrop(statement, node.DropStmt, context);
  if ("RenameStmt" in node) return planRename(statement, node.RenameStmt, context);
  if ("TruncateStmt" in node) return planTruncate(statement, node.TruncateStmt, context);
  if ("LockStmt" in node) return planLock(statement, node.LockStmt, context);
  if ("ClusterStmt" in node) return planCluster(statement, node.ClusterStmt, context);
  if ("VacuumStmt" in node) return planVacuum(statement, node.VacuumStmt, context);
  if ("GrantStmt" in node) return planGrant(statement, node.GrantStmt, context);
  if ("CreateTrigStmt" in node) return planCreateTrigger(statement, node.CreateTrigStmt, context);
  if ("ReindexStmt" in node) return planReindex(statement, node.ReindexStmt, context);
  if ("CreatePolicyStmt" in node)
    return planOfUnmappedTable(statement, node.CreatePolicyStmt.table, "CREATE POLICY", context);
  if ("RuleStmt" in node)
    return refuse("rules_not_supported", "CREATE RULE is not supported", {
      location: node.RuleStmt.relation?.location,
      hint: "Write the rule's statements in the application.",
    });
  return undefined;
}

/** Kinds that name no table and mean the same in every database. */
const EVERYWHERE: ReadonlyMap<string, string> = new Map([
  ["CreateExtensionStmt", "createExtension"],
  ["AlterExtensionStmt", "alterExtension"],
  ["CreateEnumStmt", "createType"],
  ["CompositeTypeStmt", "createType"],
  ["CreateRangeStmt", "createType"],
  ["AlterEnumStmt", "alterType"],
  ["AlterTypeStmt", "alterType"],
  ["CreateDomainStmt", "createDomain"],
  ["AlterDomainStmt", "alterDomain"],
  ["DefineStmt", "define"],
  ["CreateFunctionStmt", "createFunction"],
  ["AlterFunctionStmt", "alterFunction"],
  ["CreateCastStmt", "createCast"],
  ["CreateOpClassStmt", "createOperatorClass"],
  ["CreateOpFamilyStmt", "createOperatorFamily"],
  ["AlterOpFamilyStmt", "alterOperatorFamily"],
  ["AlterOperatorStmt", "alterOperator"],
  ["CreateConversionStmt", "createConversion"],
  ["CreateTransformStmt", "createTransform"],
  ["AlterTSDictionaryStmt", "alterTextSearch"],
  ["AlterTSConfigurationStmt", "alterTextSearch"],
  ["AlterCollationStmt", "alterCollation"],
  ["AlterDefaultPrivilegesStmt", "alterDefaultPrivileges"],
]);

const DOMAIN_KINDS: ReadonlySet<string> = new Set(["CreateDomainStmt", "AlterDomainStmt"]);

const ROLE_KINDS: ReadonlySet<string> = new Set([
  "CreateRoleStmt",
  "AlterRoleStmt",
  "DropRoleStmt",
  "GrantRoleStmt",
]);

function planObjectDdl(statement: ParsedStatement, context: PlanContext): DdlPlan | undefined {
  const { node } = statement;
  const kind = kindOf(node);
  const rule = EVERYWHERE.get(kind);
  if (rule !== undefined) {
    refuseTemporaryObject(statement);
    if (DOMAIN_KINDS.has(kind)) checkStoredConstraints(node, "the domain", context);
    return planEverywhere(rule, statement, context);
  }
  if (ROLE_KINDS.has(kind)) return planRoles(statement, context);
  if ("CreateSchemaStmt" in node)
    return planCreateSchema(statement, node.CreateSchemaStmt, context);
  if ("CreateSeqStmt" in node) return planCreateSequence(statement, node.CreateSeqStmt, context);
  if ("AlterSeqStmt" in node) return planInCatalog("alterSequence", statement, context);
  // Comments are read through the catalog database alone.
  if ("CommentStmt" in node) return planInCatalog("comment", statement, context, false);
  if ("ViewStmt" in node) return planCreateView(statement, node.ViewStmt, context);
  if ("CreateTableAsStmt" in node) {
    const { into, query, objtype } = node.CreateTableAsStmt;
    const made = objtype === "OBJECT_MATVIEW" ? "materialized view" : "table";
    return planStoredQuery(statement, made, into?.rel, query, context);
  }
  if ("RefreshMatViewStmt" in node)
    return planRefreshView(statement, node.RefreshMatViewStmt, context);
  if ("AlterObjectSchemaStmt" in node)
    return planMoveToSchema(statement, node.AlterObjectSchemaStmt, context);
  if ("AlterOwnerStmt" in node && node.AlterOwnerStmt.objectType !== "OBJECT_DATABASE")
    return planEverywhere("alterOwner", statement, context);
  return undefined;
}

/** Relations other than tables and indexes stand in the catalog database alone. */
const CATALOG_RELATIONS: ReadonlySet<string> = new Set([
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_SEQUENCE",
]);

function planAlter(
  statement: ParsedStatement,
  alter: AlterTableStmt,
  context: PlanContext,
): DdlPlan | undefined {
  const { objtype = "OBJECT_TABLE" } = alter;
  if (objtype === "OBJECT_TABLE") {
    requireRelation(alter.relation, alter.missing_ok, context);
    return planAlterTable(statement, alter, context);
  }
  if (objtype === "OBJECT_INDEX") return planAlterIndex(statement, alter, context);
  if (objtype === "OBJECT_TYPE") return planEverywhere("alterType", statement, context);
  return CATALOG_RELATIONS.has(objtype)
    ? planInCatalog("alterInCatalog", statement, context)
    : undefined;
}

const DROPPED_EVERYWHERE: ReadonlySet<string> = new Set([
  "OBJECT_AGGREGATE",
  "OBJECT_CAST",
  "OBJECT_COLLATION",
  "OBJECT_CONVERSION",
  "OBJECT_DOMAIN",
  "OBJECT_EXTENSION",
  "OBJECT_FUNCTION",
  "OBJECT_OPCLASS",
  "OBJECT_OPERATOR",
  "OBJECT_OPFAMILY",
  "OBJECT_PROCEDURE",
  "OBJECT_ROUTINE",
  "OBJECT_SCHEMA",
  "OBJECT_TRANSFORM",
  "OBJECT_TSCONFIGURATION",
  "OBJECT_TSDICTIONARY",
  "OBJECT_TSPARSER",
  "OBJECT_TSTEMPLATE",
  "OBJECT_TYPE",
]);

function planDrop(
  statement: ParsedStatement,
  drop: DropStmt,
  context: PlanContext,
): DdlPlan | undefined {
  const { removeType = "OBJECT_TABLE" } = drop;
  switch (removeType) {
    case "OBJECT_TABLE":
      return planDropTable(statement, drop, context);
    case "OBJECT_INDEX":
      return planDropIndex(statement, drop, context);
    case "OBJECT_TRIGGER":
      return planDropPart("TRIGGER", statement, drop, context);
    case "OBJECT_RULE":
      return planDropPart("RULE", statement, drop, context);
    case "OBJECT_SEQUENCE":
      return planDropSequence(statement, drop, context);
    case "OBJECT_VIEW":
    case "OBJECT_MATVIEW":
      return planInCatalog("dropView", statement, context);
    default:
      if (!DROPPED_EVERYWHERE.has(removeType)) return undefined;
      if (removeType === "OBJECT_SCHEMA") refuseMappedSchemas(nameParts(drop.objects), context);
      return planEverywhere("drop", statement, context);
  }
}

const RENAMED_IN_TABLE: ReadonlySet<string> = new Set([
  "OBJECT_TABLE",
  "OBJECT_COLUMN",
  "OBJECT_TABCONSTRAINT",
  "OBJECT_TRIGGER",
]);
const RENAMED_EVERYWHERE: ReadonlySet<string> = new Set([
  ...DROPPED_EVERYWHERE,
  "OBJECT_ATTRIBUTE",
  "OBJECT_DOMCONSTRAINT",
]);

function planRename(
  statement: ParsedStatement,
  rename: RenameStmt,
  context: PlanContext,
): DdlPlan | undefined {
  const { renameType = "OBJECT_TABLE", relationType } = rename;
  const isTable =
    renameType !== "OBJECT_COLUMN" || relationType === undefined || relationType === "OBJECT_TABLE";
  if (RENAMED_IN_TABLE.has(renameType) && isTable) {
    requireRelation(rename.relation, rename.missing_ok, context);
    return planRenameInTable(statement, rename, context);
  }
  if (renameType === "OBJECT_INDEX") return planRenameIndex(statement, rename, context);
  if (renameType === "OBJECT_SCHEMA") refuseMappedSchemas([rename.subname ?? ""], context);
  if (RENAMED_EVERYWHERE.has(renameType)) return planEverywhere("rename", statement, context);
  const inCatalog =
    CATALOG_RELATIONS.has(renameType) ||
    (relationType !== undefined && CATALOG_RELATIONS.has(relationType));
  return inCatalog ? planInCatalog("renameInCatalog", statement, context) : undefined;
}

/** ALTER TABLE takes an index's name as well, which the catalog does not know: then only some places would change. */
function requireRelation(
  relation: RangeVar | undefined,
  missingOk: boolean | undefined,
  context: PlanContext,
): void {
  if (relation === undefined || missingOk === true) return;
  const target = existingTable(relation, context);
  if (target.relation !== undefined) return;
  refuse("relation_does_not_exist", `relation "${relation.relname ?? ""}" does not exist`, {
    location: relation.location,
    hint: "Use ALTER INDEX for an index.",
  });
}

function planReindex(
  statement: ParsedStatement,
  { kind, relation, params }: ReindexStmt,
  context: PlanContext,
): DdlPlan {
  const concurrently = (params ?? []).some(
    (param) => "DefElem" in param && param.DefElem.defname === "concurrently",
  );
  if (kind !== "REINDEX_OBJECT_TABLE" || relation === undefined) {
    return refuse("ddl_not_supported", "REINDEX of anything but a table is not supported", {
      hint: "Use REINDEX TABLE.",
    });
  }
  const target = existingTable(relation, context);
  const steps = stepsOfTable(statement, relation, target, context);
  return concurrently
    ? ddlPlan("REINDEX CONCURRENTLY", steps, { block: "refused", changesCatalog: false })
    : ddlPlan("reindex", steps, { changesCatalog: false });
}

/** CLUSTER of one table; that of all tables is each database's own affair. */
function planCluster(
  statement: ParsedStatement,
  { relation }: ClusterStmt,
  context: PlanContext,
): DdlPlan {
  if (relation === undefined) {
    return refuse("ddl_not_supported", "CLUSTER without a table is not supported", {
      hint: "Name the table.",
    });
  }
  const target = existingTable(relation, context);
  return ddlPlan("cluster", stepsOfTable(statement, relation, target, context), {
    changesCatalog: false,
  });
}

function stepsOfTable(
  statement: ParsedStatement,
  relation: RangeVar,
  target: DdlTable,
  { map }: PlanContext,
): readonly DdlStep[] {
  return target.kind === "catalogOnly"
    ? asWritten(statement, [map.catalog])
    : splicedSteps(statement, homesOf(target.table, map), [
        { tree: relation, schemaAt: ownSchema },
      ]);
}

function planOfUnmappedTable(
  statement: ParsedStatement,
  table: RangeVar | undefined,
  command: string,
  context: PlanContext,
): DdlPlan {
  const target = table === undefined ? undefined : existingTable(table, context);
  if (target?.kind === "mapped") {
    refuse(
      "ddl_not_supported",
      `${command} is not supported for mapped table "${target.table.name}"`,
      {
        location: table?.location,
        detail: "It would see the rows of one placement only.",
        hint: "Do the same in the application.",
      },
    );
  }
  return planInCatalog("alterInCatalog", statement, context);
}

function planMoveToSchema(
  statement: ParsedStatement,
  { relation }: AlterObjectSchemaStmt,
  context: PlanContext,
): DdlPlan {
  if (relation === undefined) return planEverywhere("setSchema", statement, context);
  const target = existingTable(relation, context);
  if (target.kind === "mapped") {
    refuse("ddl_not_supported", `schema of mapped table "${target.table.name}" cannot be changed`, {
      location: relation.location,
      detail: "The shard map says where the table is.",
      hint: "Keep the table in its schema: a placement's schema is the shard map's to say.",
    });
  }
  return planInCatalog("setSchema", statement, context);
}

/** What the proxy wrote is one statement, of the client's kind unless it follows up on that. */
function verifySteps({ node, text }: ParsedStatement, plan: DdlPlan): void {
  for (const { sql, isFollowUp = false } of plan.steps) {
    if (sql === text) continue;
    const outcome = parseSql(sql);
    const nodes: readonly Node[] =
      outcome.kind === "statements" ? outcome.statements.map((statement) => statement.node) : [];
    const [first] = nodes;
    invariant(
      nodes.length === 1 && first !== undefined && (isFollowUp || kindOf(first) === kindOf(node)),
      "a step of DDL is one statement of the client's kind",
    );
  }
}
