/**
 * Aggregates over several placements: each gives partial values for its own groups, and
 * the gather puts them together. The statement for the placements is written anew:
 *
 *     SELECT country, avg(age) FROM users GROUP BY country ORDER BY 2 LIMIT 5
 *     SELECT country, sum(age), count(age) FROM users GROUP BY 1      on each placement
 *     country grouped again, sum/count, sorted, cut                   in the gather
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { aggregatePartials } from "./aggregate-partials.ts";
import { locationOf, sameTree } from "./ast.ts";
import type { Level, Output } from "./analyze/model.ts";
import { groupItems, type GroupItem } from "./analyze/shape.ts";
import type { AggregateOutput, Gather, GroupKey, OutputSortKey } from "./logical-plan.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import { rowLimit } from "./row-limit.ts";
import { expressionCollation, mayBeNondeterministic } from "./sort-collation.ts";
import { sortItems } from "./sort-items.ts";

export interface AggregatePlan {
  readonly gather: Gather;
  /** The statement for the placements. */
  readonly partial: Node;
}

export function planAggregates(
  node: SelectStmt,
  level: Level,
  context: PlanContext,
): AggregatePlan {
  const groups = groupItems(level, node);
  if (groups === undefined) {
    return refuse(
      "grouping_sets_scattered",
      "this GROUP BY over several placements is not supported",
      { location: locationOf(node.groupClause) },
    );
  }
  if (node.havingClause !== undefined) {
    refuse("having_scattered", "HAVING over several placements is not supported", {
      location: locationOf(node.havingClause),
    });
  }
  if (node.distinctClause !== undefined || level.outputsAreOpen) {
    refuse(
      "aggregate_expression_scattered",
      "DISTINCT over aggregates of several placements is not supported",
      { location: level.location },
    );
  }
  return new AggregateBuilder(node, level, groups, context).build();
}

class AggregateBuilder {
  readonly #node: SelectStmt;
  readonly #level: Level;
  readonly #groups: readonly GroupItem[];
  readonly #context: PlanContext;
  readonly #targets: Node[] = [];
  readonly #outputs: AggregateOutput[] = [];

  constructor(node: SelectStmt, level: Level, groups: readonly GroupItem[], context: PlanContext) {
    this.#node = node;
    this.#level = level;
    this.#groups = groups;
    this.#context = context;
  }

  build(): AggregatePlan {
    const groupBy = this.#groups.map((group, column): GroupKey => this.#groupKey(group, column));
    for (const { expression } of this.#groups) this.#targets.push(target(expression));
    for (const [index, output] of this.#level.outputs.entries())
      this.#outputs.push(this.#output(output, index));
    const visible = this.#outputs.length;
    const sort = sortItems(this.#node, this.#level, this.#context.catalog).map(
      (item): OutputSortKey => {
        const { descending, nullsFirst, collation } = item;
        return {
          output: item.output ?? this.#hiddenOutput(item.expression),
          descending,
          nullsFirst,
          collation,
        };
      },
    );
    const gather: Gather = {
      kind: "aggregate",
      groupBy,
      outputs: this.#outputs,
      sort,
      hiddenOutputs: this.#outputs.length - visible,
      limit: rowLimit(this.#node),
    };
    return { gather, partial: this.#partial() };
  }

  #groupKey({ expression, column }: GroupItem, index: number): GroupKey {
    const { catalog } = this.#context;
    if (mayBeNondeterministic(expression, column, this.#level, catalog)) {
      refuse(
        "collation_nondeterministic_scattered",
        "GROUP BY over several placements needs a deterministic collation",
        { location: locationOf(expression) },
      );
    }
    return { column: index, collation: expressionCollation(expression, this.#level, catalog) };
  }

  #output(output: Output, index: number): AggregateOutput {
    const group = this.#groups.findIndex(
      ({ expression, column, output: named }) =>
        named === index ||
        (output.column !== undefined && output.column === column) ||
        (output.expression !== undefined && sameTree(output.expression, expression)),
    );
    if (group >= 0) return { kind: "group", column: group };
    return this.#aggregate(output.expression);
  }

  #hiddenOutput(expression: Node): number {
    const column = this.#level.columnOf(expression);
    const group = this.#groups.findIndex((item) =>
      column === undefined ? sameTree(item.expression, expression) : item.column === column,
    );
    return (
      this.#outputs.push(
        group >= 0 ? { kind: "group", column: group } : this.#aggregate(expression),
      ) - 1
    );
  }

  #aggregate(expression: Node | undefined): AggregateOutput {
    if (expression === undefined || !("FuncCall" in expression)) {
      return refuse(
        "aggregate_expression_scattered",
        "an output of a grouped query over several placements must be a grouping expression or one aggregate",
        {
          location: expression === undefined ? this.#level.location : locationOf(expression),
        },
      );
    }
    const call = expression.FuncCall;
    const { combine, calls } = aggregatePartials(call, this.#level, this.#context);
    const [argument] = call.args ?? [];
    const collation =
      argument === undefined
        ? "unknown"
        : expressionCollation(argument, this.#level, this.#context.catalog);
    const columns = calls.map((partial) => this.#targets.push(target({ FuncCall: partial })) - 1);
    return { kind: "combine", combine, columns, collation };
  }

  /** Grouped by ordinals, so that a parameter in a grouping expression stands once. */
  #partial(): Node {
    const {
      sortClause: _,
      limitCount: __,
      limitOffset: ___,
      groupClause: ____,
      ...rest
    } = this.#node;
    const ordinals = this.#groups.map((_group, index): Node => ({
      A_Const: { ival: { ival: index + 1 } },
    }));
    return {
      SelectStmt: {
        ...rest,
        targetList: this.#targets,
        ...(ordinals.length === 0 ? {} : { groupClause: ordinals }),
        limitOption: "LIMIT_OPTION_DEFAULT",
      },
    };
  }
}

function target(expression: Node): Node {
  return { ResTarget: { val: expression } };
}
