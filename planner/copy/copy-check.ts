/**
 * A COPY of no rows that has the options of a COPY ... TO whose data the proxy writes: PostgreSQL says
 * what is wrong with them, in its own words and order (copy.c, ProcessCopyOptions).
 */
import type { CopyStmt, DefElem, Node } from "@pgsql/types";
import { quoteIdentifier, quoteLiteral } from "../../base/sql-quoting.ts";
import type { ParsedStatement } from "../parse.ts";
import type { RenderedSql, Shift } from "../sql-template.ts";
import { originalOffset } from "../text-origin.ts";
import type { CopyOptionsText } from "./copy-plan.ts";

/** Undefined where there are none. */
export function copyOptionsText(
  statement: ParsedStatement,
  { options = [] }: CopyStmt,
): CopyOptionsText | undefined {
  if (options.length === 0) return undefined;
  const { origin } = statement;
  return {
    original: origin?.text ?? statement.text,
    options: options.flatMap((option) => {
      if (!("DefElem" in option)) return [];
      const offset = statement.offsetOf(option.DefElem.location);
      const at = origin === undefined ? offset : originalOffset(origin, offset);
      return [{ sql: optionText(option.DefElem), originalOffset: at }];
    }),
  };
}

/** `columns`: of the data, since options name them. Its errors' positions are those of the options. */
export function checkStatement(
  { original, options }: CopyOptionsText,
  columns: readonly string[],
): RenderedSql {
  const selected = columns.map((name) => `NULL AS ${quoteIdentifier(name)}`).join(", ");
  let sql = `COPY (SELECT ${selected} WHERE false) TO STDOUT (`;
  const shifts: Shift[] = [{ at: 0, by: undefined }];
  for (const [index, option] of options.entries()) {
    if (index > 0) sql += ", ";
    shifts.push({ at: sql.length, by: option.originalOffset - sql.length });
    sql += option.sql;
  }
  return { sql: `${sql})`, original, shifts, schemas: [] };
}

/** Each name and text in quotes, so that it is read as the grammar has read it. */
function optionText({ defname = "", arg }: DefElem): string {
  return arg === undefined
    ? quoteIdentifier(defname)
    : `${quoteIdentifier(defname)} ${valueText(arg)}`;
}

function valueText(value: Node): string {
  if ("A_Star" in value) return "*";
  if ("List" in value) return `(${(value.List.items ?? []).map(valueText).join(", ")})`;
  if ("Integer" in value) return String(value.Integer.ival ?? 0);
  if ("Float" in value) return value.Float.fval ?? "0";
  if ("Boolean" in value) return String(value.Boolean.boolval ?? false);
  return quoteLiteral("String" in value ? (value.String.sval ?? "") : "");
}
