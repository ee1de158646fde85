/**
 * Renders an INSERT for one placement or database: the client's statement with its own rows,
 * or some of them, and the values that were drawn for it.
 */
import { invariant } from "../../base/invariant.ts";
import { clockText, type Moment } from "../clock-value.ts";
import type { InsertPlan, InsertRow } from "./insert-plan.ts";
import {
  inOriginal,
  movedShifts,
  renderTemplate,
  type RenderContext,
  type RenderedSql,
  type Shift,
} from "../sql-template.ts";

/** `draws[row][generated]`, over all rows of the statement; the values as PostgreSQL prints them. */
export function renderInsert(
  plan: InsertPlan,
  rowIndexes: readonly number[],
  draws: readonly (readonly string[])[],
  context: RenderContext,
): RenderedSql {
  const { statement, rowsStart, rowsEnd } = plan.template;
  const head = renderTemplate(
    {
      sql: statement.sql.slice(0, rowsStart),
      edits: statement.edits.filter(({ end }) => end <= rowsStart),
      arm: undefined,
    },
    context,
  );
  const tailEdits = statement.edits.filter(({ start }) => start >= rowsEnd && start > rowsStart);
  const tail = renderTemplate(
    {
      sql: statement.sql.slice(rowsEnd),
      edits: tailEdits.map((edit) => ({
        ...edit,
        start: edit.start - rowsEnd,
        end: edit.end - rowsEnd,
      })),
      arm: undefined,
    },
    context,
  );

  const shifts = [...head.shifts];
  let sql = head.sql;
  for (const [index, rowIndex] of rowIndexes.entries()) {
    const row = plan.rows[rowIndex];
    invariant(row !== undefined, "a fragment's rows are rows of its statement");
    if (index > 0) sql += ", ";
    const drawn = (generated: number): string =>
      drawnValue(plan, draws[rowIndex]?.[generated] ?? "", generated, context);
    sql = appendRow(sql, row, { drawn, moment: context.moment }, shifts);
  }
  shifts.push({ at: sql.length, by: rowsEnd - sql.length });
  shifts.push(...movedShifts(tail.shifts, sql.length, rowsEnd));
  return { sql: sql + tail.sql, ...inOriginal(statement, shifts), schemas: head.schemas };
}

interface RowValues {
  readonly drawn: (generated: number) => string;
  readonly moment: Moment | undefined;
}

function appendRow(
  sql: string,
  row: InsertRow,
  { drawn, moment }: RowValues,
  shifts: Shift[],
): string {
  let appended = sql;
  for (const piece of row.pieces) {
    if (piece.kind === "generated") {
      appended += drawn(piece.index);
      continue;
    }
    if (piece.kind === "clock" && moment !== undefined) {
      shifts.push({ at: appended.length, by: undefined });
      appended += clockText(piece.value, moment);
      continue;
    }
    shifts.push({ at: appended.length, by: piece.start - appended.length });
    appended += piece.text;
  }
  return appended;
}

/** As a literal: a number, or a quoted uuid. Both are checked, for they come from elsewhere. A default is the catalog's text. */
function drawnValue(
  plan: InsertPlan,
  value: string,
  generated: number,
  context: RenderContext,
): string {
  const source = plan.generated[generated]?.source;
  if (source?.kind === "clockDefault") return `(${renderTemplate(source.template, context).sql})`;
  if (source?.kind === "randomUuid") {
    invariant(/^[0-9a-f-]{36}$/.test(value), "a drawn uuid has PostgreSQL's form");
    return `'${value}'`;
  }
  invariant(/^-?[0-9]+$/.test(value), "a sequence gives an integer");
  return value;
}
