/** Answers as psql prints them, for documents that show a session. */
import type pg from "pg";

/** OIDs of pg_type whose values psql aligns to the right. */
const RIGHT_ALIGNED = new Set([20, 21, 23, 26, 700, 701, 790, 1700]);

/** `rows` as arrays of text. */
export function formatResult(result: pg.QueryArrayResult<(string | null)[]>): string {
  const { fields, rows } = result;
  const cells = rows.map((row) => row.map((value) => value ?? ""));
  const widths = fields.map(({ name }, column) =>
    Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const header = fields.map(({ name }, column) => centred(name, widths[column] ?? 0));
  const body = cells.map((row) =>
    row.map((value, column) => {
      const width = widths[column] ?? 0;
      const isRight = RIGHT_ALIGNED.has(fields[column]?.dataTypeID ?? 0);
      return isRight ? value.padStart(width) : value.padEnd(width);
    }),
  );
  const lines = [header, ...body].map((row) => ` ${row.join(" | ")}`.trimEnd());
  lines.splice(1, 0, widths.map((width) => "-".repeat(width + 2)).join("+"));
  return [...lines, `(${rows.length} ${rows.length === 1 ? "row" : "rows"})`].join("\n");
}

function centred(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return text.padStart(text.length + left).padEnd(width);
}

/** psql shows so many characters of a line around an error's position, and cuts what is longer. */
const SHOWN_WHOLE_MAX = 60;

/** `sql`: one line that psql shows whole, where the error has a position in it. */
export function formatError(
  error: Pick<pg.DatabaseError, "message" | "position" | "detail" | "hint" | "where">,
  sql: string,
): string {
  const lines = [`ERROR:  ${error.message}`];
  if (error.position !== undefined) {
    if (sql.includes("\n") || sql.length >= SHOWN_WHOLE_MAX)
      throw new RangeError("psql would show a part of this statement");
    const label = "LINE 1: ";
    lines.push(label + sql, `${" ".repeat(label.length + Number(error.position) - 1)}^`);
  }
  if (error.detail !== undefined) lines.push(`DETAIL:  ${error.detail}`);
  if (error.hint !== undefined) lines.push(`HINT:  ${error.hint}`);
  if (error.where !== undefined) lines.push(`CONTEXT:  ${error.where}`);
  return lines.join("\n");
}
