/**
 * Temporary tables, views and sequences: they stand on the session's own backend of the catalog
 * database, and so does everything that is done to them. As anything there, they may be
 * made of rows that the catalog database has.
 */
import type { CreateStmt, Node, RangeVar, SelectStmt } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import { checkStoredFunctions } from "../function-rules.ts";
import type { DdlPlan } from "../logical-plan.ts";
import { findRelation, hasTemporary, isTemporary, searchedSchemas } from "../names.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { withoutCopiedGuard } from "./copied-guards.ts";
import { asWritten, ddlPlan, type DdlOptions } from "./steps.ts";
import { existingTable } from "./table-homes.ts";
import { refuseElsewhere } from "./views.ts";

/** Undefined for a statement that is about nothing temporary. */
export function planTemporaryDdl(
  statement: ParsedStatement,
  context: PlanContext,
): DdlPlan | undefined {
  return planMaking(statement, context) ?? planChanging(statement, context);
}

const TEMPORARY_NAME = /^pg_temp(_\d+)?$/;

/** Whether a new relation of this name goes to the session's temporary schema. */
export function isMadeTemporary(
  { relpersistence, schemaname }: RangeVar,
  context: PlanContext,
): boolean {
  if (relpersistence === "t") return true;
  if (schemaname !== undefined) return TEMPORARY_NAME.test(schemaname);
  const first = searchedSchemas(context).find(
    (schema) => TEMPORARY_NAME.test(schema) || context.catalog.relations.has(schema),
  );
  return first !== undefined && TEMPORARY_NAME.test(first);
}

function planMaking(statement: ParsedStatement, context: PlanContext): DdlPlan | undefined {
  const { node } = statement;
  if ("CreateStmt" in node) {
    const { relation } = node.CreateStmt;
    if (relation === undefined || !isMadeTemporary(relation, context)) return undefined;
    refuseMappedParents(node.CreateStmt, context);
    const plan = making("createTemporaryTable", statement, relation, context);
    const create = node.CreateStmt;
    return { ...plan, steps: withoutCopiedGuard(plan.steps, { statement, create }, context) };
  }
  if ("CreateTableAsStmt" in node) {
    const { into, query, objtype } = node.CreateTableAsStmt;
    if (into?.rel === undefined || objtype === "OBJECT_MATVIEW") return undefined;
    if (!isMadeTemporary(into.rel, context)) return undefined;
    return makingOfQuery(statement, into.rel, query, context);
  }
  if ("SelectStmt" in node) {
    const target = intoTarget(node.SelectStmt);
    if (target === undefined || !isMadeTemporary(target, context)) return undefined;
    return makingOfQuery(statement, target, node, context);
  }
  if ("ViewStmt" in node) {
    const { view } = node.ViewStmt;
    if (view === undefined || !isMadeTemporary(view, context)) return undefined;
    return making("createTemporaryView", statement, view, context);
  }
  if ("CreateSeqStmt" in node) {
    const { sequence } = node.CreateSeqStmt;
    if (sequence === undefined || !isMadeTemporary(sequence, context)) return undefined;
    return making("createTemporarySequence", statement, sequence, context);
  }
  return undefined;
}

function making(
  rule: string,
  statement: ParsedStatement,
  target: RangeVar,
  context: PlanContext,
): DdlPlan {
  checkNewName(target);
  return temporaryPlan(rule, statement, context, { changesCatalog: false });
}

export function checkNewName({ relname = "", location }: RangeVar): void {
  // Names of pg_catalog stand in views without their schema, and would come to mean this one.
  if (relname.startsWith("pg_")) {
    refuse("temporary_object_not_supported", `temporary object "${relname}" is not supported`, {
      location,
      detail: "Names that begin with pg_ are those of system catalogs.",
      hint: "Choose another name.",
    });
  }
}

/** CREATE TABLE AS and SELECT INTO. */
function makingOfQuery(
  statement: ParsedStatement,
  target: RangeVar,
  query: Node | undefined,
  context: PlanContext,
): DdlPlan {
  refuseElsewhere(query, `temporary table "${target.relname ?? ""}" cannot be made`, context);
  if (query !== undefined) checkStoredFunctions(query, context);
  return making("createTemporaryTableAs", statement, target, context);
}

/** The first arm of a set operation has it. */
export function intoTarget(select: SelectStmt): RangeVar | undefined {
  let first = select;
  while (first.larg !== undefined) first = first.larg;
  return first.intoClause?.rel;
}

/** Rows of a child are seen through its parent, and those of the parent are in other databases. */
function refuseMappedParents({ inhRelations }: CreateStmt, context: PlanContext): void {
  for (const parent of inhRelations ?? []) {
    if (!("RangeVar" in parent)) continue;
    const table = existingTable(parent.RangeVar, context);
    if (table.kind !== "mapped") continue;
    refuse(
      "temporary_object_not_supported",
      `temporary table cannot inherit from mapped table "${table.table.name}"`,
      { location: parent.RangeVar.location, hint: "Write its columns out, or use LIKE." },
    );
  }
}

function temporaryPlan(
  rule: string,
  statement: ParsedStatement,
  { map }: PlanContext,
  options: DdlOptions,
): DdlPlan {
  return ddlPlan(rule, asWritten(statement, [map.catalog]), { ...options, isTemporary: true });
}

