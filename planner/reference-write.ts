/**
 * Every database makes the same write to a reference table by itself, so the write must
 * give the same rows everywhere: nothing in it may depend on a clock, on chance, or on the
 * order in which rows are found.
 */
import type { Node, UpdateStmt } from "@pgsql/types";
import { locationOf, walkNodes } from "./ast.ts";
import type { Analysis } from "./analyze/model.ts";
import { refuse } from "./refusal.ts";

/** Aggregates whose value depends on the order of their rows. */
const ORDERED_AGGREGATES: ReadonlySet<string> = new Set([
  "array_agg",
  "string_agg",
  "json_agg",
  "json_agg_strict",
  "jsonb_agg",
  "jsonb_agg_strict",
  "json_object_agg",
  "json_object_agg_strict",
  "jsonb_object_agg",
  "jsonb_object_agg_strict",
  "xmlagg",
  "any_value",
]);

export function checkReferenceWrite(statement: Node, analysis: Analysis): void {
  const written = analysis.tables.find(({ isWritten }) => isWritten)?.table.name ?? "";
  const refuseBecause = (why: string, location: number | undefined): never =>
    refuse(
      "reference_write_not_deterministic",
      `write to reference table "${written}" ${why}, and could differ between databases`,
      { location },
    );
  for (const { name, effect, isUserDefined, isAggregate, location } of analysis.functions) {
    if (effect !== "immutable") refuseBecause(`calls ${name}, which is not immutable`, location);
    if (ORDERED_AGGREGATES.has(name) || (isAggregate && isUserDefined))
      refuseBecause(`calls ${name}, whose value depends on the order of rows`, location);
  }
  walkNodes(statement, ({ kind, body }) => {
    const own = body["location"];
    const location = typeof own === "number" ? own : locationOf(body);
    if (kind === "SQLValueFunction") refuseBecause("uses the clock or the session", location);
    if (
      kind === "SelectStmt" &&
      (body["limitCount"] !== undefined || body["distinctClause"] !== undefined)
    ) {
      refuseBecause("takes some rows of a sub-select", location);
    }
    if (kind === "FuncCall" && body["over"] !== undefined)
      refuseBecause("uses a window function", location);
    if (kind === "TypeCast" || kind === "A_Const") checkConstant(body, location, refuseBecause);
    return true;
  });
  if ("UpdateStmt" in statement) checkUpdate(statement.UpdateStmt, analysis, refuseBecause);
}

/** `'now'`, `'today'` and their like are read by the clock. */
function checkConstant(
  body: Readonly<Record<string, unknown>>,
  location: number | undefined,
  refuseBecause: (why: string, location: number | undefined) => never,
): void {
  const text = (body["sval"] as { readonly sval?: string } | undefined)?.sval;
  if (text !== undefined && /^\s*(now|today|tomorrow|yesterday)\b/i.test(text))
    refuseBecause("has a date read by the clock", location);
}

function checkUpdate(
  node: UpdateStmt,
  analysis: Analysis,
  refuseBecause: (why: string, location: number | undefined) => never,
): void {
  if ((node.fromClause?.length ?? 0) > 0)
    refuseBecause(
      "takes new values from a join, of which any row may be the one",
      node.relation?.location,
    );
  const table = analysis.tables.find(({ isWritten }) => isWritten)?.table;
  const columns = table !== undefined && "relation" in table ? table.relation.columns : [];
  for (const item of node.targetList ?? []) {
    if (
      !("ResTarget" in item) ||
      item.ResTarget.val === undefined ||
      !("SetToDefault" in item.ResTarget.val)
    )
      continue;
    const fill = columns.find(({ name }) => name === item.ResTarget.name)?.fill;
    if (fill?.kind !== "null" && fill?.kind !== "constant")
      refuseBecause("sets a column to its default", item.ResTarget.location);
  }
}
