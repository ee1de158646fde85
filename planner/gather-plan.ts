/**
 * How the answers of several placements to one SELECT become one answer, and what the
 * placements are asked for it. Refuses (PlanRefused) what cannot be exact.
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { planAggregates } from "./aggregate-plan.ts";
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
import type { DatabaseGather, Gather, Routing, RowLimit } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { PlanRefused, refuse } from "./refusal.ts";
import { rowLimit } from "./row-limit.ts";
import { mayBeNondeterministic, outputCollation } from "./sort-collation.ts";
import { sortItems, type SortItem } from "./sort-items.ts";

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
  { context }: Scattered,
): GatherPlan {
  const window = windowRefusal(level, classes);
  if (window !== undefined) throw new PlanRefused(window);
  if (isGrouped(level, node) && !isGroupedByKey(node, level, classes)) {
    if (level.windows.length > 0)
      refuse(
        "window_scattered",
        "window functions over groups of several placements are not supported",
        { location: level.windows[0]?.location },
      );
    const { gather, partial } = planAggregates(node, level, context);
    return { gather, rewritten: partial, overflow: undefined };
  }
  if (node.distinctClause !== undefined && !includesKey(distinctColumns(level, node), classes)) {
    return planDistinct(node, level, context);
  }
  return planRows(node, level, context);
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

function planRows(node: SelectStmt, level: Level, context: PlanContext): GatherPlan {
  const limit = rowLimit(node);
  const items = sortItems(node, level, context.catalog);
  if (items.length === 0)
    return { gather: { kind: "concat", limit }, rewritten: undefined, overflow: undefined };
  const hidden = items.filter(({ output }) => output === undefined);
  const sort = items.map(({ output, descending, nullsFirst, collation }, index) => {
    const before = items.slice(0, index).filter((item) => item.output === undefined).length;
    return { column: output ?? level.outputs.length + before, descending, nullsFirst, collation };
  });
  const gather: Gather = { kind: "merge", sort, hiddenColumns: hidden.length, limit };
  const rewritten = hidden.length === 0 ? undefined : withHiddenColumns(node, hidden);
  return { gather, rewritten, overflow: undefined };
}

/** Sort expressions that are no output are appended to the select list, under names that no ORDER BY means. */
function withHiddenColumns(node: SelectStmt, hidden: readonly SortItem[]): Node {
  const appended = hidden.map(({ expression }, index): Node => ({
    ResTarget: { name: `colonnade_sort_${index + 1}`, val: expression },
  }));
  return { SelectStmt: { ...node, targetList: [...(node.targetList ?? []), ...appended] } };
}

/** Duplicates of several placements: the rows themselves are the groups. */
function planDistinct(node: SelectStmt, level: Level, context: PlanContext): GatherPlan {
  const { catalog } = context;
  if (distinctOn(node).length > 0) {
    refuse("distinct_on_scattered", "DISTINCT ON over several placements is not supported", {
      location: level.location,
    });
  }
  if (level.outputsAreOpen)
    refuse("select_list_unknown", "the columns of the select list are not known", {
      location: level.location,
    });
  const groupBy = level.outputs.map((output, column) => {
    if (mayBeNondeterministic(output.expression, output.column, level, catalog)) {
      refuse(
        "collation_nondeterministic_scattered",
        "DISTINCT over several placements needs a deterministic collation",
        { location: level.location },
      );
    }
    return { column, collation: outputCollation(output, level, catalog) };
  });
  const sort = sortItems(node, level, catalog).map(
    ({ output, descending, nullsFirst, collation }) => {
      // PostgreSQL refuses it too: for SELECT DISTINCT, ORDER BY expressions must appear in the select list.
      if (output === undefined)
        return refuse(
          "select_list_unknown",
          "an ORDER BY expression of SELECT DISTINCT is not in the select list",
          { location: level.location },
        );
      return { output, descending, nullsFirst, collation };
    },
  );
  const outputs = groupBy.map(({ column }) => ({ kind: "group" as const, column }));
  const limit: RowLimit | undefined = rowLimit(node);
  return {
    gather: { kind: "aggregate", groupBy, outputs, sort, hiddenOutputs: 0, limit },
    rewritten: undefined,
    overflow: undefined,
  };
}
