/**
 * What the placements are asked for each aggregate, so that the whole can be put together
 * from their answers: logical-plan.ts, `Combine`, says which columns each way of combining
 * reads. Refuses what has no such parts.
 */
import type { FuncCall, Node } from "@pgsql/types";
import type { Level } from "./analyze/model.ts";
import { numberKindOf, type NumberKind } from "./analyze/number-kind.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { functionUse } from "./functions.ts";
import type { Combine } from "./logical-plan.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";

const COMBINES = {
  count: "count",
  sum: "sum",
  avg: "average",
  variance: "varSamp",
  var_samp: "varSamp",
  var_pop: "varPop",
  stddev: "stddevSamp",
  stddev_samp: "stddevSamp",
  stddev_pop: "stddevPop",
  min: "min",
  max: "max",
  any_value: "anyValue",
  bool_and: "boolAnd",
  every: "boolAnd",
  bool_or: "boolOr",
  bit_and: "bitAnd",
  bit_or: "bitOr",
  bit_xor: "bitXor",
} as const satisfies Readonly<Record<string, Combine>>;

type CombinableName = keyof typeof COMBINES;

export interface AggregatePartials {
  readonly combine: Combine;
  /** One for each column, in the order in which `combine` reads them. */
  readonly calls: readonly FuncCall[];
}

export function aggregatePartials(
  call: FuncCall,
  level: Level,
  context: PlanContext,
): AggregatePartials {
  const name = combinableName(call, context);
  const combine = COMBINES[name];
  const [argument] = call.args ?? [];
  if (argument === undefined || !ARITHMETIC.has(combine)) {
    return { combine, calls: [partialCall(call, name, call.args)] };
  }
  const kind = numberKindOf(argument, level, context);
  if (kind === "other") {
    return refuse(
      "aggregate_not_combinable",
      `aggregate ${name} of this type over several placements is not supported`,
      { location: call.location },
    );
  }
  const parts = arithmeticParts(combine, argument, kind);
  if (parts.length > 1) refuseVolatile(call, name, context);
  return { combine, calls: parts.map(([part, of]) => partialCall(call, part, [of])) };
}

/** What depends on the kind of number that is added up. */
const ARITHMETIC: ReadonlySet<Combine> = new Set([
  "sum",
  "average",
  "varSamp",
  "varPop",
  "stddevSamp",
  "stddevPop",
]);

/**
 * Where the kind is not known, numbers that are exact are assumed: if the answers turn out
 * to be floats, output-plan.ts refuses them. Squares are made in a type that holds them.
 */
function arithmeticParts(
  combine: Combine,
  argument: Node,
  kind: NumberKind | undefined,
): readonly (readonly [name: string, argument: Node])[] {
  if (combine === "sum") return [["sum", argument]];
  if (kind === "float") {
    const double = cast(argument, "float8");
    const isOfSample = combine === "varSamp" || combine === "stddevSamp";
    return [
      ["sum", double],
      ["count", argument],
      [isOfSample ? "var_samp" : "var_pop", double],
    ];
  }
  if (combine === "average") {
    return [
      ["sum", argument],
      ["count", argument],
    ];
  }
  const exact = cast(argument, kind === "integer" ? "int8" : "numeric");
  return [
    ["sum", argument],
    ["count", argument],
    ["sum", product(exact, exact)],
  ];
}

function partialCall(call: FuncCall, name: string, args: FuncCall["args"]): FuncCall {
  const funcname = [{ String: { sval: "pg_catalog" } }, { String: { sval: name } }];
  return { ...call, funcname, ...(args === undefined ? {} : { args }) };
}

function cast(argument: Node, type: "float8" | "int8" | "numeric"): Node {
  const names = [{ String: { sval: "pg_catalog" } }, { String: { sval: type } }];
  return { TypeCast: { arg: argument, typeName: { names, typemod: -1 } } };
}

function product(lexpr: Node, rexpr: Node): Node {
  const name = [{ String: { sval: "*" } }];
  return { A_Expr: { kind: "AEXPR_OP", name, lexpr, rexpr } };
}

/** Its value would be another in each of the parts. */
function refuseVolatile(call: FuncCall, name: string, context: PlanContext): void {
  walkNodes([call.args, call.agg_filter], ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    const { funcname, location } = body as FuncCall;
    const use = functionUse(nameParts(funcname), location, context);
    if (use.effect === "immutable" || use.effect === "stable") return true;
    return refuse(
      "aggregate_not_combinable",
      `aggregate ${name} of a volatile expression over several placements is not supported`,
      { location },
    );
  });
}

function isCombinable(name: string): name is CombinableName {
  return Object.hasOwn(COMBINES, name);
}

function combinableName(call: FuncCall, context: PlanContext): CombinableName {
  const names = nameParts(call.funcname);
  const name = names.at(-1) ?? "";
  const location = call.location;
  const use = functionUse(names, location, context);
  const isPlain =
    call.agg_distinct !== true &&
    call.agg_order === undefined &&
    call.agg_within_group !== true &&
    call.over === undefined &&
    call.func_variadic !== true;
  if (!use.isAggregate) {
    return refuse(
      "aggregate_expression_scattered",
      "an output of a grouped query over several placements must be a grouping expression or one aggregate",
      { location },
    );
  }
  if (isPlain && !use.isUserDefined && isCombinable(name)) return name;
  const form =
    call.agg_distinct === true
      ? `${name}(DISTINCT ...)`
      : call.agg_order === undefined
        ? name
        : `${name}(... ORDER BY ...)`;
  return refuse(
    "aggregate_not_combinable",
    `aggregate ${form} over several placements is not supported`,
    { location },
  );
}
