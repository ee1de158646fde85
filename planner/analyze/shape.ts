/**
 * What a level does to rows after joining them, and whether that looks at one shard's rows
 * at a time: groups, windows and duplicates do where the whole shard key tells them apart.
 */
import type { FuncCall, Node, SelectStmt, WindowDef } from "@pgsql/types";
import { nameParts, walkNodes } from "../ast.ts";
import { refusal, type RefusalDraft } from "../refusal.ts";
import type { Column, Level } from "./model.ts";

/** For each root, for each key column: the columns that always equal it. */
export type KeyClasses = readonly (readonly ReadonlySet<Column>[])[];

export interface GroupItem {
  readonly expression: Node;
  readonly column: Column | undefined;
  /** The output that an ordinal or an output name means. */
  readonly output: number | undefined;
}

/** Undefined for GROUPING SETS, ROLLUP, CUBE, and for what cannot be told. */
export function groupItems(level: Level, node: SelectStmt): readonly GroupItem[] | undefined {
  const items: GroupItem[] = [];
  for (const expression of node.groupClause ?? []) {
    const item = groupItem(expression, level);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

/** Every column that GROUP BY names, in grouping sets too. */
export function groupedColumns(level: Level): readonly Column[] {
  if (level.statement.kind !== "select") return [];
  const columns: (Column | undefined)[] = [];
  const { groupClause = [] } = level.statement.node;
  for (const expression of groupClause) {
    const output = ordinalOf(expression) ?? outputNamed(expression, level);
    columns.push(output === undefined ? undefined : level.outputs[output]?.column);
  }
  walkNodes(groupClause, ({ kind, body }) => {
    if (kind === "ColumnRef") columns.push(level.columnOf({ ColumnRef: body }));
    return true;
  });
  return columns.filter((column) => column !== undefined);
}

/** GROUP BY takes a bare name for an input column first, then for an output (parse_clause.c, findTargetlistEntrySQL92). */
function groupItem(expression: Node, level: Level): GroupItem | undefined {
  if ("GroupingSet" in expression) return undefined;
  const column = level.columnOf(expression);
  if (column !== undefined) return { expression, column, output: undefined };
  const named = outputNamed(expression, level);
  // A source whose columns are not known may have one of that name, which would come first.
  if (named !== undefined && level.sources.some(({ isOpen }) => isOpen)) return undefined;
  const index = ordinalOf(expression) ?? named;
  if (index === undefined) return { expression, column: undefined, output: undefined };
  if (level.outputsAreOpen) return undefined;
  const output = level.outputs[index];
  if (output === undefined) return undefined;
  return output.expression === undefined
    ? undefined
    : { expression: output.expression, column: output.column, output: index };
}

/** Zero-based; undefined where the expression is no ordinal. */
export function ordinalOf(expression: Node): number | undefined {
  if (!("A_Const" in expression) || expression.A_Const.ival === undefined) return undefined;
  return (expression.A_Const.ival.ival ?? 0) - 1;
}

/** The output that a bare name means; undefined where none or several have it. */
export function outputNamed(expression: Node, level: Level): number | undefined {
  if (!("ColumnRef" in expression) || expression.ColumnRef.fields?.length !== 1) return undefined;
  const [name] = nameParts(expression.ColumnRef.fields);
  const found = [...level.outputs.entries()].filter(
    ([, output]) => name !== undefined && output.name === name,
  );
  return found.length === 1 ? found[0]?.[0] : undefined;
}

/** Whether columns that are equal within a group include the whole shard key. */
export function includesKey(
  columns: readonly (Column | undefined)[],
  classes: KeyClasses,
): boolean {
  return classes.some((key) =>
    key.every((equal) => columns.some((column) => column !== undefined && equal.has(column))),
  );
}

/** Why a level below another cannot be evaluated placement by placement; undefined where it can. */
export function localShape(level: Level, classes: KeyClasses): RefusalDraft | undefined {
  const { location } = level;
  if (level.statement.kind !== "select") {
    return refusal(
      "data_modifying_with_scattered",
      "a data-modifying WITH query over several placements is not supported",
      { location },
    );
  }
  const { node } = level.statement;
  if (hasLimit(node))
    return refusal(
      "subquery_limit_scattered",
      "LIMIT in a sub-select over several placements is not supported",
      { location },
    );
  if (isGrouped(level, node)) {
    const items = groupItems(level, node);
    if (
      items === undefined ||
      !includesKey(
        items.map(({ column }) => column),
        classes,
      )
    ) {
      return refusal(
        "subquery_aggregate_scattered",
        "a sub-select that groups rows of several placements is not supported",
        {
          location: level.aggregates[0]?.location ?? location,
          hint: "Add the shard key to its GROUP BY, or pin the shard key.",
        },
      );
    }
  }
  return windowRefusal(level, classes) ?? distinctRefusal(level, node, classes);
}

function hasLimit(node: SelectStmt): boolean {
  const isNull = (value: Node | undefined) =>
    value === undefined || ("A_Const" in value && value.A_Const.isnull === true);
  return !isNull(node.limitCount) || !isNull(node.limitOffset);
}

export function isGrouped(level: Level, node: SelectStmt): boolean {
  return (
    level.aggregates.length > 0 ||
    (node.groupClause?.length ?? 0) > 0 ||
    node.havingClause !== undefined
  );
}

function distinctRefusal(
  level: Level,
  node: SelectStmt,
  classes: KeyClasses,
): RefusalDraft | undefined {
  if (node.distinctClause === undefined || includesKey(distinctColumns(level, node), classes))
    return undefined;
  return refusal(
    "subquery_distinct_scattered",
    "DISTINCT in a sub-select over several placements is not supported",
    {
      location: level.location,
      hint: "Add the shard key to its select list, or pin the shard key.",
    },
  );
}

/** What DISTINCT tells rows apart by: all outputs, or the expressions of DISTINCT ON. */
export function distinctColumns(level: Level, node: SelectStmt): readonly (Column | undefined)[] {
  const on = distinctOn(node);
  if (on.length === 0) return level.outputs.map(({ column }) => column);
  return on.map((expression) => {
    const index = ordinalOf(expression) ?? outputNamed(expression, level);
    return index === undefined ? level.columnOf(expression) : level.outputs[index]?.column;
  });
}

/** The expressions of DISTINCT ON; the tree has one empty node for plain DISTINCT. */
export function distinctOn(node: SelectStmt): readonly Node[] {
  return (node.distinctClause ?? []).filter((expression) => Object.keys(expression).length > 0);
}

/** A window is local to a shard where its partitions are. */
export function windowRefusal(level: Level, classes: KeyClasses): RefusalDraft | undefined {
  for (const call of level.windows) {
    const columns = partitionOf(call, level).map((expression) => level.columnOf(expression));
    if (includesKey(columns, classes)) continue;
    return refusal(
      "window_scattered",
      `window function ${nameParts(call.funcname).at(-1) ?? ""} over several placements is not supported`,
      {
        location: call.location,
        hint: "Add the shard key to its PARTITION BY, or pin the shard key.",
      },
    );
  }
  return undefined;
}

function partitionOf(call: FuncCall, level: Level): readonly Node[] {
  const node = level.statement.kind === "select" ? level.statement.node : {};
  const definitions = new Map<string, WindowDef>();
  for (const item of node.windowClause ?? []) {
    if ("WindowDef" in item && item.WindowDef.name !== undefined)
      definitions.set(item.WindowDef.name, item.WindowDef);
  }
  const followed = new Set<WindowDef>();
  for (let at = call.over; at !== undefined && !followed.has(at);) {
    followed.add(at);
    if ((at.partitionClause?.length ?? 0) > 0) return at.partitionClause ?? [];
    // `OVER w` has the window's name, `OVER (w ORDER BY ...)` and `WINDOW v AS (w)` refer to it.
    const next = at === call.over ? (at.refname ?? at.name) : at.refname;
    at = next === undefined ? undefined : definitions.get(next);
  }
  return [];
}
