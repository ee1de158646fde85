/** Statements over a list of tables: each place gets the ones it has. */
import type {
  DropStmt,
  GrantStmt,
  LockStmt,
  Node,
  RangeVar,
  TruncateStmt,
  VacuumStmt,
} from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { quoteIdentifier, quoteQualified } from "../../base/sql-quoting.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { DdlPlan } from "../logical-plan.ts";
import { nameParts } from "../ast.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { checkTruncateTriggers } from "../trigger-rules.ts";
import { nameExtent } from "../rewrite.ts";
import { synthesize } from "../synthesize.ts";
import { asWritten, ddlPlan, ownSchema, partCount, splicedSteps, type DdlStep } from "./steps.ts";
import {
  allHomes,
  databasesOf,
  existingTable,
  homesOf,
  type DdlTable,
  type TableHome,
} from "./table-homes.ts";

/** A table of the list, as the statement names it, and where it stands. */
interface ListedTable {
  /** With ONLY and the column list of the client, if any: `ONLY "public"."a" (x)`. */
  readonly textAt: (schema: string) => string;
  readonly written: string;
  readonly target: DdlTable;
}

export function planDropTable(
  statement: ParsedStatement,
  drop: DropStmt,
  context: PlanContext,
): DdlPlan {
  const listed = (drop.objects ?? []).map((object): ListedTable => {
    const parts = "List" in object ? nameParts(object.List.items) : [];
    const reference = rangeVar(parts);
    return {
      target: existingTable(reference, context),
      textAt: (schema) => quoteQualified(schema, reference.relname ?? ""),
      written: parts.map(quoteIdentifier).join("."),
    };
  });
  const ifExists = drop.missing_ok === true ? "IF EXISTS " : "";
  const behavior = drop.behavior === "DROP_CASCADE" ? " CASCADE" : "";
  return ddlPlan(
    "dropTable",
    listSteps(statement, listed, (names) => `DROP TABLE ${ifExists}${names}${behavior}`, context),
  );
}

export function planTruncate(
  statement: ParsedStatement,
  truncate: TruncateStmt,
  context: PlanContext,
): DdlPlan {
  const relations = rangeVars(truncate.relations);
  const listed = relations.map((relation) => listedTable(statement, relation, context));
  for (const relation of relations)
    checkTruncateTriggers(relation, truncate.behavior === "DROP_CASCADE", context);
  const restarts = truncate.restart_seqs === true;
  const options = `${restarts ? " RESTART IDENTITY" : ""}${truncate.behavior === "DROP_CASCADE" ? " CASCADE" : ""}`;
  const steps = listSteps(
    statement,
    listed,
    (names) => `TRUNCATE TABLE ${names}${options}`,
    context,
  );
  // Blocks drawn from a restarted sequence are void, as they are when the catalog changes.
  return ddlPlan("truncate", steps, { changesCatalog: restarts });
}

/** lockdefs.h, as LOCK TABLE spells them; the tree has the number. */
/** Waits for nothing but a change of the table itself. */
const ACCESS_SHARE = "ACCESS SHARE";

const LOCK_MODES = [
  ACCESS_SHARE,
  "ROW SHARE",
  "ROW EXCLUSIVE",
  "SHARE UPDATE EXCLUSIVE",
  "SHARE",
  "SHARE ROW EXCLUSIVE",
  "EXCLUSIVE",
  "ACCESS EXCLUSIVE",
];

/**
 * A table is locked wherever it or a part of it stands, so that it is locked for everyone. In the
 * weakest mode only where it is defined: all that conflicts with it (DROP, ALTER, TRUNCATE, LOCK) comes by
 * there, and pg_dump, which has one snapshot for all it reads, may have no second database.
 */
