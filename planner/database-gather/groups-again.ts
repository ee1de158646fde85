/**
 * Partial groups put together by PostgreSQL: the temporary table's rows grouped again, with
 * the aggregates' own types. Which kind of number is added up must be known for it, since
 * sums of sums have another type than sums: bigint adds up to numeric.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { numberKindOf } from "../analyze/number-kind.ts";
import { nameParts } from "../ast.ts";
import type { Level } from "../analyze/model.ts";
import type { AggregateColumns, GroupColumns } from "../group-columns.ts";
import {
  callNode,
  castNode,
  columnNode,
  integerNode,
  operatorNode,
  selectNode,
  tableNode,
  targetNode,
} from "../make-nodes.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";

/**
 * A sub-select of the table's name with columns g1.. and a1.., over its columns g1.. and p1..
 * Refuses an aggregate that PostgreSQL has no function to put together with.
 */
export function groupedAgain(
  columns: GroupColumns,
  table: string,
  level: Level,
  context: PlanContext,
): Node {
  const groups = columns.groups.map((_group, index) =>
    targetNode(columnNode(table, `g${index + 1}`), `g${index + 1}`),
  );
  const firstPart = columns.groups.length;
  const aggregates = columns.aggregates().map((aggregate, index) => {
    const parts = aggregate.columns.map((column) =>
      columnNode(table, `p${column - firstPart + 1}`),
    );
    return targetNode(combinedAgain(aggregate, parts, level, context), `a${index + 1}`);
  });
  const subquery = selectNode({
    targetList: [...groups, ...aggregates],
    fromClause: [tableNode("pg_temp", table)],
    ...(groups.length === 0
      ? {}
      : { groupClause: groups.map((_group, index) => integerNode(index + 1)) }),
  });
  return { RangeSubselect: { subquery, alias: { aliasname: table } } };
}

function combinedAgain(
  aggregate: AggregateColumns,
  parts: readonly Node[],
  level: Level,
  context: PlanContext,
): Node {
  const { call, combine } = aggregate;
  const [first = columnNode(), second = columnNode()] = parts;
  const sum = callNode("sum", [first]);
  switch (combine) {
    case "count":
      return castNode(sum, "int8");
    case "sum": {
      const kind = numberKindOf(call.args?.[0], level, context);
      if (kind === undefined) return notCombined(call);
      return kind === "integer" ? castNode(sum, "int8") : sum;
    }
    case "average": {
      const kind = numberKindOf(call.args?.[0], level, context);
      if (kind === undefined) return notCombined(call);
      const isExact = kind !== "float" && kind !== "interval";
      // The average of no value is NULL, not a division by zero.
      const count = nullIfZero(callNode("sum", [second]));
      return operatorNode(
        "/",
        isExact ? castNode(sum, "numeric") : sum,
        castNode(count, isExact ? "numeric" : "float8"),
      );
    }
    case "varSamp":
    case "varPop":
    case "stddevSamp":
    case "stddevPop":
      return notCombined(call);
    default:
      // Of what has a least, a greatest or any value, a part is such a value again.
      return callNode(nameParts(aggregate.calls[0]?.funcname).at(-1) ?? "", [first]);
  }
}

function nullIfZero(value: Node): Node {
  const name = [{ String: { sval: "=" } }];
  return { A_Expr: { kind: "AEXPR_NULLIF", name, lexpr: value, rexpr: integerNode(0) } };
}

function notCombined(call: FuncCall): never {
  return refuse(
    "aggregate_not_combinable",
    `aggregate ${nameParts(call.funcname).at(-1) ?? ""} over several placements is not supported`,
    { location: call.location },
  );
}
