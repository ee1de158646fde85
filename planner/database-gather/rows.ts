/**
 * The database gather's rule "rows": what the placements answer is the statement's answer but
 * for its order, its LIMIT and its DISTINCT, which the catalog database applies to all rows.
 *
 *     SELECT id, name FROM users ORDER BY lower(name) LIMIT 10 OFFSET 5
 *     SELECT id, name, lower(name) FROM users ORDER BY 3 LIMIT 15                    on each placement
 *     SELECT c1, c2 FROM pg_temp.colonnade_rows ORDER BY c3 LIMIT 10 OFFSET 5        in the catalog database
 *
 * The temporary table's columns have the collations of what they hold, so that they sort as
 * the statement says. Which rows the placements have is the caller's to know.
 */
import type { Node, SelectStmt, SortBy } from "@pgsql/types";
import { TABLE_COLUMNS_MAX } from "../../base/limits.ts";
import { locationOf, nameParts, walkNodes } from "../ast.ts";
import type { Level } from "../analyze/model.ts";
import { sameExpression } from "../analyze/same-expression.ts";
import { distinctOn } from "../analyze/shape.ts";
import type { Scattered } from "../gather-plan.ts";
import { hiddenColumnName } from "../hidden-columns.ts";
import type { DatabaseGather } from "../logical-plan.ts";
import { columnNode, integerNode, selectNode, tableNode, targetNode } from "../make-nodes.ts";
import { refuse } from "../refusal.ts";
import { placementLimit } from "../row-limit.ts";
import { outputOf, sortItems } from "../sort-items.ts";
import type { SqlTemplate } from "../sql-template.ts";
import { templateFor } from "../statement-text.ts";
import { synthesize } from "../synthesize.ts";
import { refuseTellingBlock } from "./telling-block.ts";

const ROWS_TABLE = "colonnade_rows";

/** `spans`: rows that DISTINCT takes for one may lie on several placements. */
export function rowsGather(
  node: SelectStmt,
  level: Level,
  { routing, context }: Scattered,
  spans: "distinct spans" | "distinct is local",
): DatabaseGather {
  refuseTellingBlock(selectNode(node));
  checkOutputs(level);
  checkLimit(node);
  const columns = new PulledColumns(level);
  const sort = sortItems(node, level, context.catalog).map(({ expression, output, clause }) => ({
    clause,
    column: output ?? columns.hidden(expression),
  }));
  const on = distinctOn(node).map((expression) => columns.of(expression));
  const { hiddenTargets, names } = columns;
  checkColumns(names, level);

  const limit = placementLimit(node);
  // Without a LIMIT the placements' order is of use to DISTINCT ON alone, which takes each first row.
  const isSorted = sort.length > 0 && (limit !== undefined || on.length > 0);
  const { sortClause: _, limitCount: __, limitOffset: ___, ...unsorted } = node;
  const rows: SelectStmt = {
    ...unsorted,
    targetList: [...(node.targetList ?? []), ...hiddenTargets],
    ...(on.length === 0 ? {} : { distinctClause: on.map((column) => integerNode(column + 1)) }),
  };
  const placed: SelectStmt = {
    ...rows,
    ...(isSorted
      ? { sortClause: sort.map((key) => sortNode(key, integerNode(key.column + 1))) }
      : {}),
    ...(limit === undefined ? {} : { limitCount: limit }),
  };
  const column = (index: number): Node => columnNode(names[index] ?? "");
  const finish: SelectStmt = {
    ...(spans === "distinct spans" && node.distinctClause !== undefined
      ? { distinctClause: on.length === 0 ? [...node.distinctClause] : on.map(column) }
      : {}),
    targetList: level.outputs.map((_output, index) => targetNode(column(index))),
    fromClause: [tableNode("pg_temp", ROWS_TABLE)],
    ...(sort.length === 0
      ? {}
      : { sortClause: sort.map((key) => sortNode(key, column(key.column))) }),
    ...cutOf(node),
  };
  const template = (select: SelectStmt) => templateFor(synthesize(selectNode(select)), context);
  return {
    kind: "database",
    rule: "rows",
    pulls: [
      {
        table: ROWS_TABLE,
        columns: names,
        shape: template(rows),
        routing,
        template: template(placed),
        gather: { kind: "concat", limit: undefined },
        primaryKey: [],
      },
    ],
    finish: finishOf(finish),
    own: "none",
  };
}

