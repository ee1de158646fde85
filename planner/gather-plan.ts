/**
 * How the answers of several placements to one SELECT become one answer, and what the
 * placements are asked for it. Refuses (PlanRefused) what cannot be exact.
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { groupColumns, planAggregates } from "./aggregate-plan.ts";
import type { Level } from "./analyze/model.ts";
import {
  distinctColumns,
  distinctOn,
  groupItems,
  includesKey,
  isGrouped,
  windowRefusal,
  type KeyClasses,
} from "./analyze/shape.ts";
import { groupsGather } from "./database-gather/groups.ts";
import { rowsGather } from "./database-gather/rows.ts";
import { hiddenColumnName } from "./hidden-columns.ts";
import type { DatabaseGather, Gather, OutputSortKey, Routing } from "./logical-plan.ts";
import { targetNode } from "./make-nodes.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, unlessRefused } from "./refusal.ts";
import { statementLimit } from "./row-limit.ts";
import { mayBeNondeterministic, outputCollation } from "./sort-collation.ts";
import { comparerOf, sortItems, type SortItem } from "./sort-items.ts";

export interface GatherPlan {
  /** A database gather's pulls have their own texts, so `rewritten` is undefined with one. */
  readonly gather: Gather;
  /** What the placements run instead of the client's statement; undefined where that gives the right rows. */
  readonly rewritten: Node | undefined;
  /** A database gather of what the placements give, for where a streamed one is unable; undefined where there is none but of whole tables. */
  readonly overflow: DatabaseGather | undefined;
}

/** What a gather is made for besides its level. */
export interface Scattered {
  readonly statement: ParsedStatement;
  /** Of the statement, and so of what its placements are asked. */
  readonly routing: Routing;
  readonly context: PlanContext;
}

export function planGather(
  node: SelectStmt,
  level: Level,
  classes: KeyClasses,
  scattered: Scattered,
): GatherPlan {
  const window = windowRefusal(level, classes);
  if (isGrouped(level, node)) {
    if (!isGroupedByKey(node, level, classes)) return planAggregates(node, level, scattered);
    if (window !== undefined) {
      const columns = groupColumns(node, level, scattered);
      return inDatabase(groupsGather(node, level, columns, "on the placements", scattered));
    }
  }
  if (window !== undefined) throw new PlanRefused(window);
  if (node.distinctClause !== undefined && !includesKey(distinctColumns(level, node), classes)) {
    return planDistinct(node, level, scattered);
  }
  return planRows(node, level, scattered);
}

function inDatabase(gather: DatabaseGather): GatherPlan {
  return { gather, rewritten: undefined, overflow: undefined };
}

/** Groups that hold the whole shard key never span placements: each placement's groups are whole. */
function isGroupedByKey(node: SelectStmt, level: Level, classes: KeyClasses): boolean {
  const items = groupItems(level, node);
  return (
    items !== undefined &&
    includesKey(
      items.map(({ column }) => column),
      classes,
    )
  );
}

/** The placements' rows are the statement's: they are put in order and cut. */
function planRows(node: SelectStmt, level: Level, scattered: Scattered): GatherPlan {
  const inRows = () => rowsGather(node, level, scattered, "distinct is local");
  const cut = statementLimit(node);
  if (cut.kind === "computed") return inDatabase(inRows());
  const { limit } = cut;
  const items = sortItems(node, level, scattered.context.catalog);
  if (items.length === 0)
    return { gather: { kind: "concat", limit }, rewritten: undefined, overflow: undefined };
  if (items.some(({ comparedBy }) => comparedBy === "database")) return inDatabase(inRows());
  const hidden = items.filter(({ output }) => output === undefined);
  const sort = items.map((item) => {
    const { output, descending, nullsFirst, collation } = item;
    const column = output ?? level.outputs.length + hidden.indexOf(item);
    return { column, descending, nullsFirst, collation };
  });
  return {
    gather: { kind: "merge", sort, hiddenColumns: hidden.length, limit },
    rewritten: hidden.length === 0 ? undefined : withHiddenColumns(node, hidden),
    overflow: unlessRefused(inRows),
  };
}

/** Sort expressions that are no output are appended to the select list. */
function withHiddenColumns(node: SelectStmt, hidden: readonly SortItem[]): Node {
  const appended = hidden.map(({ expression }, index) =>
    targetNode(expression, hiddenColumnName(index)),
  );
  return { SelectStmt: { ...node, targetList: [...(node.targetList ?? []), ...appended] } };
}

/** Duplicates of several placements: the rows themselves are the groups. */
function planDistinct(node: SelectStmt, level: Level, scattered: Scattered): GatherPlan {
  const inRows = () => rowsGather(node, level, scattered, "distinct spans");
  const gather = distinctGather(node, level, scattered);
  return gather === undefined
    ? inDatabase(inRows())
    : { gather, rewritten: undefined, overflow: unlessRefused(inRows) };
}

/** Undefined where only a database can tell the rows apart, put them in order or cut them. */
function distinctGather(
  node: SelectStmt,
  level: Level,
  { context: { catalog } }: Scattered,
): Gather | undefined {
  const cut = statementLimit(node);
  if (distinctOn(node).length > 0 || level.outputsAreOpen || cut.kind === "computed")
    return undefined;
  const isForeign = level.outputs.some(
    (output) =>
      mayBeNondeterministic(output.expression, output.column, level, catalog) ||
      comparerOf(output, "byte order", level, catalog) === "database",
  );
  const sort: OutputSortKey[] = [];
  for (const item of sortItems(node, level, catalog)) {
    const { output, descending, nullsFirst, collation, comparedBy } = item;
    if (output === undefined || comparedBy === "database") return undefined;
    sort.push({ output, descending, nullsFirst, collation });
  }
  if (isForeign) return undefined;
  return {
    kind: "aggregate",
    groupBy: level.outputs.map((output, column) => ({
      column,
      collation: outputCollation(output, level, catalog),
    })),
    outputs: level.outputs.map((_output, column) => ({ kind: "group", column })),
    sort,
    hiddenOutputs: 0,
    limit: cut.limit,
    isCutByPlacements: true,
  };
}
