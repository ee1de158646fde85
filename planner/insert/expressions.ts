/**
 * What the expressions of a split INSERT may hold: they run in the placement's database,
 * each row on its own, or for a reference table in every database with the same result.
 */
import type { FuncCall, RangeVar, SQLValueFunction, SubLink, TypeCast } from "@pgsql/types";
import { nameParts, walkNodes } from "../ast.ts";
import { functionUse, type FunctionEffect } from "../functions.ts";
import { resolveTable } from "../names.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { tableReferences } from "../table-references.ts";

export type InsertTarget = "sharded" | "reference";

/** Effects that neither reach beyond the row's own placement nor stay behind in a session. */
const HARMLESS: ReadonlySet<FunctionEffect> = new Set(["immutable", "stable", "volatile"]);

/** Refuses what would read another placement's rows, keep state in a backend, or differ between copies of a reference table. */
export function checkInsertExpressions(
  expressions: unknown,
  target: InsertTarget,
  table: string,
  context: PlanContext,
): void {
  walkNodes(expressions, ({ kind, body }) => {
    switch (kind) {
      case "FuncCall":
        checkCall(body, target, table, context);
        return true;
      case "SQLValueFunction":
        checkValueFunction(body, target, table);
        return true;
      case "TypeCast":
        checkCast(body);
        return true;
      case "SubLink":
        checkSubLink(body, target, table, context);
        return true;
      default:
        return true;
    }
  });
}

function checkCall(
  call: FuncCall,
  target: InsertTarget,
  table: string,
  context: PlanContext,
): void {
  const { name, effect, location } = functionUse(nameParts(call.funcname), call.location, context);
  if (!HARMLESS.has(effect)) {
    refuse(
      "insert_expression_not_supported",
      `function ${name} is not supported in an INSERT into ${target} table "${table}"`,
      {
        location,
        hint: "Compute the value with a statement of its own, then insert it.",
      },
    );
  }
  if (target === "reference" && effect !== "immutable")
    refuseDiffering(`function ${name}`, table, location);
}

/** The keywords CURRENT_TIMESTAMP, CURRENT_USER and their kin. */
function checkValueFunction(
  { op, location }: SQLValueFunction,
  target: InsertTarget,
  table: string,
): void {
  if (op === "SVFOP_CURRENT_CATALOG") {
    refuse(
      "insert_expression_not_supported",
      "CURRENT_CATALOG is not supported in an INSERT into a mapped table",
      {
        location,
        detail: "It is another name in each database.",
      },
    );
  }
  if (target === "reference") refuseDiffering("the session's time or user", table, location);
}

function refuseDiffering(what: string, table: string, location: number | undefined): never {
  return refuse(
    "reference_value_differs",
    `${what} is not supported in an INSERT into reference table "${table}"`,
    {
      location,
      detail: "Every database holds a copy of the table, and its value would differ between them.",
      hint: "Give the value as a constant or a parameter.",
    },
  );
}

/** Object identifiers are another number in every database. */
function checkCast({ typeName, location }: TypeCast): void {
  const name = nameParts(typeName?.names).at(-1) ?? "";
  if (!/^reg[a-z]+$/.test(name)) return;
  refuse(
    "insert_expression_not_supported",
    `type ${name} is not supported in an INSERT into a mapped table`,
    {
      location: location ?? typeName?.location,
      detail: "It stands for another object in each database.",
    },
  );
}

/** Reference tables are whole in every database; any other table is not. */
function checkSubLink(
  link: SubLink,
  target: InsertTarget,
  table: string,
  context: PlanContext,
): void {
  if (link.subselect === undefined) return;
  for (const reference of tableReferences(link.subselect).tables)
    checkSubLinkTable(reference, target, table, context);
}

function checkSubLinkTable(
  reference: RangeVar,
  target: InsertTarget,
  table: string,
  context: PlanContext,
): void {
  const resolved = resolveTable(reference, context);
  if (resolved.kind === "reference") return;
  refuse(
    "insert_expression_not_supported",
    `sub-select over table "${resolved.name}" is not supported in an INSERT into ${target} table "${table}"`,
    {
      location: reference.location,
      hint: "Select the value with a statement of its own, then insert it.",
    },
  );
}