/** The columns of the temporary table: the statement's outputs, and what it sorts by besides. */
class PulledColumns {
  readonly #level: Level;
  readonly #hidden: Node[] = [];

  constructor(level: Level) {
    this.#level = level;
  }

  /** Zero-based. */
  of(expression: Node): number {
    return outputOf(expression, this.#level) ?? this.hidden(expression);
  }

  hidden(expression: Node): number {
    const level = this.#level;
    if (level.columnOf(expression) === undefined) refuseRow(expression, level);
    const known = this.#hidden.findIndex((other) => sameExpression(other, expression, level));
    return level.outputs.length + (known < 0 ? this.#hidden.push(expression) - 1 : known);
  }

  get hiddenTargets(): readonly Node[] {
    return this.#hidden.map((expression, index) => targetNode(expression, hiddenColumnName(index)));
  }

  get names(): readonly string[] {
    const count = this.#level.outputs.length + this.#hidden.length;
    return Array.from({ length: count }, (_, index) => `c${index + 1}`);
  }
}

function sortNode({ clause }: { readonly clause: SortBy }, node: Node): Node {
  return { SortBy: { ...clause, node } };
}

/** A statement over the temporary tables alone. */
export function finishOf(select: SelectStmt): SqlTemplate {
  return { sql: synthesize(selectNode(select)).text, edits: [], arm: undefined };
}

/** LIMIT and OFFSET as they are written. */
export function cutOf({ limitCount, limitOffset, limitOption }: SelectStmt): SelectStmt {
  return {
    ...(limitCount === undefined ? {} : { limitCount }),
    ...(limitOffset === undefined ? {} : { limitOffset }),
    ...(limitOption === undefined ? {} : { limitOption }),
  };
}

/** Of the temporary table that is to be made. */
export function checkColumns({ length }: readonly string[], { location }: Level): void {
  if (length <= TABLE_COLUMNS_MAX) return;
  refuse(
    "gather_columns_exceeded",
    `rows of several placements can be gathered in at most ${TABLE_COLUMNS_MAX} columns`,
    { location, detail: `The statement needs ${length}.` },
  );
}

/** A temporary table has a column for each output, and none of an anonymous row's type. */
function checkOutputs(level: Level): void {
  if (level.outputsAreOpen)
    refuse("select_list_unknown", "the columns of the select list are not known", {
      location: level.location,
    });
  for (const { expression, column } of level.outputs)
    if (expression !== undefined && column === undefined) refuseRow(expression, level);
}

/** `ROW(...)`, and the name of a FROM item where it is no column. */
function refuseRow(expression: Node, { sources }: Level): void {
  const [name, ...more] =
    "ColumnRef" in expression ? nameParts(expression.ColumnRef.fields) : [undefined];
  const isSource = more.length === 0 && sources.some((source) => source.name === name);
  if (!isSource && !("RowExpr" in expression)) return;
  refuse("select_list_unknown", "a column that several placements give may be a whole row", {
    location: locationOf(expression),
  });
}

/** What a sub-select reads may not be where the rest of the statement runs. */
export function checkLimit({ limitCount, limitOffset }: SelectStmt): void {
  walkNodes([limitCount, limitOffset], ({ kind, body }) => {
    if (kind !== "SubLink") return true;
    return refuse(
      "limit_expression_scattered",
      "a sub-select in LIMIT or OFFSET over several placements is not supported",
      { location: locationOf(body) },
    );
  });
}
