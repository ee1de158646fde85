/**
 * Aggregates over several placements: each gives partial values for its own groups, and
 * they are put together again. The statement for the placements is written anew:
 *
 *     SELECT country, avg(age) FROM users GROUP BY country ORDER BY 2 LIMIT 5
 *     SELECT country, sum(age), count(age) FROM users GROUP BY 1      on each placement
 *     country grouped again, sum/count, sorted, cut                   in the gather
 *
 * What is more than groups and aggregates, in an order that the proxy knows, is left to a
 * database over one row a group: database-gather/groups.ts.
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { locationOf } from "./ast.ts";
import type { Level } from "./analyze/model.ts";
import { groupItems } from "./analyze/shape.ts";
import { groupsGather, type Grouping } from "./database-gather/groups.ts";
import type { GatherPlan, Scattered } from "./gather-plan.ts";
import { GroupColumns, type AggregateColumns } from "./group-columns.ts";
import type { AggregateOutput, DatabaseGather, RowLimit } from "./logical-plan.ts";
import { selectNode } from "./make-nodes.ts";
import { refuse, unlessRefused } from "./refusal.ts";
import { statementLimit } from "./row-limit.ts";
import { sortItems, type Comparer, type SortItem } from "./sort-items.ts";

export function planAggregates(node: SelectStmt, level: Level, scattered: Scattered): GatherPlan {
  const columns = groupColumns(node, level, scattered);
  const aggregates = columns.aggregates();
  const comparers = columns.comparers();
  const gatherBy = (grouping: Grouping): DatabaseGather =>
    groupsGather(node, level, columns, grouping, scattered);
  const plain = comparers.includes("database")
    ? undefined
    : plainStatement(node, level, columns, aggregates, scattered);
  if (plain === undefined) {
    return {
      gather: groupsByComparers(comparers, gatherBy),
      rewritten: undefined,
      overflow: undefined,
    };
  }
  const { outputs, sort, limit, isSortKnown } = plain;
  const parts = aggregates.flatMap(({ calls }) => calls);
  const hiddenOutputs = outputs.length - level.outputs.length;
  return {
    gather: {
      kind: "aggregate",
      groupBy: columns.keys(),
      outputs,
      sort,
      hiddenOutputs,
      limit,
      isCutByPlacements: false,
    },
    rewritten: selectNode(columns.select(node, parts)),
    overflow:
      unlessRefused(() => gatherBy("in the database")) ??
      (isSortKnown ? undefined : unlessRefused(() => gatherBy("in the proxy"))),
  };
}

/** The statement's groups and aggregates. Refuses grouping sets, where a row is of several groups. */
export function groupColumns(node: SelectStmt, level: Level, { context }: Scattered): GroupColumns {
  const groups = groupItems(level, node);
  if (groups !== undefined) return new GroupColumns(groups, level, context);
  return refuse(
    "grouping_sets_scattered",
    "this GROUP BY over several placements is not supported",
    { location: locationOf(node.groupClause) },
  );
}

/** PostgreSQL puts together what it can: it compares any values, and groups as many as there are. */
function groupsByComparers(
  comparers: readonly Comparer[],
  gatherBy: (grouping: Grouping) => DatabaseGather,
): DatabaseGather {
  if (comparers.includes("database")) return gatherBy("in the database");
  return unlessRefused(() => gatherBy("in the database")) ?? gatherBy("in the proxy");
}

interface PlainStatement {
  /** One for each of the statement's, then those that are only sorted by. */
  readonly outputs: readonly AggregateOutput[];
  readonly sort: Extract<GatherPlan["gather"], { kind: "aggregate" }>["sort"];
  readonly limit: RowLimit | undefined;
  readonly isSortKnown: boolean;
}

/** Groups and aggregates, each by itself, in an order that the proxy may know; undefined where there is more. */
function plainStatement(
  node: SelectStmt,
  level: Level,
  columns: GroupColumns,
  aggregates: readonly AggregateColumns[],
  { context }: Scattered,
): PlainStatement | undefined {
  const isMore =
    node.havingClause !== undefined ||
    node.distinctClause !== undefined ||
    level.windows.length > 0 ||
    level.outputsAreOpen;
  const limit = statementLimit(node);
  if (isMore || limit.kind === "computed") return undefined;
  const items = sortItems(node, level, context.catalog);
  if (items.some(({ comparedBy }) => comparedBy === "database")) return undefined;

  const outputOf = (expression: Node | undefined, group: number | undefined) =>
    plainOutput(expression, group, columns, aggregates);
  const visible = level.outputs.map((output, index) =>
    outputOf(output.expression, columns.groupOfOutput(output, index)),
  );
  const hiddenItems = items.filter(({ output }) => output === undefined);
  const hidden = hiddenItems.map(({ expression }) =>
    outputOf(expression, columns.groupOf(expression)),
  );
  const outputs = [...visible, ...hidden].filter((output) => output !== undefined);
  if (outputs.length < visible.length + hidden.length) return undefined;
  const placeOf = (item: SortItem) => item.output ?? visible.length + hiddenItems.indexOf(item);
  return {
    outputs,
    sort: items.map((item) => {
      const { descending, nullsFirst, collation } = item;
      return { output: placeOf(item), descending, nullsFirst, collation };
    }),
    limit: limit.limit,
    isSortKnown: items.every(({ comparedBy }) => comparedBy === "proxy"),
  };
}

function plainOutput(
  expression: Node | undefined,
  group: number | undefined,
  columns: GroupColumns,
  aggregates: readonly AggregateColumns[],
): AggregateOutput | undefined {
  if (group !== undefined) return { kind: "group", column: group };
  if (expression === undefined || !("FuncCall" in expression)) return undefined;
  const aggregate = aggregates[columns.aggregateOf(expression.FuncCall) ?? -1];
  return aggregate === undefined ? undefined : columns.combined(aggregate);
}