export function planLock(
  statement: ParsedStatement,
  { relations, mode = 0, nowait }: LockStmt,
  context: PlanContext,
): DdlPlan {
  const listed = rangeVars(relations).map((relation) => listedTable(statement, relation, context));
  const lockMode = LOCK_MODES[mode - 1];
  invariant(lockMode !== undefined, "LOCK TABLE has one of PostgreSQL's lock modes");
  const steps = listSteps(
    statement,
    listed,
    (names) => `LOCK TABLE ${names} IN ${lockMode} MODE${nowait === true ? " NOWAIT" : ""}`,
    context,
  );
  const taken =
    lockMode === ACCESS_SHARE
      ? steps.filter(({ database }) => database === context.map.catalog)
      : steps;
  return ddlPlan("LOCK TABLE", taken, { block: "required", changesCatalog: false });
}

/** VACUUM and ANALYZE: of listed tables where they stand, else of every database. */
export function planVacuum(
  statement: ParsedStatement,
  vacuum: VacuumStmt,
  context: PlanContext,
): DdlPlan {
  const relations = (vacuum.rels ?? []).flatMap((rel) =>
    "VacuumRelation" in rel && rel.VacuumRelation.relation !== undefined
      ? [rel.VacuumRelation]
      : [],
  );
  const isVacuum = vacuum.is_vacuumcmd === true;
  const options = { block: isVacuum ? "refused" : "joined", changesCatalog: false } as const;
  const rule = isVacuum ? "VACUUM" : "ANALYZE";
  const [first] = relations;
  if (first?.relation === undefined) {
    // Each database commits alone: databases of one server share catalogs that ANALYZE locks.
    const steps = asWritten(statement, databasesOf(context.map));
    const label = isVacuum ? rule : "ANALYZE of every table";
    return ddlPlan(label, steps, { ...options, block: "refused" });
  }
  const command = statement.text.slice(0, statement.offsetOf(first.relation.location));
  const listed = relations.map(({ relation = {}, va_cols }): ListedTable => {
    const table = listedTable(statement, relation, context);
    const columns =
      va_cols === undefined ? "" : ` (${nameParts(va_cols).map(quoteIdentifier).join(", ")})`;
    return {
      ...table,
      textAt: (schema) => `${table.textAt(schema)}${columns}`,
      written: `${table.written}${columns}`,
    };
  });
  return ddlPlan(
    rule,
    listSteps(statement, listed, (names) => `${command}${names}`, context),
    options,
  );
}

/** GRANT and REVOKE on tables, which must all be in the same places; on other objects in every database. */
export function planGrant(
  statement: ParsedStatement,
  grant: GrantStmt,
  context: PlanContext,
): DdlPlan {
  const options = { changesCatalog: false };
  if (grant.targtype === "ACL_TARGET_OBJECT" && grant.objtype === "OBJECT_TABLE")
    return planTableGrant(statement, rangeVars(grant.objects), context);
  if (
    grant.objtype === "OBJECT_DATABASE" ||
    grant.objtype === "OBJECT_LARGEOBJECT" ||
    grant.objtype === "OBJECT_TABLESPACE"
  ) {
    return refuse("ddl_not_supported", "GRANT on this kind of object is not supported", {
      hint: "Grant it in each database directly.",
    });
  }
  if (grant.objtype === "OBJECT_SEQUENCE" && grant.targtype === "ACL_TARGET_OBJECT") {
    return ddlPlan("grantInCatalog", asWritten(statement, [context.map.catalog]), options);
  }
  if (grant.targtype === "ACL_TARGET_ALL_IN_SCHEMA" && hasOwnSchemas(context)) {
    return refuse(
      "ddl_not_supported",
      "GRANT on all objects of a schema is not supported while placements have schemas of their own",
      {
        hint: "Grant on each table by name: the proxy grants it in every placement.",
      },
    );
  }
  const steps = asWritten(statement, databasesOf(context.map));
  if (grant.objtype !== "OBJECT_SCHEMA" || !namesSchema(grant, context.map.canonicalSchema))
    return ddlPlan("grantEverywhere", steps, options);
  return ddlPlan("grantOnSchemas", [...steps, ...ownSchemaSteps(grant, context)], options);
}

