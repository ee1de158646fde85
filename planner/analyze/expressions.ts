/**
 * Goes through an expression: finds sub-selects, functions, aggregates, windows and
 * whatever else decides where a statement may run. Kinds of nodes that it does not know
 * keep a statement on one placement.
 */
import type { A_Expr, ColumnRef, FuncCall, Node, SubLink, TypeCast } from "@pgsql/types";
import { nameParts, unwrap, walkNodes } from "../ast.ts";
import { functionUse } from "../functions.ts";
import { refuse } from "../refusal.ts";
import type { Place, AnalysisRun } from "./run.ts";
import type { Source } from "./model.ts";
import { findItems, resolveColumn, type Resolution, type Scope } from "./namespace.ts";
import { refuseSizeOfPart } from "./size-functions.ts";

/** Computed from a row's own values, or containers of such. */
const KNOWN_KINDS: ReadonlySet<string> = new Set([
  "A_ArrayExpr",
  "A_Const",
  "A_Expr",
  "A_Indices",
  "A_Indirection",
  "A_Star",
  "BitString",
  "BoolExpr",
  "Boolean",
  "BooleanTest",
  "CaseExpr",
  "CaseWhen",
  "CoalesceExpr",
  "CollateClause",
  "ColumnRef",
  "Float",
  "FuncCall",
  "GroupingFunc",
  "GroupingSet",
  "IndexElem",
  "Integer",
  "List",
  "MergeSupportFunc",
  "MinMaxExpr",
  "MultiAssignRef",
  "NamedArgExpr",
  "NullTest",
  "ParamRef",
  "ResTarget",
  "RowExpr",
  "SQLValueFunction",
  "SetToDefault",
  "SortBy",
  "String",
  "SubLink",
  "TypeCast",
  "TypeName",
  "WindowDef",
  "XmlExpr",
  "XmlSerialize",
  "JsonArgument",
  "JsonArrayConstructor",
  "JsonBehavior",
  "JsonFuncExpr",
  "JsonIsPredicate",
  "JsonKeyValue",
  "JsonObjectConstructor",
  "JsonOutput",
  "JsonParseExpr",
  "JsonReturning",
  "JsonScalarExpr",
  "JsonSerializeExpr",
  "JsonValueExpr",
  "JsonFormat",
  "RangeTableFuncCol",
  "JsonTableColumn",
  "JsonTablePathSpec",
]);

const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["ctid", "xmin", "xmax", "cmin", "cmax"]);

export function walkExpression(
  run: AnalysisRun,
  expression: unknown,
  scope: Scope,
  place: Place,
): void {
  walkNodes(
    expression,
    ({ kind, body }) => {
      switch (kind) {
        case "SubLink":
          walkSubLink(run, body, scope, place);
          return false;
        case "FuncCall":
          walkCall(run, body, scope);
          return true;
        case "ColumnRef":
          walkColumn(run, body, scope);
          return false;
        case "ResTarget":
          return !isStar(body["val"]);
        case "ParamRef":
          run.countParameter((body as { readonly number?: number }).number ?? 0);
          return false;
        case "TypeCast":
          walkCast(run, body);
          return true;
        case "A_Expr":
          walkOperator(run, body);
          return true;
        case "CurrentOfExpr":
          run.barsSharded(
            "current_of_not_supported",
            "WHERE CURRENT OF is not supported for sharded tables within another statement",
            undefined,
          );
          return true;
        case "SQLValueFunction":
          if (/CURRENT_CATALOG/.test(String(body["op"]))) {
            run.needsOnePlacement(
              "server_state_scattered",
              "CURRENT_CATALOG differs between databases",
              locationIn(body),
            );
          }
          return true;
        default:
          if (!KNOWN_KINDS.has(kind)) {
            run.needsOnePlacement(
              "expression_not_supported",
              `expression of kind ${kind} is not supported over several placements`,
              locationIn(body),
            );
          }
          return true;
      }
    },
    place.depth,
  );
}

function locationIn(body: Readonly<Record<string, unknown>>): number | undefined {
  const location = body["location"];
  return typeof location === "number" ? location : undefined;
}

function walkSubLink(run: AnalysisRun, link: SubLink, scope: Scope, place: Place): void {
  if (link.testexpr !== undefined)
    walkExpression(run, link.testexpr, scope, { ...place, depth: place.depth + 1 });
  if (link.subselect === undefined) return;
  const nested = run.query(run, link.subselect, {
    parent: scope,
    withScope: place.withScope,
    depth: place.depth + 1,
  });
  scope.level.nested.push(nested);
}

