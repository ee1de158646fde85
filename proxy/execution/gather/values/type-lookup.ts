/**
 * Which rules a column's values follow, or the refusal: what is not listed here is not
 * ordered, grouped or combined over several placements.
 */
import { SqlError } from "../../../../base/sql-error.ts";
import { shownColumn } from "../../../../planner/hidden-columns.ts";
import type { SortCollation } from "../../../../planner/logical-plan.ts";
import type { CatalogType } from "../../../../shardmap/catalog.ts";
import type { ColumnDescription } from "../../../protocol/backend/row-description.ts";
import { arrayType } from "./array.ts";
import { dateType, timeType, timestampType, timestamptzType, timetzType } from "./date-time.ts";
import { float4Type, float8Type } from "./floats.ts";
import { boolType, int2Type, int4Type, int8Type, oidType, pgLsnType } from "./integers.ts";
import { intervalType } from "./interval.ts";
import { cidrType, inetType } from "./network.ts";
import { numericType } from "./numeric-key.ts";
import * as text from "./text.ts";
import { TYPE_OID } from "./type-oids.ts";
import type { ValueType } from "./value-type.ts";

/** What the meaning of a value's bytes hangs on beside its type. */
export interface GatherTypes {
  /** The catalog's types: labels of enums, elements of arrays, names for errors. */
  readonly byOid: ReadonlyMap<number, CatalogType>;
  /** The session's extra_float_digits; below 1, text of floats is rounded. */
  readonly extraFloatDigits: number;
}

/** A type's rules with its values' type forgotten: they only ever meet their own kind. */
export type AnyValueType = ValueType<unknown>;

function erased<Value>(type: ValueType<Value>): AnyValueType {
  return type as unknown as AnyValueType;
}

const BUILT_IN: ReadonlyMap<number, AnyValueType> = new Map([
  [TYPE_OID.bool, erased(boolType)],
  [TYPE_OID.bytea, erased(text.byteaType)],
  [TYPE_OID.char, erased(text.charType)],
  [TYPE_OID.int8, erased(int8Type)],
  [TYPE_OID.int2, erased(int2Type)],
  [TYPE_OID.int4, erased(int4Type)],
  [TYPE_OID.oid, erased(oidType)],
  [TYPE_OID.cidr, erased(cidrType)],
  [TYPE_OID.macaddr8, erased(text.macaddr8Type)],
  [TYPE_OID.macaddr, erased(text.macaddrType)],
  [TYPE_OID.inet, erased(inetType)],
  [TYPE_OID.date, erased(dateType)],
  [TYPE_OID.time, erased(timeType)],
  [TYPE_OID.timestamp, erased(timestampType)],
  [TYPE_OID.timestamptz, erased(timestamptzType)],
  [TYPE_OID.interval, erased(intervalType)],
  [TYPE_OID.timetz, erased(timetzType)],
  [TYPE_OID.bit, erased(text.bitType)],
  [TYPE_OID.varbit, erased(text.bitType)],
  [TYPE_OID.numeric, erased(numericType)],
  [TYPE_OID.uuid, erased(text.uuidType)],
  [TYPE_OID.pgLsn, erased(pgLsnType)],
]);

const COLLATED: ReadonlyMap<number, AnyValueType> = new Map([
  [TYPE_OID.text, erased(text.textType)],
  [TYPE_OID.varchar, erased(text.textType)],
  [TYPE_OID.name, erased(text.textType)],
  [TYPE_OID.bpchar, erased(text.bpcharType)],
]);

const FLOATS: ReadonlyMap<number, AnyValueType> = new Map([
  [TYPE_OID.float4, erased(float4Type)],
  [TYPE_OID.float8, erased(float8Type)],
]);

/** Throws gather_type_unsupported or gather_collation_unsupported, naming the column. */
export function valueTypeOf(
  column: ColumnDescription,
  collation: SortCollation,
  types: GatherTypes,
): AnyValueType {
  const found = findValueType(column.typeOid, column, collation, types);
  if (found !== undefined) return found;
  throw new SqlError(
    "gather_type_unsupported",
    `${shownColumn(column.name)} of type ${typeName(column.typeOid, types)} cannot be ordered or combined over several placements`,
  );
}

function findValueType(
  typeOid: number,
  column: ColumnDescription,
  collation: SortCollation,
  types: GatherTypes,
): AnyValueType | undefined {
  const collated = COLLATED.get(typeOid);
  if (collated !== undefined) {
    if (collation === "unknown") throw unknownCollation(column);
    return collated;
  }
  const float = FLOATS.get(typeOid);
  if (float !== undefined) {
    if (column.format === "text" && types.extraFloatDigits < 1) throw roundedFloats(column);
    return float;
  }
  const builtIn = BUILT_IN.get(typeOid);
  if (builtIn !== undefined) return builtIn;

  const type = types.byOid.get(typeOid);
  if (type === undefined) return undefined;
  if (type.kind === "enum") return erased(text.enumType(type.name, type.labels));
  if (type.kind === "domain") return findValueType(type.baseOid, column, collation, types);
  if (type.category !== "A" || type.elementOid === 0) return undefined;
  const element = findValueType(type.elementOid, column, collation, types);
  return element && erased(arrayType(type.name, type.elementOid, element));
}

function typeName(typeOid: number, { byOid }: GatherTypes): string {
  return byOid.get(typeOid)?.name ?? `with OID ${typeOid}`;
}

function unknownCollation(column: ColumnDescription): SqlError {
  return new SqlError(
    "gather_collation_unsupported",
    `text of ${shownColumn(column.name)} cannot be compared over several placements under its collation`,
  );
}

function roundedFloats(column: ColumnDescription): SqlError {
  return new SqlError(
    "gather_value_unreadable",
    `${shownColumn(column.name)} is sent rounded while extra_float_digits is below 1, so it cannot be compared`,
  );
}