function namesSchema({ objects = [] }: GrantStmt, schema: string): boolean {
  return objects.some((object) => "String" in object && object.String.sval === schema);
}

/** Who may use the schema that clients know may use those that placements have of their own: no client can name them. */
function ownSchemaSteps(grant: GrantStmt, { map }: PlanContext): readonly DdlStep[] {
  const own = allHomes(map).filter(({ schema }) => schema !== map.canonicalSchema);
  const schemas = Map.groupBy(own, ({ database }) => database);
  return [...schemas].map(([database, homes]) => {
    const objects = homes.map(({ schema }) => ({ String: { sval: schema } }));
    return { database, sql: synthesize({ GrantStmt: { ...grant, objects } }).text };
  });
}

function planTableGrant(
  statement: ParsedStatement,
  relations: readonly RangeVar[],
  context: PlanContext,
): DdlPlan {
  const options = { changesCatalog: false };
  const tables = relations.map((relation) => existingTable(relation, context));
  const homes = tables.map((table) => homesOfTable(table, context));
  const [first = []] = homes;
  if (homes.some((other) => JSON.stringify(other) !== JSON.stringify(first))) {
    refuse("ddl_not_supported", "GRANT on tables of several databases at once is not supported", {
      hint: "Grant on one table at a time.",
    });
  }
  if (tables.every(({ kind }) => kind === "catalogOnly"))
    return ddlPlan("grantInCatalog", asWritten(statement, [context.map.catalog]), options);
  return ddlPlan(
    "grantOnTables",
    splicedSteps(
      statement,
      first,
      relations.map((tree) => ({ tree, schemaAt: ownSchema })),
    ),
    options,
  );
}

function hasOwnSchemas({ map }: PlanContext): boolean {
  return [...map.tables.values()].some((table) =>
    homesOf(table, map).some(({ schema }) => schema !== map.canonicalSchema),
  );
}

function listedTable(
  statement: ParsedStatement,
  relation: RangeVar,
  context: PlanContext,
): ListedTable {
  const only = relation.inh === true ? "" : "ONLY ";
  const { start, end } = nameExtent(statement, relation.location, partCount(relation));
  return {
    target: existingTable(relation, context),
    textAt: (schema) => `${only}${quoteQualified(schema, relation.relname ?? "")}`,
    written: `${only}${statement.text.slice(start, end)}`,
  };
}

/** One statement for each database, with every name its tables have there. */
function listSteps(
  statement: ParsedStatement,
  listed: readonly ListedTable[],
  command: (names: string) => string,
  context: PlanContext,
): readonly DdlStep[] {
  if (listed.every(({ target }) => target.kind === "catalogOnly"))
    return asWritten(statement, [context.map.catalog]);
  const names = new Map<DatabaseName, string[]>(
    databasesOf(context.map).map((database) => [database, []]),
  );
  for (const table of listed) {
    if (table.target.kind === "catalogOnly") names.get(context.map.catalog)?.push(table.written);
    else
      for (const { database, schema } of homesOf(table.target.table, context.map))
        names.get(database)?.push(table.textAt(schema));
  }
  return [...names].flatMap(([database, list]) =>
    list.length === 0 ? [] : [{ database, sql: command(list.join(", ")) }],
  );
}

function homesOfTable(target: DdlTable, { map }: PlanContext): readonly TableHome[] {
  return target.kind === "mapped"
    ? homesOf(target.table, map)
    : [{ database: map.catalog, schema: "" }];
}

function rangeVars(nodes: readonly Node[] | undefined): readonly RangeVar[] {
  return (nodes ?? []).flatMap((node) => ("RangeVar" in node ? [node.RangeVar] : []));
}

export function rangeVar(parts: readonly string[]): RangeVar {
  const [name, schema] = parts.toReversed();
  return {
    ...(name === undefined ? {} : { relname: name }),
    ...(schema === undefined ? {} : { schemaname: schema }),
  };
}
