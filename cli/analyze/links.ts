/**
 * What ties tables together in a workload: columns that are equated, columns that are given
 * a value, foreign keys, and transactions that give the same column of several tables one.
 */
import { analyze } from "../../planner/analyze/analyze.ts";
import { storedColumn } from "../../planner/analyze/column-types.ts";
import type { Column, Fact, Level } from "../../planner/analyze/model.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { PlanRefused } from "../../planner/refusal.ts";
import { writtenTables } from "../../planner/written-tables.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { namedTables, placeableTable, resolvedOrNothing } from "./named-tables.ts";
import type { WorkloadStatement } from "./workload.ts";

export interface TableColumn {
  readonly table: string;
  readonly column: string;
}

export interface StatementLinks {
  readonly statement: WorkloadStatement;
  /** Tables of the canonical schema, each once. */
  readonly tables: readonly string[];
  readonly written: ReadonlySet<string>;
  readonly joins: readonly (readonly [TableColumn, TableColumn])[];
  /** Columns that are equal to a value wherever the statement finds a row. */
  readonly pins: readonly TableColumn[];
}

/** Nothing for a statement whose columns cannot be told. */
export function linksOf(statement: WorkloadStatement, context: PlanContext): StatementLinks {
  const { node } = statement.parsed;
  const joins: [TableColumn, TableColumn][] = [];
  const pins: TableColumn[] = [...insertedColumns(statement, context)];
  for (const fact of factsOf(statement, context)) {
    if (fact.kind === "columns") {
      const left = nameOf(fact.left, context);
      const right = nameOf(fact.right, context);
      if (left !== undefined && right !== undefined) joins.push([left, right]);
    } else if (fact.kind === "values") {
      const pinned = nameOf(fact.column, context);
      if (pinned !== undefined) pins.push(pinned);
    }
  }
  const written = new Set(writtenTables(node).map(({ relation }) => relation.relname ?? ""));
  const tables = namedTables(node, context).placeable;
  return { statement, tables, written, joins, pins };
}

function factsOf(statement: WorkloadStatement, context: PlanContext): readonly Fact[] {
  try {
    return [...levelsOf(analyze(statement.parsed.node, context).root)].flatMap((level) => [
      ...level.always,
      ...[...level.facts.values()].flat(),
    ]);
  } catch (error) {
    if (error instanceof PlanRefused || error instanceof SqlError) return [];
    throw error;
  }
}

function* levelsOf(level: Level): Generator<Level> {
  yield level;
  const inner = level.sources.flatMap(({ content }) =>
    content.kind === "query" ? [content.level] : [],
  );
  const parts = [...level.nested, ...level.arms, ...level.withQueries, ...inner];
  for (const part of parts) yield* levelsOf(part);
}

function nameOf(column: Column, context: PlanContext): TableColumn | undefined {
  const { source, name } = storedColumn(column);
  if (source.content.kind !== "table") return undefined;
  const table = placeableTable(source.content.table, context);
  return table === undefined ? undefined : { table, column: name };
}

/** A new row has a value for each column. */
function* insertedColumns(
  { parsed: { node } }: WorkloadStatement,
  context: PlanContext,
): Generator<TableColumn> {
  if (!("InsertStmt" in node) || node.InsertStmt.relation === undefined) return;
  const { relation, cols } = node.InsertStmt;
  const resolved = resolvedOrNothing(relation, context);
  const table = resolved && placeableTable(resolved, context);
  if (table === undefined) return;
  const names =
    cols?.map((col) => ("ResTarget" in col ? (col.ResTarget.name ?? "") : "")) ??
    relationOf(table, context)?.columns.map(({ name }) => name) ??
    [];
  for (const column of names) yield { table, column };
}

export function relationOf(
  table: string,
  { catalog, map }: PlanContext,
): CatalogRelation | undefined {
  return catalog.relations.get(map.canonicalSchema)?.get(table);
}
