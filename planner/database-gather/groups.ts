/**
 * The database gather's rule "groups": one row a group is copied, and what the statement
 * makes of its groups runs over those rows.
 *
 *     SELECT country, round(avg(age)) FROM users GROUP BY country HAVING count(*) > 9 ORDER BY country
 *     SELECT country, sum(age), count(age), count(*) FROM users GROUP BY 1             on each placement
 *     SELECT colonnade_groups.g1 AS country, round(colonnade_groups.a1) AS round
 *       FROM pg_temp.colonnade_groups WHERE colonnade_groups.a2 > 9 ORDER BY 1         in the catalog database
 */
import type { Node, SelectStmt } from "@pgsql/types";
import type { Level } from "../analyze/model.ts";
import { distinctOn, ordinalOf, outputNamed } from "../analyze/shape.ts";
import type { GroupColumns } from "../group-columns.ts";
import type { Scattered } from "../gather-plan.ts";
import type { DatabaseGather, Pull } from "../logical-plan.ts";
import { columnNode, integerNode, selectNode, tableNode, targetNode } from "../make-nodes.ts";
import { refuse } from "../refusal.ts";
import { sortItems } from "../sort-items.ts";
import { templateFor } from "../statement-text.ts";
import { synthesize } from "../synthesize.ts";
import { groupedAgain } from "./groups-again.ts";
import { overGroups, type GroupValues } from "./groups-expressions.ts";
import { checkColumns, checkLimit, cutOf, finishOf } from "./rows.ts";
import { refuseTellingBlock } from "./telling-block.ts";

const GROUPS_TABLE = "colonnade_groups";

/** How the placements' groups become those of all of them. */
export type Grouping =
  /** The proxy combines them as they are copied: the table has groups and aggregates. */
  | "in the proxy"
  /** Partial groups are copied, and grouped again there: text under any collation, any type. */
  | "in the database"
  /** No group spans placements: each of them gives whole ones, of whatever aggregates. */
  | "on the placements";

export function groupsGather(
  node: SelectStmt,
  level: Level,
  columns: GroupColumns,
  grouping: Grouping,
  scattered: Scattered,
): DatabaseGather {
  refuseTellingBlock(selectNode(node));
  checkLimit(node);
  if (columns.groups.length + columns.calls.length === 0) {
    refuse(
      "aggregate_expression_scattered",
      "a grouped query over several placements needs a grouping expression or an aggregate",
      { location: level.location },
    );
  }
  const pulled = pull(node, columns, grouping, scattered);
  checkColumns(pulled.columns, level);
  const isHavingLeft = grouping !== "on the placements" && node.havingClause !== undefined;
  const values: GroupValues = {
    ofGroup: (expression) => groupNode(columns.groupOf(expression)),
    ofAggregate: (call) => {
      const aggregate = columns.aggregateOf(call);
      return aggregate === undefined ? undefined : columnNode(GROUPS_TABLE, `a${aggregate + 1}`);
    },
  };
  const finish: SelectStmt = {
    ...distinctOver(node, level, values),
    targetList: outputsOver(level, columns, values),
    ...(isHavingLeft && node.havingClause !== undefined
      ? { whereClause: overGroups(node.havingClause, values) }
      : {}),
    ...(node.windowClause === undefined
      ? {}
      : { windowClause: node.windowClause.map((window) => overGroups(window, values)) }),
    ...sortOver(node, level, values, scattered),
    ...cutOf(node),
  };
  const from =
    grouping === "in the database"
      ? groupedAgain(columns, GROUPS_TABLE, level, scattered.context)
      : tableNode("pg_temp", GROUPS_TABLE);
  return {
    kind: "database",
    rule: "groups",
    pulls: [pulled],
    finish: finishOf({ ...finish, fromClause: [from] }),
    own: "none",
  };
}

function pull(
  node: SelectStmt,
  columns: GroupColumns,
  grouping: Grouping,
  { routing, context }: Scattered,
): Pull {
  const template = (select: SelectStmt) => templateFor(synthesize(selectNode(select)), context);
  const names = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
  const groups = names("g", columns.groups.length);
  const base = { table: GROUPS_TABLE, routing, primaryKey: [] };
  const concat = { kind: "concat", limit: undefined } as const;
  if (grouping === "on the placements") {
    const { havingClause } = node;
    const whole = template({
      ...columns.select(node, columns.calls),
      ...(havingClause === undefined ? {} : { havingClause }),
    });
    const all = [...groups, ...names("a", columns.calls.length)];
    return { ...base, columns: all, shape: whole, template: whole, gather: concat };
  }
  const aggregates = columns.aggregates();
  const parts = aggregates.flatMap(({ calls }) => calls);
  const partial = template(columns.select(node, parts));
  if (grouping === "in the database") {
    const all = [...groups, ...names("p", parts.length)];
    return { ...base, columns: all, shape: partial, template: partial, gather: concat };
  }
  return {
    ...base,
    columns: [...groups, ...names("a", aggregates.length)],
    shape: template(columns.select(node, columns.calls)),
    template: partial,
    gather: {
      kind: "aggregate",
      groupBy: columns.keys(),
      outputs: [
        ...columns.groups.map((_group, column) => ({ kind: "group" as const, column })),
        ...aggregates.map((aggregate) => columns.combined(aggregate)),
      ],
      sort: [],
      hiddenOutputs: 0,
      limit: undefined,
      isCutByPlacements: false,
    },
  };
}

function groupNode(group: number | undefined): Node | undefined {
  return group === undefined ? undefined : columnNode(GROUPS_TABLE, `g${group + 1}`);
}

function outputsOver(level: Level, columns: GroupColumns, values: GroupValues): Node[] {
  if (level.outputsAreOpen)
    refuse("select_list_unknown", "the columns of the select list are not known", {
      location: level.location,
    });
  return level.outputs.map((output, index) => {
    const group = groupNode(columns.groupOfOutput(output, index));
    const { expression, name } = output;
    if (group !== undefined) return targetNode(group, name);
    if (expression !== undefined) return targetNode(overGroups(expression, values), name);
    return refuse(
      "aggregate_expression_scattered",
      `column "${name ?? "*"}" is no grouping expression of a query over several placements`,
      { location: level.location },
    );
  });
}

/** Outputs are named by ordinals, which no name of the table's can be taken for. */
function sortOver(
  node: SelectStmt,
  level: Level,
  values: GroupValues,
  { context }: Scattered,
): SelectStmt {
  const items = sortItems(node, level, context.catalog);
  if (items.length === 0) return {};
  return {
    sortClause: items.map(({ output, expression, clause }) => ({
      SortBy: {
        ...clause,
        node: output === undefined ? overGroups(expression, values) : integerNode(output + 1),
      },
    })),
  };
}

function distinctOver(node: SelectStmt, level: Level, values: GroupValues): SelectStmt {
  if (node.distinctClause === undefined) return {};
  const on = distinctOn(node).map((expression) => {
    const output = ordinalOf(expression) ?? outputNamed(expression, level);
    return output === undefined ? overGroups(expression, values) : integerNode(output + 1);
  });
  return { distinctClause: on.length === 0 ? [...node.distinctClause] : on };
}
