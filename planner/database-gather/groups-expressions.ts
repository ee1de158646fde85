/**
 * Expressions over groups: what stands in a select list, HAVING or ORDER BY of a grouped
 * statement, with its GROUP BY expressions and aggregates replaced by columns that hold them.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { checkDepth, locationOf, unwrap, walkNodes } from "../ast.ts";
import { refuse } from "../refusal.ts";

/** What stands for a part of an expression. */
export interface GroupValues {
  /** Undefined for what is no GROUP BY expression. */
  readonly ofGroup: (expression: Node) => Node | undefined;
  /** Undefined for a call that is no aggregate of the statement. */
  readonly ofAggregate: (call: FuncCall) => Node | undefined;
}

/**
 * The expression over the columns. Refuses one that holds anything else of the rows that were
 * grouped: a column that a primary key among the GROUP BY expressions determines, a sub-select.
 */
export function overGroups(expression: Node, values: GroupValues): Node {
  return replaced(expression, values, 0) as Node;
}

function replaced(value: unknown, values: GroupValues, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  checkDepth(depth);
  if (Array.isArray(value)) return value.map((item) => replaced(item, values, depth + 1));
  const node = unwrap(value);
  if (node === undefined) return replacedFields(value, values, depth);
  const whole = wholeValue(value as Node, values);
  if (whole !== undefined) {
    if (depth > 0) checkCollation(value as Node);
    return whole;
  }
  checkKind(node.kind, value as Node);
  return { [node.kind]: replacedFields(node.body, values, depth) };
}

function replacedFields(fields: object, values: GroupValues, depth: number): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, replaced(field, values, depth + 1)]),
  );
}

function wholeValue(node: Node, values: GroupValues): Node | undefined {
  const group = values.ofGroup(node);
  if (group !== undefined || !("FuncCall" in node)) return group;
  return values.ofAggregate(node.FuncCall);
}

function checkKind(kind: string, node: Node): void {
  if (kind !== "ColumnRef" && kind !== "SubLink" && kind !== "GroupingFunc") return;
  refuse(
    "aggregate_expression_scattered",
    "an output of a grouped query over several placements must be made of its grouping expressions and aggregates",
    { location: locationOf(node) },
  );
}

/** A COLLATE clause rules the expression around it; the collation of a column only advises. */
function checkCollation(node: Node): void {
  walkNodes(node, ({ kind }) => {
    if (kind !== "CollateClause") return true;
    return refuse(
      "aggregate_expression_scattered",
      "an expression around a COLLATE clause cannot be worked out over groups of several placements",
      { location: locationOf(node) },
    );
  });
}
