/**
 * Which expressions are values a key may be pinned to: literals, parameters, and casts of
 * either to the key's own type. Anything else is computed by the server and pins nothing.
 */
import type { A_Const, Node, TypeCast } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import type { KeyTerm } from "../logical-plan.ts";
import { familyOfType, TYPE_NAMES, type Family } from "./column-types.ts";

/** The value an expression is known to have where it is compared with a column of `family`. */
export function termOf(
  expression: Node,
  family: Family,
  parameterTypes: readonly number[],
): KeyTerm | undefined {
  if ("A_Const" in expression) return constantTerm(expression.A_Const, family);
  if ("ParamRef" in expression) {
    const number = expression.ParamRef.number ?? 0;
    const typeOid = parameterTypes[number - 1] ?? 0;
    return number < 1 ? undefined : { kind: "parameter", number, typeOid, isCast: false };
  }
  return "TypeCast" in expression
    ? castTerm(expression.TypeCast, family, parameterTypes)
    : undefined;
}

function constantTerm(constant: A_Const, family: Family): KeyTerm | undefined {
  if (constant.isnull === true) return { kind: "null" };
  if (constant.sval !== undefined) return { kind: "text", text: constant.sval.sval ?? "" };
  if (family !== "integer") return undefined;
  if (constant.ival !== undefined) return { kind: "number", text: String(constant.ival.ival ?? 0) };
  return constant.fval === undefined
    ? undefined
    : { kind: "number", text: constant.fval.fval ?? "" };
}

/**
 * A cast pins only where it cannot change the value: a string read as the type, an integer
 * made another integer, NULL. `5.5::int` would be 6, and `'ab'::varchar(1)` would be 'a'.
 */
function castTerm(
  cast: TypeCast,
  family: Family,
  parameterTypes: readonly number[],
): KeyTerm | undefined {
  const typeOid = castType(cast);
  if (typeOid === undefined || familyOfType(typeOid) !== family || cast.arg === undefined)
    return undefined;
  const term = termOf(cast.arg, family, parameterTypes);
  if (term === undefined) return undefined;
  switch (term.kind) {
    case "number":
      return "A_Const" in cast.arg && cast.arg.A_Const.ival !== undefined ? term : undefined;
    case "parameter":
      // An undeclared parameter takes the type of its cast; a declared one may be changed by it.
      return { ...term, typeOid: term.typeOid === 0 ? typeOid : term.typeOid, isCast: true };
    default:
      return "A_Const" in cast.arg ? term : undefined;
  }
}

/** The type of a cast to one of the key types, without modifiers; else undefined. */
export function castType(cast: TypeCast): number | undefined {
  const type = cast.typeName;
  if (type === undefined || type.setof === true || type.pct_type === true) return undefined;
  if ((type.typmods?.length ?? 0) > 0 || (type.arrayBounds?.length ?? 0) > 0) return undefined;
  const names = nameParts(type.names);
  if (names.length > 2 || (names.length === 2 && names[0] !== "pg_catalog")) return undefined;
  return TYPE_NAMES.get(names.at(-1) ?? "");
}

/**
 * The alternatives of a list. PostgreSQL gives all of them one type, so a list of strings
 * and numbers, or of parameters of several types, may be read as another type than the key's.
 */
export function termsOf(
  expressions: readonly Node[],
  family: Family,
  parameterTypes: readonly number[],
): readonly KeyTerm[] | undefined {
  const terms: KeyTerm[] = [];
  for (const expression of expressions) {
    const term = termOf(expression, family, parameterTypes);
    if (term === undefined) return undefined;
    terms.push(term);
  }
  const isWhole = terms.every(
    (term) => term.kind !== "number" || /^-?[0-9]{1,18}$/.test(term.text),
  );
  const kinds = new Set(terms.map(({ kind }) => kind).filter((kind) => kind !== "null"));
  const ofFamily = terms.every(
    (term) =>
      term.kind !== "parameter" || term.typeOid === 0 || familyOfType(term.typeOid) === family,
  );
  if (kinds.size > 1 && !(isWhole && ofFamily)) return undefined;
  return kinds.has("parameter") && !ofFamily ? undefined : terms;
}
