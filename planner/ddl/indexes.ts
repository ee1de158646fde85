/**
 * Indexes. CREATE INDEX names its table; the other statements name the index alone, which
 * the catalog does not list: they go to every place that has mapped tables, where a name
 * that is not there is passed over, since indexes have the same name in every place.
 */
import type { AlterTableStmt, DropStmt, IndexStmt, RangeVar, RenameStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { quoteIdentifier, quoteQualified } from "../../base/sql-quoting.ts";
import type { DdlPlan } from "../logical-plan.ts";
import { nameParts } from "../ast.ts";
import { searchedSchemas } from "../names.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { checkStoredExpression } from "../stored-expressions.ts";
import { checkUnique } from "./constraints.ts";
import { asWritten, ddlPlan, ownSchema, splicedSteps, type DdlStep } from "./steps.ts";
import { allHomes, existingTable, homesOf } from "./table-homes.ts";

export function planCreateIndex(
  statement: ParsedStatement,
  index: IndexStmt,
  context: PlanContext,
): DdlPlan {
  const { relation } = index;
  invariant(relation !== undefined, "CREATE INDEX names a table");
  const target = existingTable(relation, context);
  const owner = `index of table "${relation.relname ?? ""}"`;
  checkStoredExpression([index.indexParams, index.whereClause], owner, context);
  const isConcurrent = index.concurrent === true;
  const [rule, options] = isConcurrent
    ? (["CREATE INDEX CONCURRENTLY", { block: "refused" }] as const)
    : (["createIndex", {}] as const);
  if (target.kind === "catalogOnly")
    return ddlPlan(
      isConcurrent ? rule : "createCatalogIndex",
      asWritten(statement, [context.map.catalog]),
      options,
    );
  if (index.unique === true) {
    const columns = (index.indexParams ?? []).flatMap((param) => {
      const name = "IndexElem" in param ? param.IndexElem.name : undefined;
      return name === undefined ? [] : [name];
    });
    checkUnique(columns, target, relation.location);
  }
  return ddlPlan(
    rule,
    splicedSteps(statement, homesOf(target.table, context.map), [
      { tree: relation, schemaAt: ownSchema },
    ]),
    options,
  );
}

export function planDropIndex(
  statement: ParsedStatement,
  drop: DropStmt,
  context: PlanContext,
): DdlPlan {
  const names = (drop.objects ?? []).map((object) =>
    "List" in object ? nameParts(object.List.items) : [],
  );
  const mapped = names.filter((parts) =>
    mayBeMapped(parts.length > 1 ? parts.at(-2) : undefined, context),
  );
  const behavior = drop.behavior === "DROP_CASCADE" ? " CASCADE" : "";
  const concurrently = drop.concurrent === true ? " CONCURRENTLY" : "";
  const others = elsewhere(context, (schema) =>
    mapped.map(
      (parts) =>
        `DROP INDEX${concurrently} IF EXISTS ${quoteQualified(schema, parts.at(-1) ?? "")}${behavior}`,
    ),
  );
  const steps = [...asWritten(statement, [context.map.catalog]), ...others];
  return concurrently === ""
    ? ddlPlan("dropIndex", steps)
    : ddlPlan("DROP INDEX CONCURRENTLY", steps, { block: "refused" });
}

export function planRenameIndex(
  statement: ParsedStatement,
  rename: RenameStmt,
  context: PlanContext,
): DdlPlan {
  const { relation, newname = "" } = rename;
  return alterEverywhere(
    "renameIndex",
    statement,
    relation,
    `RENAME TO ${quoteIdentifier(newname)}`,
    context,
  );
}

/** ALTER INDEX ... SET, RESET: the text after the name is the same everywhere. */
export function planAlterIndex(
  statement: ParsedStatement,
  { relation, cmds = [] }: AlterTableStmt,
  context: PlanContext,
): DdlPlan {
  const partitions = cmds.some(
    (command) =>
      "AlterTableCmd" in command && command.AlterTableCmd.subtype === "AT_AttachPartition",
  );
  if (partitions || relation === undefined)
    return refuse("ddl_not_supported", "ALTER INDEX ... ATTACH PARTITION is not supported", {
      hint: "Create the index on the partitioned table: PostgreSQL makes those of its partitions.",
    });
  const end = statement.tokens.find(
    ({ start }) => start > statement.offsetOf(relation.location) && isAction(statement, start),
  );
  const action = statement.text.slice(end?.start ?? statement.tokensEnd, statement.tokensEnd);
  return alterEverywhere("alterIndex", statement, relation, action, context);
}

function isAction({ text }: ParsedStatement, start: number): boolean {
  return /^(set|reset|alter|depends|no)\b/i.test(text.slice(start, start + 8));
}

function alterEverywhere(
  rule: string,
  statement: ParsedStatement,
  relation: RangeVar | undefined,
  action: string,
  context: PlanContext,
): DdlPlan {
  const name = relation?.relname ?? "";
  const others = mayBeMapped(relation?.schemaname, context)
    ? elsewhere(context, (schema) => [
        `ALTER INDEX IF EXISTS ${quoteQualified(schema, name)} ${action}`,
      ])
    : [];
  return ddlPlan(rule, [...asWritten(statement, [context.map.catalog]), ...others]);
}

/** An index is in its table's schema, and mapped tables are in the canonical one. */
function mayBeMapped(schema: string | undefined, context: PlanContext): boolean {
  return schema === undefined
    ? searchedSchemas(context).includes(context.map.canonicalSchema)
    : schema === context.map.canonicalSchema;
}

function elsewhere(
  { map }: PlanContext,
  sqlIn: (schema: string) => readonly string[],
): readonly DdlStep[] {
  return allHomes(map)
    .filter(({ database, schema }) => database !== map.catalog || schema !== map.canonicalSchema)
    .flatMap(({ database, schema }) => sqlIn(schema).map((sql) => ({ database, sql })));
}
