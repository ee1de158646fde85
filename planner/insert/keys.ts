/**
 * What each row of an INSERT assigns to the shard key's columns, as far as the proxy can
 * tell what PostgreSQL will store. What it cannot tell has no placement, and is refused.
 */
import type { Node } from "@pgsql/types";
import type { CatalogColumn } from "../../shardmap/catalog.ts";
import type { KeyColumn } from "../../shardmap/key-assignment.ts";
import { familyOfKey, familyOfType, storedColumn } from "../analyze/column-types.ts";
import { castType } from "../analyze/key-terms.ts";
import type { Column } from "../analyze/model.ts";
import type { KeyTerm } from "../logical-plan.ts";
import type { ResolvedTable } from "../names.ts";
import { refuse } from "../refusal.ts";

export interface KeyPlace {
  readonly table: string;
  readonly column: CatalogColumn;
  readonly key: KeyColumn;
}

/** The columns of the table's shard key, in its order. */
export function keyPlaces({
  name,
  relation,
  table,
}: Extract<ResolvedTable, { kind: "sharded" }>): readonly KeyPlace[] {
  return table.keyColumns.map((keyColumn, index) => {
    const column = relation.columns.find((candidate) => candidate.name === keyColumn);
    const type = table.colocation.keyTypes[index];
    if (column === undefined || type === undefined) {
      return refuse(
        "shard_key_column_missing",
        `shard key column "${keyColumn}" of table "${name}" does not exist`,
      );
    }
    return { table: name, column, key: { type, typmod: column.typmod } };
  });
}

/**
 * Whether a column's values are stored in the key's as they are: a length or a precision of
 * the key's column could make others of them, and a NULL, which a join may have made, has no place.
 */
export function keepsKey(column: Column, { column: target }: KeyPlace): boolean {
  const stored = storedColumn(column).catalog;
  const isSameType = stored?.typeOid === target.typeOid && stored.typmod === target.typmod;
  return target.notNull && (target.typmod < 0 || isSameType);
}

/** Whether a value that is compared with the key is also what the column stores: no cast of an assignment changes it. */
export function isStoredAlike(term: KeyTerm, { typmod }: CatalogColumn): boolean {
  if (typmod >= 0) return false;
  switch (term.kind) {
    case "text":
    case "parameter":
      return true;
    case "number":
      return /^-?[0-9]+$/.test(term.text);
    default:
      return false;
  }
}

/** Whether two terms are one constant, or one parameter. */
export function isSameTerm(left: KeyTerm, right: KeyTerm | undefined): boolean {
  if (left.kind === "parameter") return right?.kind === "parameter" && left.number === right.number;
  return (
    right !== undefined &&
    "text" in left &&
    "text" in right &&
    left.kind === right.kind &&
    left.text === right.text
  );
}

/** The term of a value that is written in the statement. */
export function assignedTerm(
  value: Node,
  place: KeyPlace,
  parameterTypes: readonly number[],
): KeyTerm {
  const term = literalTerm(value, place, parameterTypes);
  if (term?.kind === "null") refuseNullKey(place);
  if (term !== undefined) return term;
  return refuse(
    "shard_key_not_constant",
    `shard key column "${place.column.name}" of table "${place.table}" needs a constant or a parameter`,
    {
      location: locationIn(value),
      detail: "The proxy must know the value to find the row's placement.",
    },
  );
}

/** The term of a column that gets its default; generated ones are the caller's. */
export function defaultTerm(place: KeyPlace, location: number | undefined): KeyTerm {
  const { fill, name } = place.column;
  switch (fill.kind) {
    case "null":
      return refuseNullKey(place);
    case "constant":
      return { kind: "text", text: fill.text };
    default:
      return refuse(
        "shard_key_not_constant",
        `default of shard key column "${name}" of table "${place.table}" is not a constant`,
        {
          location,
          detail: "The proxy must know the value to find the row's placement.",
          hint: "Give the column a value in the statement.",
        },
      );
  }
}

function refuseNullKey({ table, column }: KeyPlace): never {
  return refuse(
    "shard_key_null",
    `null value in shard key column "${column.name}" of table "${table}"`,
  );
}

function literalTerm(
  value: Node,
  { key }: KeyPlace,
  parameterTypes: readonly number[],
): KeyTerm | undefined {
  if ("A_Const" in value) {
    const { isnull, sval, ival, fval } = value.A_Const;
    if (isnull === true) return { kind: "null" };
    if (sval !== undefined) return { kind: "text", text: sval.sval ?? "" };
    if (ival !== undefined) return { kind: "number", text: String(ival.ival ?? 0) };
    return fval === undefined ? undefined : { kind: "number", text: fval.fval ?? "" };
  }
  if ("ParamRef" in value) return parameterTerm(value.ParamRef.number ?? 0, parameterTypes);
  if (!("TypeCast" in value) || value.TypeCast.arg === undefined) return undefined;
  // A cast within the key's own family is followed by the assignment's cast, and both together
  // store what the assignment alone would, or fail.
  const typeOid = castType(value.TypeCast);
  if (typeOid === undefined || familyOfType(typeOid) !== familyOfKey(key.type)) return undefined;
  const { arg } = value.TypeCast;
  if ("A_Const" in arg) return literalTerm(arg, { key } as KeyPlace, parameterTypes);
  if (!("ParamRef" in arg)) return undefined;
  const number = arg.ParamRef.number ?? 0;
  const declared = parameterTypes[number - 1] ?? 0;
  return { kind: "parameter", number, typeOid: declared === 0 ? typeOid : declared, isCast: true };
}

function parameterTerm(number: number, parameterTypes: readonly number[]): KeyTerm | undefined {
  return number < 1
    ? undefined
    : { kind: "parameter", number, typeOid: parameterTypes[number - 1] ?? 0, isCast: false };
}

function locationIn(value: Node): number | undefined {
  const [body] = Object.values(value) as readonly { readonly location?: number }[];
  return body?.location;
}