function walkCall(run: AnalysisRun, call: FuncCall, scope: Scope): void {
  const use = functionUse(nameParts(call.funcname), call.location, run.context);
  refuseSizeOfPart(use, call, run.context);
  run.functions.push(use);
  if (call.over !== undefined) {
    scope.level.windows.push(call);
    return;
  }
  const isAggregate =
    use.isAggregate ||
    call.agg_star === true ||
    call.agg_distinct === true ||
    call.agg_within_group === true;
  if (!isAggregate && call.agg_filter === undefined && call.agg_order === undefined) return;
  if (belongsToOuterLevel(call, scope)) {
    run.needsOnePlacement(
      "outer_aggregate_scattered",
      `aggregate function ${use.name} of an outer query level is not supported over several placements`,
      call.location,
    );
  }
  scope.level.aggregates.push({ call, location: call.location });
}

/** An aggregate whose arguments are columns of outer levels alone is evaluated there (parse_agg.c, check_agg_arguments). */
function belongsToOuterLevel(call: FuncCall, scope: Scope): boolean {
  if (scope.parent === undefined) return false;
  let hasColumns = false;
  let hasOwn = false;
  walkNodes([call.args, call.agg_filter, call.agg_order], ({ kind, body }) => {
    if (kind !== "ColumnRef") return true;
    hasColumns = true;
    hasOwn ||= resolveColumn(body, scope)?.level === scope.level;
    return false;
  });
  return hasColumns && !hasOwn;
}

/** `t.*` where it stands for columns. */
function isStar(expression: unknown): boolean {
  const reference = unwrap(expression);
  const last: unknown =
    reference?.kind === "ColumnRef" ? (reference.body as ColumnRef).fields?.at(-1) : undefined;
  return unwrap(last)?.kind === "A_Star";
}

function walkColumn(run: AnalysisRun, reference: ColumnRef, scope: Scope): void {
  const name = nameParts(reference.fields).at(-1);
  if (name === undefined) return;
  const resolved = resolveColumn(reference, scope);
  if (resolved !== undefined) {
    addOuterColumn(resolved, scope);
    return;
  }
  const source = wholeRow(reference, scope);
  if (source !== undefined) run.wholeRows.push({ source, location: reference.location });
  if (name === "tableoid") {
    run.barsSharded(
      "system_column_not_supported",
      'system column "tableoid" of a sharded table differs between placements',
      reference.location,
    );
  } else if (SYSTEM_COLUMNS.has(name)) {
    run.needsOnePlacement(
      "system_column_not_supported",
      `system column "${name}" has no meaning over several placements`,
      reference.location,
    );
  }
}

/** A column of a level around this one is one for every level between them. */
function addOuterColumn({ column, level }: Resolution, from: Scope): void {
  if (column === undefined) return;
  for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.parent) {
    if (scope.level === level) return;
    scope.level.outerColumns.add(column);
  }
}

/** The source whose row a name stands for that is no column's: `t`, or `t.*` within an expression. */
function wholeRow(reference: ColumnRef, from: Scope): Source | undefined {
  const names = nameParts(reference.fields);
  for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.parent) {
    const [item] = findItems(names.at(-1) ?? "", names.at(-2), scope);
    const column = item?.columns.find((visible) => visible.column !== undefined)?.column;
    if (item !== undefined) return column?.source.name === item.name ? column?.source : undefined;
  }
  return undefined;
}

/** Object identifiers are another in every database. */
function walkCast(run: AnalysisRun, cast: TypeCast): void {
  const name = nameParts(cast.typeName?.names).at(-1) ?? "";
  if (/^reg[a-z]+$/.test(name)) {
    run.needsOnePlacement(
      "object_identifier_scattered",
      `type ${name} stands for another object in each database`,
      cast.location ?? cast.typeName?.location,
    );
  }
}

function walkOperator(run: AnalysisRun, expression: A_Expr): void {
  const names = nameParts(expression.name);
  if (names.length > 1 && names[0] !== "pg_catalog") {
    run.barsSharded(
      "function_reads_tables",
      `operator ${names.join(".")} is not known to be free of table access`,
      expression.location,
    );
  }
}

/** Whether a node of the tree is a sub-select, for callers that treat one by themselves. */
export function subLinkOf(node: Node): SubLink | undefined {
  const inner = unwrap(node);
  return inner?.kind === "SubLink" ? inner.body : undefined;
}

/** INTO makes a table; no level may have it. */
export function refuseInto(location: number | undefined): never {
  return refuse("select_into_not_supported", "SELECT INTO is not supported", { location });
}
