/**
 * From a statement's tree to its query levels: every level, every table, every function,
 * wherever they stand. It decides nothing: settle.ts, distribute.ts and the routes do.
 */
import type {
  CommonTableExpr,
  DeleteStmt,
  InsertStmt,
  Node,
  ResTarget,
  ReturningClause,
  SelectStmt,
  UpdateStmt,
  WithClause,
} from "@pgsql/types";
import { checkDepth, locationOf, nameParts, unwrap } from "../ast.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { readConjuncts } from "./conjuncts.ts";
import { refuseInto, walkExpression } from "./expressions.ts";
import { FromReader, type FromPart } from "./from-items.ts";
import { insertedFacts, shardKeyOf } from "./inserted-facts.ts";
import { addMatchedFacts, nullableSides } from "./matched-joins.ts";
import type { Analysis, Level, Output } from "./model.ts";
import { findItems, resolveColumn, visibleColumns, type Scope } from "./namespace.ts";
import { outputName } from "./output-names.ts";
import { addCondition, addFacts, AnalysisRun, type Place, type WithScope } from "./run.ts";

/** Throws PlanRefused for what no statement may contain, whatever its tables. */
export function analyze(statement: Node, context: PlanContext): Analysis {
  const run = new AnalysisRun(context, analyzeQuery);
  const root = analyzeQuery(run, statement, { parent: undefined, withScope: undefined, depth: 0 });
  const { tables, functions, wholeRows, locksRows, scatterRefusals, shardedRefusals } = run;
  return {
    root,
    tables,
    functions,
    wholeRows,
    locksRows,
    scatterRefusals,
    shardedRefusals,
    inferredTypes: run.inferredTypes(),
  };
}

function analyzeQuery(run: AnalysisRun, statement: Node, place: Place): Level {
  checkDepth(place.depth);
  if ("SelectStmt" in statement) return analyzeSelect(run, statement.SelectStmt, place);
  if ("UpdateStmt" in statement) return analyzeUpdate(run, statement.UpdateStmt, place);
  if ("DeleteStmt" in statement) return analyzeDelete(run, statement.DeleteStmt, place);
  if ("InsertStmt" in statement) return analyzeInsert(run, statement.InsertStmt, place);
  return analyzeOther(run, statement, place);
}

function analyzeSelect(run: AnalysisRun, node: SelectStmt, outer: Place): Level {
  if (node.intoClause !== undefined) refuseInto(node.intoClause.rel?.location);
  const level = run.level(
    { kind: "select", node },
    locationOf(node.targetList ?? node.valuesLists),
    node.withClause?.recursive === true,
  );
  const place = enterWith(run, node.withClause, level, outer);
  const scope =
    node.larg !== undefined && node.rarg !== undefined
      ? analyzeArms(run, node.larg, node.rarg, level, place)
      : analyzePlainSelect(run, node, level, place);
  walkExpression(run, [node.sortClause, node.limitCount, node.limitOffset], scope, place);
  if (node.lockingClause !== undefined) noteRowLocks(run, node, outer);
  return level;
}

/** Each placement locks the rows of its answer, which are those of the whole answer but for the ones that a LIMIT leaves out. */
function noteRowLocks(run: AnalysisRun, node: SelectStmt, { depth }: Place): void {
  run.locksRows = true;
  const limit = node.limitCount ?? node.limitOffset;
  const where = depth > 0 ? "in a sub-select" : limit === undefined ? undefined : "with LIMIT";
  if (where === undefined) return;
  run.needsOnePlacement(
    "row_locks_scattered",
    `row locks ${where} are not supported over several placements`,
    locationOf(depth > 0 ? node : limit),
    "Each placement would lock rows that the whole statement would not.",
  );
}

function analyzeArms(
  run: AnalysisRun,
  larg: SelectStmt,
  rarg: SelectStmt,
  level: Level,
  place: Place,
): Scope {
  const deeper = { ...place, depth: place.depth + 8 };
  const left = run.query(run, { SelectStmt: larg }, deeper);
  level.arms.push(left, run.query(run, { SelectStmt: rarg }, deeper));
  for (const { name } of left.outputs)
    level.outputs.push({ name, expression: undefined, column: undefined });
  level.outputsAreOpen = left.outputsAreOpen;
  // ORDER BY of a set operation sees its output names alone.
  return { items: [], parent: undefined, level };
}

