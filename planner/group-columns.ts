/**
 * The columns that the placements are asked for where a statement groups their rows: each
 * GROUP BY expression, then what each of its aggregates is put together from. It finds the
 * columns that stand for an expression of the statement; who puts them together, it leaves open.
 */
import type { FuncCall, Node, SelectStmt } from "@pgsql/types";
import { aggregatePartials } from "./aggregate-partials.ts";
import type { Column, Level, Output } from "./analyze/model.ts";
import { sameExpression } from "./analyze/same-expression.ts";
import type { GroupItem } from "./analyze/shape.ts";
import type { AggregateOutput, Combine, GroupKey, SortCollation } from "./logical-plan.ts";
import { integerNode, targetNode } from "./make-nodes.ts";
import type { PlanContext } from "./plan-context.ts";
import { expressionCollation, mayBeNondeterministic } from "./sort-collation.ts";
import { comparerOf, type Comparer } from "./sort-items.ts";

/** One aggregate of the statement, however often it stands there. */
export interface AggregateColumns {
  readonly call: FuncCall;
  readonly combine: Combine;
  readonly calls: readonly FuncCall[];
  /** Of the placements' rows: the values of `calls`. */
  readonly columns: readonly number[];
}

export class GroupColumns {
  readonly groups: readonly GroupItem[];
  /** The level's aggregates, each once. */
  readonly calls: readonly FuncCall[];
  readonly #level: Level;
  readonly #context: PlanContext;

  constructor(groups: readonly GroupItem[], level: Level, context: PlanContext) {
    this.groups = groups;
    this.#level = level;
    this.#context = context;
    const calls: FuncCall[] = [];
    for (const { call } of level.aggregates)
      if (!calls.some((other) => isSameCall(other, call, level))) calls.push(call);
    this.calls = calls;
  }

  /** Which GROUP BY expression an output is, by place, by column or by meaning. */
  groupOfOutput(output: Output, index: number): number | undefined {
    const named = this.groups.findIndex((group) => group.output === index);
    if (named >= 0) return named;
    if (output.column !== undefined) return this.#groupOfColumn(output.column);
    return output.expression === undefined ? undefined : this.groupOf(output.expression);
  }

  /** Constants are none: what they are to their surroundings, a column of theirs is not. */
  groupOf(expression: Node): number | undefined {
    if ("A_Const" in expression || "ParamRef" in expression) return undefined;
    const column = this.#level.columnOf(expression);
    if (column !== undefined) return this.#groupOfColumn(column);
    const found = this.groups.findIndex((group) =>
      sameExpression(group.expression, expression, this.#level),
    );
    return found < 0 ? undefined : found;
  }

  #groupOfColumn(column: Column): number | undefined {
    const found = this.groups.findIndex((group) => group.column === column);
    return found < 0 ? undefined : found;
  }

  /** Which of `calls` it is; undefined for one that is no aggregate of the level. */
  aggregateOf(call: FuncCall): number | undefined {
    const found = this.calls.findIndex((other) => isSameCall(other, call, this.#level));
    return found < 0 ? undefined : found;
  }

  /** What each of `calls` is put together from. Refuses one that has no parts. */
  aggregates(): readonly AggregateColumns[] {
    let next = this.groups.length;
    return this.calls.map((call) => {
      const { combine, calls } = aggregatePartials(call, this.#level, this.#context);
      return { call, combine, calls, columns: calls.map(() => next++) };
    });
  }

  keys(): readonly GroupKey[] {
    return this.groups.map(({ expression }, column) => ({
      column,
      collation: expressionCollation(expression, this.#level, this.#context.catalog),
    }));
  }

  combined({ call, combine, columns }: AggregateColumns): AggregateOutput {
    return { kind: "combine", combine, columns, collation: this.#collationOfArgument(call) };
  }

  #collationOfArgument({ args }: FuncCall): SortCollation {
    const [argument] = args ?? [];
    return argument === undefined
      ? "unknown"
      : expressionCollation(argument, this.#level, this.#context.catalog);
  }

  /** Who can find the groups and put the aggregates together. */
  comparers(): readonly Comparer[] {
    return [
      ...this.groups.map((group) => this.#comparerOfGroup(group)),
      ...this.aggregates().map((aggregate) => this.#comparerOfAggregate(aggregate)),
    ];
  }

  /** Who can tell whether two groups are one. Text is, by its bytes, under every deterministic collation. */
  #comparerOfGroup({ expression, column }: GroupItem): Comparer {
    const { catalog } = this.#context;
    if (mayBeNondeterministic(expression, column, this.#level, catalog)) return "database";
    return comparerOf({ expression, column }, "byte order", this.#level, catalog);
  }

  /** Who can put the aggregate together: the least and the greatest are found by comparing. */
  #comparerOfAggregate({ call, combine }: AggregateColumns): Comparer {
    const [expression] = call.args ?? [];
    if ((combine !== "min" && combine !== "max") || expression === undefined) return "proxy";
    const column = this.#level.columnOf(expression);
    const collation = this.#collationOfArgument(call);
    return comparerOf({ expression, column }, collation, this.#level, this.#context.catalog);
  }

  /**
   * The statement that gives the groups with these calls as its columns. It groups by
   * ordinals, so that a parameter in a grouping expression stands once.
   */
  select(node: SelectStmt, calls: readonly FuncCall[]): SelectStmt {
    const { fromClause, whereClause, withClause, groupDistinct } = node;
    const values = [
      ...this.groups.map(({ expression }) => expression),
      ...calls.map((call): Node => ({ FuncCall: call })),
    ];
    return {
      ...(withClause === undefined ? {} : { withClause }),
      targetList: values.map((value) => targetNode(value)),
      ...(fromClause === undefined ? {} : { fromClause }),
      ...(whereClause === undefined ? {} : { whereClause }),
      ...(groupDistinct === undefined ? {} : { groupDistinct }),
      ...(this.groups.length === 0
        ? {}
        : { groupClause: this.groups.map((_group, index) => integerNode(index + 1)) }),
    };
  }
}

function isSameCall(left: FuncCall, right: FuncCall, level: Level): boolean {
  return sameExpression({ FuncCall: left }, { FuncCall: right }, level);
}
