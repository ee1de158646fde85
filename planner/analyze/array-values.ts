/**
 * The elements of the array in `key = ANY (array)`: written as ARRAY[...], as a literal, or
 * held by a parameter. Other arrays are computed by the server and pin nothing.
 */
import type { Node, TypeCast } from "@pgsql/types";
import { textElements } from "../key-arrays.ts";
import type { KeyTerm } from "../logical-plan.ts";
import { ARRAYS_OF, elementType, familyOfType, type Family } from "./column-types.ts";
import { castType, termOf, termsOf } from "./key-terms.ts";
import type { PinValues } from "./model.ts";
import type { AnalysisRun } from "./run.ts";

/** `columnType` is the compared column's, a domain's base taken. */
export function arrayValues(
  run: AnalysisRun,
  array: Node,
  columnType: number,
  family: Family,
): PinValues | undefined {
  const cast = "TypeCast" in array ? array.TypeCast : undefined;
  const element = cast === undefined ? undefined : elementCast(cast);
  if (cast !== undefined && element === undefined) return undefined;
  const argument = cast?.arg ?? array;
  if ("ParamRef" in argument)
    return parameterArray(run, argument.ParamRef.number ?? 0, element, columnType);
  const terms = writtenElements(run, argument, element, family);
  return terms === undefined ? undefined : { kind: "terms", terms };
}

/** The cast that `::type[]` makes of each element; undefined for other types than arrays of one dimension. */
function elementCast({ typeName, ...cast }: TypeCast): TypeCast | undefined {
  if (typeName?.arrayBounds?.length !== 1) return undefined;
  const { arrayBounds: _, ...elementName } = typeName;
  return { ...cast, typeName: elementName };
}

function writtenElements(
  run: AnalysisRun,
  array: Node,
  cast: TypeCast | undefined,
  family: Family,
): readonly KeyTerm[] | undefined {
  if ("A_ArrayExpr" in array) {
    const elements = array.A_ArrayExpr.elements ?? [];
    return cast === undefined
      ? termsOf(elements, family, run.context)
      : every(elements.map((arg) => termOf({ TypeCast: { ...cast, arg } }, family, run.context)));
  }
  const text = "A_Const" in array ? array.A_Const.sval?.sval : undefined;
  if (text === undefined || (cast !== undefined && familyOfType(castType(cast) ?? 0) !== family))
    return undefined;
  return textElements(text)?.map((element) =>
    element === null ? { kind: "null" } : { kind: "text", text: element.toString("utf8") },
  );
}

function every(terms: readonly (KeyTerm | undefined)[]): readonly KeyTerm[] | undefined {
  const known = terms.filter((term) => term !== undefined);
  return known.length === terms.length ? known : undefined;
}

function parameterArray(
  run: AnalysisRun,
  parameter: number,
  cast: TypeCast | undefined,
  columnType: number,
): PinValues | undefined {
  const castTo = cast === undefined ? undefined : ARRAYS_OF.get(castType(cast) ?? 0);
  if (cast !== undefined && castTo === undefined) return undefined;
  const declared = run.context.parameterTypes[parameter - 1] ?? 0;
  run.suggestType(parameter, castTo ?? ARRAYS_OF.get(columnType) ?? 0);
  if (declared !== 0 && familyOfType(elementType(declared)) !== familyOfType(columnType))
    return undefined;
  return { kind: "array", parameter, typeOid: declared };
}
