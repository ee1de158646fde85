/** LIMIT and OFFSET of a statement over several placements. */
import type { Node, SelectStmt } from "@pgsql/types";
import type { LimitTerm, RowLimit } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import { locationOf } from "./ast.ts";
import { refuse } from "./refusal.ts";
import type { TemplateEdit } from "./sql-template.ts";

/** Undefined where the statement has neither. Refuses what is not known before the statement runs. */
export function rowLimit(node: SelectStmt): RowLimit | undefined {
  if (node.limitOption === "LIMIT_OPTION_WITH_TIES") {
    refuse(
      "with_ties_scattered",
      "FETCH FIRST ... WITH TIES over several placements is not supported",
      { location: locationOf(node.limitCount) },
    );
  }
  const count = limitTerm(node.limitCount, "LIMIT");
  const offset = limitTerm(node.limitOffset, "OFFSET");
  return count === undefined && offset === undefined ? undefined : { count, offset };
}

function limitTerm(value: Node | undefined, clause: string): LimitTerm | undefined {
  if (value === undefined) return undefined;
  if ("ParamRef" in value) return { kind: "parameter", number: value.ParamRef.number ?? 0 };
  if ("A_Const" in value) {
    const constant = value.A_Const;
    if (constant.isnull === true) return undefined;
    const text =
      constant.ival === undefined ? (constant.fval?.fval ?? "") : String(constant.ival.ival ?? 0);
    if (/^[0-9]{1,18}$/.test(text)) return { kind: "constant", value: BigInt(text) };
    if (/^-[0-9]{1,18}$/.test(text)) {
      refuse(
        clause === "LIMIT" ? "limit_negative" : "offset_negative",
        `${clause} must not be negative`,
      );
    }
  }
  return refuse(
    "limit_expression_scattered",
    `${clause} over several placements must be an integer constant or a parameter`,
    { location: locationOf(value) },
  );
}

/**
 * Each placement gives the first count + offset rows, and the offset is applied once, by
 * the gather. Without an OFFSET the text is right as it is.
 */
export function limitEdits(
  node: SelectStmt,
  limit: RowLimit | undefined,
  statement: ParsedStatement,
): readonly TemplateEdit[] {
  if (limit?.offset === undefined) return [];
  const edits: TemplateEdit[] = [
    { ...valueExtent(node.limitOffset, statement), with: { kind: "text", text: "0" } },
  ];
  if (limit.count !== undefined)
    edits.push({ ...valueExtent(node.limitCount, statement), with: { kind: "limit" } });
  return edits;
}

/** A constant or parameter is one token; FETCH FIRST ROW ONLY has a count that is not written at all. */
function valueExtent(
  value: Node | undefined,
  statement: ParsedStatement,
): { readonly start: number; readonly end: number } {
  const start = statement.offsetOf(locationOf(value) ?? -1);
  const token = statement.tokens[statement.tokenIndexAt(start)];
  if (
    token === undefined ||
    token.start !== start ||
    (token.kind !== "number" && token.kind !== "parameter")
  ) {
    return refuse(
      "limit_expression_scattered",
      "LIMIT and OFFSET over several placements must be written as an integer constant or a parameter",
    );
  }
  return token;
}
