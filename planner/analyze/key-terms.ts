/**
 * Which expressions are values a key may be pinned to: literals, parameters, and casts of
 * either to the key's own type. Anything else is computed by the server and pins nothing.
 */
import type { A_Const, Node, TypeCast } from "@pgsql/types";
import type { Catalog } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import type { KeyTerm } from "../logical-plan.ts";
import { searchedSchemas } from "../names.ts";
import type { PlanContext } from "../plan-context.ts";
import { baseType, familyOfType, TYPE_NAMES, type Family } from "./column-types.ts";

/** The value an expression is known to have where it is compared with a column of `family`. */
export function termOf(
  expression: Node,
  family: Family,
  context: PlanContext,
): KeyTerm | undefined {
  if ("A_Const" in expression) return constantTerm(expression.A_Const, family);
  if ("ParamRef" in expression) {
    const number = expression.ParamRef.number ?? 0;
    const typeOid = context.parameterTypes[number - 1] ?? 0;
    return number < 1 ? undefined : { kind: "parameter", number, typeOid, isCast: false };
  }
  return "TypeCast" in expression ? castTerm(expression.TypeCast, family, context) : undefined;
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
function castTerm(cast: TypeCast, family: Family, context: PlanContext): KeyTerm | undefined {
  if (cast.arg === undefined) return undefined;
  if (family === "integer" && plainTypeName(cast) === "numeric") return numericTerm(cast.arg);
  const typeOid = castType(cast) ?? domainBase(cast, context);
  if (typeOid === undefined || familyOfType(typeOid) !== family) return undefined;
  const term = termOf(cast.arg, family, context);
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

/** A constant made numeric keeps its value, and is compared with an integer as numerics are. */
function numericTerm(argument: Node): KeyTerm | undefined {
  if (!("A_Const" in argument)) return undefined;
  const { isnull, sval, ival, fval } = argument.A_Const;
  if (isnull === true) return { kind: "null" };
  const text = ival === undefined ? (fval?.fval ?? sval?.sval?.trim()) : String(ival.ival ?? 0);
  if (text === undefined) return undefined;
  // As a numeric literal would be written, so that a list of it and others is seen to be of numerics.
  return { kind: "number", text: /^[+-]?[0-9]+$/.test(text) ? `${text}.0` : text };
}

/** The type below a cast to a domain, where the domain's type has no modifier that could change a value. */
function domainBase(cast: TypeCast, context: PlanContext): number | undefined {
  const type = cast.typeName;
  if (type === undefined || hasMore(cast)) return undefined;
  const parts = nameParts(type.names);
  const name = parts.at(-1);
  for (const schema of parts.length > 1 ? parts.slice(-2, -1) : searchedSchemas(context)) {
    const found = typeNamed(schema, name, context.catalog);
    if (found === undefined) continue;
    const family = familyOfType(baseType(found.oid, context.catalog));
    const isPlain = family === "integer" || family === "uuid" || family === "date";
    return found.kind === "domain" && isPlain ? baseType(found.oid, context.catalog) : undefined;
  }
  return undefined;
}

function typeNamed(schema: string, name: string | undefined, { types }: Catalog) {
  for (const type of types.values()) if (type.name === name && type.schema === schema) return type;
  return undefined;
}

/** The type of a cast to one of the key types, without modifiers; else undefined. */
export function castType(cast: TypeCast): number | undefined {
  return TYPE_NAMES.get(plainTypeName(cast) ?? "");
}

/** The name of a built-in type without modifiers. */
function plainTypeName(cast: TypeCast): string | undefined {
  const names = nameParts(cast.typeName?.names);
  if (names.length > 2 || (names.length === 2 && names[0] !== "pg_catalog")) return undefined;
  return hasMore(cast) ? undefined : names.at(-1);
}

/** Whether the type of the cast is more than a name: an array, with a modifier, SETOF, %TYPE. */
function hasMore({ typeName }: TypeCast): boolean {
  if (typeName === undefined || typeName.setof === true || typeName.pct_type === true) return true;
  return (typeName.typmods?.length ?? 0) > 0 || (typeName.arrayBounds?.length ?? 0) > 0;
}

/**
 * The alternatives of a list. PostgreSQL gives all of them one type, so a list of strings
 * and numbers, or of parameters of several types, may be read as another type than the key's.
 */
export function termsOf(
  expressions: readonly Node[],
  family: Family,
  context: PlanContext,
): readonly KeyTerm[] | undefined {
  const terms: KeyTerm[] = [];
  for (const expression of expressions) {
    const term = termOf(expression, family, context);
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
