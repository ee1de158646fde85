/**
 * Plans INSERT ... SELECT.
 *
 *     the target's shard key receives the source's own      each placement inserts what it selects
 *     the source and the key's value are pinned together    one placement does it all
 *     else                                                  the rows are read first, then inserted as VALUES
 */
import type { InsertStmt } from "@pgsql/types";
import type { CatalogColumn } from "../shardmap/catalog.ts";
import { analyze } from "./analyze/analyze.ts";
import { familyOfKey } from "./analyze/column-types.ts";
import { termOf } from "./analyze/key-terms.ts";
import type { Analysis, Column, Level } from "./analyze/model.ts";
import { PlacementRules } from "./analyze/placement-rules.ts";
import type { Pin, Unit } from "./analyze/units.ts";
import { checkFunctions } from "./function-rules.ts";
import { generatedFor, insertColumns, type InsertColumns } from "./insert/columns.ts";
import { defaultTerm, isSameTerm, isStoredAlike, keepsKey, type KeyPlace } from "./insert/keys.ts";
import { querySourceOf } from "./insert/query-source.ts";
import type { KeyTerm, LogicalPlan, QueryPlan, Routing } from "./logical-plan.ts";
import type { InsertQueryPlan } from "./insert/insert-plan.ts";
import type { ResolvedTable } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import { settledRouting } from "./pin-routing.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, placeRefusal, refusal, refuse } from "./refusal.ts";
import { checkWrites, scatteredRouting } from "./route-sharded.ts";
import { templateFor } from "./statement-text.ts";
import { severally } from "./several.ts";

export interface InsertSelectInput {
  readonly statement: ParsedStatement;
  readonly insert: InsertStmt;
  readonly context: PlanContext;
}

type ShardedTable = Extract<ResolvedTable, { kind: "sharded" }>;

/** Into a sharded table; the caller has checked its unique keys and the expressions beside the query. */
export function planInsertSelect(
  input: InsertSelectInput,
  target: ShardedTable,
  keys: readonly KeyPlace[],
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { statement, insert, context } = input;
  const analysis = analyze(statement.node, context);
  const [source] = analysis.root.nested;
  if (analysis.root.withQueries.some(({ statement: { kind } }) => kind !== "select"))
    return planPinnedInsert(input, target);
  if (source !== undefined && isLocal(analysis)) {
    const columns = columnsOf(insert, target, source);
    if (columns === "refused by PostgreSQL") return { kind: "rejected", sql: statement.text };
    const placed =
      columns === undefined || !mayRunInPlace(columns, insert, keys)
        ? undefined
        : placedInsert({ analysis, source, columns, target, keys, context }, statement);
    if (placed !== undefined && !mustKeepOrder(insert, placed.routing))
      return { ...placed, returnsRows: returnsRows(insert) };
  }
  return planGatheredInsert(input, target.name, planQuery);
}

/** RETURNING in the order of the query's ORDER BY: several placements would each give their own rows in order. */
function mustKeepOrder(insert: InsertStmt, routing: Routing): boolean {
  const { selectStmt } = insert;
  const isSorted =
    selectStmt !== undefined &&
    "SelectStmt" in selectStmt &&
    selectStmt.SelectStmt.sortClause !== undefined;
  return isSorted && returnsRows(insert) && routing.kind !== "shardKeys";
}

/** With queries beside it that write, or that its rows' values read: all of it in one placement, or not at all. */
export function planPinnedInsert(
  { statement, insert, context }: InsertSelectInput,
  target: ShardedTable,
): QueryPlan {
  const analysis = analyze(statement.node, context);
  checkWrites(analysis, context);
  const stranger = analysis.tables.find(
    ({ table }) => table.kind !== "sharded" && table.kind !== "reference",
  );
  const spread = refusal(
    "data_modifying_with_scattered",
    `INSERT into sharded table "${target.name}" with other queries that may need another placement is not supported`,
    { location: stranger?.location ?? insert.relation?.location },
  );
  checkFunctions(analysis, { kind: "sharded" }, context);
  const [barred] = analysis.shardedRefusals;
  const settlement = new PlacementRules(analysis, context).settle(analysis.root, [], true);
  const routing = settlement.kind === "settled" ? settledRouting(settlement.pins) : undefined;
  if (barred !== undefined || stranger !== undefined || routing?.kind !== "shardKeys")
    throw new PlanRefused(barred ?? spread);
  return {
    kind: "query",
    access: "write",
    rule: "insertPinned",
    routing,
    template: templateFor(statement, context),
    several: severally({ kind: "counts" }, placeRefusal(spread, statement)),
    returnsRows: returnsRows(insert),
  };
}

/** Reads the rows first: wherever they come from, and wherever they go. */
export function planGatheredInsert(
  { statement, insert }: InsertSelectInput,
  table: string,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { statement: query, ...source } = querySourceOf(statement, insert);
  const plan = planQuery(query);
  if (plan.kind !== "query") return { kind: "rejected", sql: statement.text };
  if (plan.access === "write") {
    refuse(
      "insert_query_not_supported",
      `INSERT into table "${table}" from a query that writes or locks rows is not supported`,
      {
        location: insert.relation?.location,
        detail: "Its rows are read before the first of them is inserted.",
      },
    );
  }
  const gathered: InsertQueryPlan = {
    kind: "insertQuery",
    access: "write",
    rule: "insertGatheredRows",
    table,
    sql: statement.text,
    origin: statement.origin,
    source: plan,
    ...source,
    returnsRows: returnsRows(insert),
  };
  return gathered;
}