function planChanging(statement: ParsedStatement, context: PlanContext): DdlPlan | undefined {
  if (!hasTemporary(context)) return undefined;
  const targets = targetsOf(statement.node);
  const own = targets.filter((target) => {
    const relation = findRelation(target, context);
    return relation !== undefined && isTemporary(relation);
  });
  if (own.length === 0) return undefined;
  const other = targets.find((target) => !own.includes(target));
  if (other !== undefined) {
    refuse(
      "temporary_object_not_supported",
      `temporary table "${own[0]?.relname ?? ""}" and table "${other.relname ?? ""}" cannot be changed together`,
      { location: other.location, hint: "Change each with a statement of its own." },
    );
  }
  const { node } = statement;
  if ("AlterTableStmt" in node) refuseInherit(node.AlterTableStmt.cmds, own[0]);
  if ("RuleStmt" in node)
    refuse("rules_not_supported", "CREATE RULE is not supported", { location: own[0]?.location });
  const [rule, block] = blockOf(node);
  return temporaryPlan(rule, statement, context, { block, changesCatalog: false });
}

function refuseInherit(commands: readonly Node[] | undefined, table: RangeVar | undefined): void {
  const inherits = (commands ?? []).some(
    (command) => "AlterTableCmd" in command && command.AlterTableCmd.subtype === "AT_AddInherit",
  );
  if (!inherits) return;
  refuse(
    "temporary_object_not_supported",
    `inheritance of temporary table "${table?.relname ?? ""}" cannot be changed`,
    { location: table?.location, hint: "Name the parent in CREATE TABLE ... INHERITS." },
  );
}

/** The rule's name, which is the command's where a block is refused or required, and that. */
function blockOf(node: Node): readonly [string, DdlPlan["block"]] {
  if ("VacuumStmt" in node && node.VacuumStmt.is_vacuumcmd === true) return ["VACUUM", "refused"];
  if ("LockStmt" in node) return ["LOCK TABLE", "required"];
  if ("IndexStmt" in node && node.IndexStmt.concurrent === true)
    return ["CREATE INDEX CONCURRENTLY", "refused"];
  if ("DropStmt" in node && node.DropStmt.concurrent === true)
    return ["DROP INDEX CONCURRENTLY", "refused"];
  if ("ReindexStmt" in node && (node.ReindexStmt.params ?? []).length > 0)
    return ["REINDEX CONCURRENTLY", "refused"];
  return ["changeTemporary", "joined"];
}

/** What a statement changes, as far as it is relations. */
function targetsOf(node: Node): readonly RangeVar[] {
  if ("DropStmt" in node) {
    const { objects = [], removeType = "OBJECT_TABLE" } = node.DropStmt;
    const ofTable = PARTS.has(removeType);
    if (!ofTable && !RELATIONS.has(removeType)) return [];
    return objects.flatMap((object) => named(object, ofTable));
  }
  if ("CommentStmt" in node) {
    const { object, objtype = "OBJECT_TABLE" } = node.CommentStmt;
    const ofTable = PARTS.has(objtype);
    if (object === undefined || (!ofTable && !RELATIONS.has(objtype))) return [];
    return named(object, ofTable);
  }
  const [kind] = Object.keys(node);
  if (kind === undefined || !CHANGING.has(kind)) return [];
  const [body]: readonly object[] = Object.values(node);
  return Object.values(body ?? {}).flatMap(rangeVars);
}

const RELATIONS: ReadonlySet<string> = new Set([
  "OBJECT_TABLE",
  "OBJECT_INDEX",
  "OBJECT_VIEW",
  "OBJECT_SEQUENCE",
]);

/** Named by their table's name and their own. */
const PARTS: ReadonlySet<string> = new Set([
  "OBJECT_COLUMN",
  "OBJECT_TRIGGER",
  "OBJECT_RULE",
  "OBJECT_POLICY",
  "OBJECT_TABCONSTRAINT",
]);

const CHANGING: ReadonlySet<string> = new Set([
  "AlterTableStmt",
  "IndexStmt",
  "RenameStmt",
  "TruncateStmt",
  "LockStmt",
  "ClusterStmt",
  "VacuumStmt",
  "GrantStmt",
  "CreateTrigStmt",
  "CreatePolicyStmt",
  "ReindexStmt",
  "AlterSeqStmt",
  "AlterObjectSchemaStmt",
  "AlterOwnerStmt",
  "RuleStmt",
]);

function named(object: Node, ofTable: boolean): readonly RangeVar[] {
  const parts = "List" in object ? nameParts(object.List.items) : [];
  const [relname, schemaname] = (ofTable ? parts.slice(0, -1) : parts).toReversed();
  if (relname === undefined) return [];
  return [{ relname, ...(schemaname === undefined ? {} : { schemaname }) }];
}

/** A field's own relation, or those of its list. */
function rangeVars(field: unknown): readonly RangeVar[] {
  if (Array.isArray(field)) return field.flatMap(rangeVars);
  if (typeof field !== "object" || field === null) return [];
  if ("relname" in field) return [field as RangeVar];
  if ("RangeVar" in field) return [field.RangeVar as RangeVar];
  if ("VacuumRelation" in field)
    return rangeVars((field.VacuumRelation as { relation?: RangeVar }).relation);
  return [];
}
