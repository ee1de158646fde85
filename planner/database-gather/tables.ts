/**
 * The gather that fits any SELECT: the rows of each sharded table it reads are copied into a
 * temporary table of the same name, and the client's own text runs over those.
 *
 *     SELECT u.name, rank() OVER (ORDER BY o.total) FROM users u JOIN orders o ON ... WHERE u.age > 30
 *     SELECT id, name, age FROM users WHERE age > 30         into pg_temp.users
 *     SELECT user_id, total FROM orders                      into pg_temp.orders
 *     SELECT u.name, rank() ... FROM pg_temp.users u JOIN pg_temp.orders o ...
 *
 * Names, columns, types, collations and rows are those of the canonical tables, so the answer
 * is PostgreSQL's own. What could tell a copy from the table itself is refused.
 */
import { TEMPORARY_SCHEMA } from "../../shardmap/catalog.ts";
import type { Analysis } from "../analyze/model.ts";
import type { PlacementRules } from "../analyze/placement-rules.ts";
import { groupedColumns } from "../analyze/shape.ts";
import type { DatabaseGather, OwnTables, Pull } from "../logical-plan.ts";
import { columnNode, selectNode, tableNode, targetNode } from "../make-nodes.ts";
import { resolveTable, searchedSchemas, targetOf } from "../names.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { PlanRefused, refuse } from "../refusal.ts";
import { tableTemplate } from "../rewrite.ts";
import { templateFor } from "../statement-text.ts";
import { synthesize } from "../synthesize.ts";
import { GatheredJoins, subtree } from "./joins.ts";
import { namedColumns, type NamedColumns } from "./table-columns.ts";
import { tableUses, type TableUses } from "./table-uses.ts";
import { refuseTellingBlock } from "./telling-block.ts";
import { refuseIdentifiers, refuseTellingCopies } from "./telling-copies.ts";

/** Throws PlanRefused where the answer could differ, or would need a join of any two shards. */
export function gatherTables(
  statement: ParsedStatement,
  analysis: Analysis,
  rules: PlacementRules,
  context: PlanContext,
  own: OwnTables = "none",
): DatabaseGather {
  const refused = new GatheredJoins(rules, analysis, context).refusal(analysis.root);
  if (refused !== undefined) throw new PlanRefused(refused);
  refuseTellingBlock(statement.node);
  const uses = tableUses(analysis, rules, context);
  if (own !== "none") refuseTakenNames(uses, context);
  const named = namedColumns(statement.node, subtree(analysis.root));
  refuseTellingCopies(statement.node, analysis, new Set(uses.map(({ relation }) => relation.name)));
  return {
    kind: "database",
    rule: "tables",
    pulls: uses.map((use) => pullOf(use, named, context)),
    finish: overCopies(statement, context),
    own,
  };
}

/** The copies stand beside the session's own temporary tables. */
function refuseTakenNames(uses: readonly TableUses[], { catalog }: PlanContext): void {
  const own = catalog.relations.get(TEMPORARY_SCHEMA);
  const taken = uses.find(({ relation }) => own?.has(relation.name) === true);
  if (taken === undefined) return;
  refuseTakenName(taken.relation.name, undefined);
}

export function refuseTakenName(name: string, location: number | undefined): never {
  return refuse(
    "temporary_name_taken",
    `rows of table "${name}" cannot be gathered beside a temporary table of its name`,
    { location },
  );
}

function pullOf(use: TableUses, named: NamedColumns, context: PlanContext): Pull {
  const { relation, routing, filter } = use;
  const primaryKey = isGroupedByKey(use) ? relation.primaryKey : [];
  const columns = columnsOf(use, named, primaryKey);
  refuseIdentifiers(relation, columns, context.catalog);
  const shape = selectNode({
    targetList: columns.map((column) => targetNode(columnNode(column))),
    fromClause: [tableNode(relation.schema, relation.name)],
  });
  const filtered =
    filter === undefined || !("SelectStmt" in shape)
      ? shape
      : selectNode({ ...shape.SelectStmt, whereClause: filter });
  return {
    table: relation.name,
    columns,
    shape: { sql: synthesize(shape).text, edits: [], arm: undefined },
    routing,
    template: templateFor(synthesize(filtered), context),
    gather: { kind: "concat", limit: undefined },
    primaryKey,
  };
}

function columnsOf(
  { relation, sources }: TableUses,
  { names, starred, starredSources, isAll }: NamedColumns,
  primaryKey: readonly string[],
): readonly string[] {
  const all = relation.columns.map(({ name }) => name);
  const isStarred = sources.some(
    ({ source }) => starred.has(source.name) || starredSources.has(source),
  );
  if (isAll || isStarred) return all;
  const wanted = all.filter((name) => names.has(name) || primaryKey.includes(name));
  return wanted.length === 0 ? all.slice(0, 1) : wanted;
}

/**
 * A level that groups by a primary key may read the table's other columns: PostgreSQL knows
 * that they depend on it (parse_agg.c, check_functional_grouping).
 */
function isGroupedByKey({ relation, sources }: TableUses): boolean {
  const { primaryKey } = relation;
  return (
    primaryKey.length > 0 &&
    sources.some(({ source, level }) => {
      const grouped = groupedColumns(level);
      return primaryKey.every((name) =>
        grouped.some((column) => column.source === source && column.catalog?.name === name),
      );
    })
  );
}

/** The client's text with each copied table's name given the temporary schema. */
function overCopies(statement: ParsedStatement, context: PlanContext) {
  return tableTemplate(
    statement,
    (reference) => {
      const resolved = resolveTable(reference, context);
      return resolved.kind === "sharded"
        ? { kind: "fixed", schema: TEMPORARY_SCHEMA, name: resolved.name }
        : targetOf(resolved, context);
    },
    { map: context.map, searchPath: searchedSchemas(context) },
  );
}