function analyzePlainSelect(run: AnalysisRun, node: SelectStmt, level: Level, place: Place): Scope {
  const reader = new FromReader(run, level, place);
  const from = reader.list(node.fromClause ?? [], undefined);
  const scope = analyzeWhere(run, reader, from, node.whereClause, level, place);
  readOutputs(node, level, scope);
  const clauses = [
    node.targetList,
    node.groupClause,
    node.havingClause,
    node.windowClause,
    node.distinctClause,
    node.valuesLists,
  ];
  walkExpression(run, clauses, scope, place);
  return scope;
}

function analyzeWhere(
  run: AnalysisRun,
  reader: FromReader,
  from: FromPart,
  condition: Node | undefined,
  level: Level,
  place: Place,
): Scope {
  const scope = { items: from.items, parent: place.parent, level };
  const where = readConjuncts(run, condition, scope, place, true);
  addFacts(level, from.sources, where.facts);
  reader.withSemiJoined({ ...from, always: [...from.always, ...where.facts] }, where.semiJoined);
  level.always.push(...from.always, ...where.facts);
  addMatchedFacts(level);
  const filled = new Set(level.outerJoins.flatMap(nullableSides).flat());
  const kept = from.sources.filter((source) => !filled.has(source));
  addCondition(level, condition, kept, scope);
  level.columnOf = (expression) =>
    "ColumnRef" in expression ? resolveColumn(expression.ColumnRef, scope)?.column : undefined;
  return scope;
}

function analyzeUpdate(run: AnalysisRun, node: UpdateStmt, outer: Place): Level {
  const level = run.level({ kind: "update", node }, node.relation?.location, false);
  const place = enterWith(run, node.withClause, level, outer);
  const reader = new FromReader(run, level, place);
  const target = node.relation === undefined ? undefined : reader.table(node.relation, true);
  const from = reader.list(node.fromClause ?? [], target);
  const scope = analyzeWhere(run, reader, from, node.whereClause, level, place);
  walkExpression(run, [node.targetList, node.returningClause?.exprs], scope, place);
  readReturning(node.returningClause, level, scope);
  return level;
}

function analyzeDelete(run: AnalysisRun, node: DeleteStmt, outer: Place): Level {
  const level = run.level({ kind: "delete", node }, node.relation?.location, false);
  const place = enterWith(run, node.withClause, level, outer);
  const reader = new FromReader(run, level, place);
  const target = node.relation === undefined ? undefined : reader.table(node.relation, true);
  const using = reader.list(node.usingClause ?? [], target);
  const scope = analyzeWhere(run, reader, using, node.whereClause, level, place);
  walkExpression(run, node.returningClause?.exprs, scope, place);
  readReturning(node.returningClause, level, scope);
  return level;
}

/** INSERT: what its rows are known to hold pins its target. How they are split is its own planner's. */
function analyzeInsert(run: AnalysisRun, node: InsertStmt, outer: Place): Level {
  const level = run.level({ kind: "insert", node }, node.relation?.location, false);
  const place = enterWith(run, node.withClause, level, outer);
  const target =
    node.relation === undefined
      ? undefined
      : new FromReader(run, level, place).table(node.relation, true);
  const query =
    node.selectStmt === undefined
      ? undefined
      : run.query(run, node.selectStmt, { ...place, depth: place.depth + 1 });
  if (query !== undefined) level.nested.push(query);
  for (const source of target?.sources ?? [])
    addFacts(level, [source], insertedFacts(node, source, query, run.context));
  const scope = { items: target?.items ?? [], parent: undefined, level };
  walkExpression(
    run,
    [node.cols, node.onConflictClause, node.returningClause?.exprs],
    scope,
    place,
  );
  readReturning(node.returningClause, level, scope);
  return level;
}

/**
 * The columns that a WITH query which writes gives. A row that was written may hold other values
 * than it was found by, or was to have: by SET, by a trigger, by ON CONFLICT; but for its shard key.
 */
function readReturning(clause: ReturningClause | undefined, level: Level, scope: Scope): void {
  for (const target of clause?.exprs ?? [])
    if ("ResTarget" in target) readOutput(target.ResTarget, level, scope);
  const [written] = level.sources;
  if (written === undefined || level.statement.kind === "delete") return;
  const keys = shardKeyOf(written);
  for (const [index, output] of level.outputs.entries()) {
    const { column } = output;
    if (column?.source === written && !keys.has(column.catalog?.name))
      level.outputs[index] = { ...output, column: undefined };
  }
}