function returnsRows({ returningClause }: InsertStmt): boolean {
  return returningClause !== undefined;
}

/** Whether each placement's database has all that the statement names, and reads nothing that writes. */
function isLocal({ root, tables }: Analysis): boolean {
  return (
    tables.every(({ table }) => table.kind === "sharded" || table.kind === "reference") &&
    root.withQueries.every(({ statement }) => statement.kind === "select")
  );
}

function columnsOf(
  insert: InsertStmt,
  { relation }: ShardedTable,
  source: Level,
): InsertColumns | undefined | "refused by PostgreSQL" {
  if (source.outputsAreOpen) return undefined;
  const columns = insertColumns(insert, relation, new Set([source.outputs.length]));
  return columns ?? "refused by PostgreSQL";
}

/** A value that all placements draw from one sequence, or that must be checked to be DEFAULT, is the proxy's to write. */
function mayRunInPlace(
  { given, omitted }: InsertColumns,
  { override }: InsertStmt,
  keys: readonly KeyPlace[],
): boolean {
  const isKey = (column: CatalogColumn) => keys.some((key) => key.column === column);
  return (
    omitted.every((column) => generatedFor(column, "sharded", isKey(column)) === undefined) &&
    given.every(({ fill }) => fill.kind !== "identity" || override === "OVERRIDING_SYSTEM_VALUE")
  );
}

interface PlacedInput {
  readonly analysis: Analysis;
  readonly source: Level;
  readonly columns: InsertColumns;
  readonly target: ShardedTable;
  readonly keys: readonly KeyPlace[];
  readonly context: PlanContext;
}

type PlacedInsert = Omit<QueryPlan, "returnsRows">;

/** The statement as it is, where each placement's rows stay there; undefined where that is not proven. */
function placedInsert(input: PlacedInput, statement: ParsedStatement): PlacedInsert | undefined {
  const { analysis, source, target, context } = input;
  checkFunctions(analysis, { kind: "sharded" }, context);
  if (analysis.shardedRefusals.length > 0) return undefined;
  const rules = new PlacementRules(analysis, context);
  const whole = {
    kind: "query" as const,
    access: "write" as const,
    template: templateFor(statement, context),
  };
  const distribution = rules.distribute(source);
  const staysInPlace =
    distribution.kind === "byShard" &&
    analysis.scatterRefusals.length === 0 &&
    rules
      .keyClasses(source, distribution.roots)
      .some((classes) => isOwnKey(input, distribution.roots, classes));
  if (staysInPlace) {
    const { routing } = scatteredRouting(source, distribution.roots, rules);
    return {
      ...whole,
      rule: "insertWhereSelected",
      routing,
      several: severally({ kind: "counts" }),
    };
  }
  const routing = pinnedRouting(input, rules);
  if (routing === undefined) return undefined;
  const several = refusal(
    "insert_query_not_supported",
    `rows of one shard key of table "${target.name}" cannot be inserted into several placements`,
    { location: analysis.root.location },
  );
  return {
    ...whole,
    rule: "insertPinnedQuery",
    routing,
    several: severally({ kind: "counts" }, placeRefusal(several, statement)),
  };
}

/** Whether each column of the target's key gets the column of the source's key that it is equal to. */
function isOwnKey(
  { source, columns, target, keys }: PlacedInput,
  roots: readonly Unit[],
  classes: readonly ReadonlySet<Column>[],
): boolean {
  if (roots[0]?.colocation !== target.table.colocation) return false;
  return keys.every((place, index) => {
    const column = source.outputs[columns.given.indexOf(place.column)]?.column;
    return column !== undefined && classes[index]?.has(column) === true && keepsKey(column, place);
  });
}

/** One placement by a constant key, which is also all that the source's own keys are pinned to. */
function pinnedRouting(
  { source, columns, target, keys, context }: PlacedInput,
  rules: PlacementRules,
): Routing | undefined {
  const { colocation } = target.table;
  const terms = keys.map((place) => constantTerm(place, source, columns, context));
  const key = terms.filter((term) => term !== undefined);
  if (key.length !== terms.length) return undefined;
  const settlement = rules.settle(source, [], true);
  const isThere =
    settlement.kind === "settled" &&
    settlement.pins.every((pin) => pin.colocation === colocation && isPinnedTo(pin, key));
  return isThere ? { kind: "shardKeys", colocation, keys: [key], alsoPinned: [] } : undefined;
}

function isPinnedTo(pin: Pin, key: readonly KeyTerm[]): boolean {
  return (
    pin.kind === "keys" &&
    pin.keys.every((tuple) => tuple.every((term, index) => isSameTerm(term, key[index])))
  );
}

/** A constant that is stored as it would be compared: no cast of the assignment changes it. */
function constantTerm(
  place: KeyPlace,
  source: Level,
  { given }: InsertColumns,
  context: PlanContext,
): KeyTerm | undefined {
  const position = given.indexOf(place.column);
  const expression = source.outputs[position]?.expression;
  const term =
    position < 0
      ? defaultTerm(place, undefined)
      : expression && termOf(expression, familyOfKey(place.key.type), context);
  if (term === undefined || !isStoredAlike(term, place.column)) return undefined;
  // A cast to the key's own family leaves only values of such a type as they are.
  return term.kind === "parameter" ? { ...term, isCast: true } : term;
}