/** MERGE: the tables and functions it names; how it is placed is its own planner's. */
function analyzeOther(run: AnalysisRun, statement: Node, outer: Place): Level {
  const level = run.level({ kind: "other" }, locationOf(statement), false);
  level.outputsAreOpen = true;
  if ("MergeStmt" in statement) {
    const { relation, sourceRelation, withClause, ...rest } = statement.MergeStmt;
    const place = enterWith(run, withClause, level, outer);
    const reader = new FromReader(run, level, place);
    const target = relation === undefined ? undefined : reader.table(relation, true);
    const from = reader.list(sourceRelation === undefined ? [] : [sourceRelation], target);
    walkExpression(run, rest, { items: from.items, parent: undefined, level }, place);
    return level;
  }
  const kind = unwrap(statement)?.kind ?? "statement";
  return refuse("statement_not_supported", `statement of kind ${kind} is not supported here`);
}

function enterWith(
  run: AnalysisRun,
  clause: WithClause | undefined,
  level: Level,
  place: Place,
): Place {
  let withScope = place.withScope;
  const queries = (clause?.ctes ?? []).flatMap((node) =>
    "CommonTableExpr" in node ? [node.CommonTableExpr] : [],
  );
  if (clause?.recursive === true) return enterRecursive(run, queries, level, place);
  for (const query of queries)
    withScope = withQuery(run, query, level, { ...place, withScope }, withScope);
  return { ...place, withScope };
}

/** Under RECURSIVE every name is in scope in every query; a reference to one not yet read is a recursion. */
function enterRecursive(
  run: AnalysisRun,
  queries: readonly CommonTableExpr[],
  level: Level,
  place: Place,
): Place {
  let inside: WithScope | undefined = place.withScope;
  for (const { ctename = "" } of queries)
    inside = { name: ctename, query: { kind: "recursion" }, outer: inside };
  let withScope = inside;
  for (const query of queries)
    withScope = withQuery(run, query, level, { ...place, withScope }, withScope);
  return { ...place, withScope };
}

function withQuery(
  run: AnalysisRun,
  query: CommonTableExpr,
  level: Level,
  place: Place,
  outer: WithScope | undefined,
): WithScope | undefined {
  if (query.ctequery === undefined) return outer;
  const inner = run.query(run, query.ctequery, { ...place, depth: place.depth + 1 });
  level.withQueries.push(inner);
  const addsColumns = query.search_clause !== undefined || query.cycle_clause !== undefined;
  const columnNames = nameParts(query.aliascolnames);
  return {
    name: query.ctename ?? "",
    query: { kind: "level", level: inner, columnNames, addsColumns },
    outer,
  };
}

function readOutputs(node: SelectStmt, level: Level, scope: Scope): void {
  const [values] = node.valuesLists ?? [];
  if (values !== undefined && "List" in values) {
    for (const index of (values.List.items ?? []).keys())
      level.outputs.push({ name: `column${index + 1}`, expression: undefined, column: undefined });
    return;
  }
  for (const target of node.targetList ?? []) {
    if ("ResTarget" in target) readOutput(target.ResTarget, level, scope);
  }
}

function readOutput({ name, val }: ResTarget, level: Level, scope: Scope): void {
  if (val === undefined) return;
  const star = starColumns(val, scope);
  if (star !== undefined) {
    level.outputs.push(...star.outputs);
    level.outputsAreOpen ||= star.isOpen;
    return;
  }
  const column = "ColumnRef" in val ? resolveColumn(val.ColumnRef, scope)?.column : undefined;
  // `(row).*` is as many columns as the row's type has.
  if ("A_Indirection" in val && val.A_Indirection.indirection?.some((step) => "A_Star" in step))
    level.outputsAreOpen = true;
  level.outputs.push({ name: name ?? outputName(val), expression: val, column });
}

function starColumns(
  expression: Node,
  scope: Scope,
): { readonly outputs: readonly Output[]; readonly isOpen: boolean } | undefined {
  if (!("ColumnRef" in expression)) return undefined;
  const fields = expression.ColumnRef.fields ?? [];
  const last = fields.at(-1);
  if (last === undefined || !("A_Star" in last)) return undefined;
  const names = nameParts(fields);
  const table = names.at(-1);
  if (table === undefined) return starOf(visibleColumns(scope.items));
  const [item, ambiguous] = findItems(table, names.at(-2), scope);
  return item === undefined || ambiguous !== undefined
    ? { outputs: [], isOpen: true }
    : starOf(item);
}

function starOf({ columns, isOpen }: ReturnType<typeof visibleColumns>): {
  readonly outputs: readonly Output[];
  readonly isOpen: boolean;
} {
  return {
    outputs: columns.map(({ name, column }) => ({ name, expression: undefined, column })),
    isOpen,
  };
}
