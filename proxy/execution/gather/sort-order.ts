/**
 * ORDER BY over decoded values: what makes one row come before another.
 */
import type { SortKey } from "../../../planner/logical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { FieldSpans } from "./data-row.ts";
import { valueTypeOf } from "./values/type-lookup.ts";
import type { AnyValueType, GatherTypes } from "./values/type-lookup.ts";

/** One key's value; null is NULL. */
export type SortValue = unknown;

export interface SortOrder {
  readonly compare: (a: readonly SortValue[], b: readonly SortValue[]) => number;
  readonly keys: readonly SortOrderKey[];
}

export interface SortOrderKey {
  readonly column: number;
  readonly type: AnyValueType;
  readonly read: AnyValueType["readText"];
  readonly direction: 1 | -1;
  /** What NULL counts as, beside a value that is not. */
  readonly nullOrder: 1 | -1;
}

/** Throws where a key's type or collation has no order that the gather knows. */
export function sortOrder(
  sort: readonly SortKey[],
  columns: readonly ColumnDescription[],
  types: GatherTypes,
): SortOrder {
  const keys = sort.map((key) => {
    const column = columns[key.column] as ColumnDescription;
    const type = valueTypeOf(column, key.collation, types);
    return {
      column: key.column,
      type,
      read: column.format === "binary" ? type.readBinary : type.readText,
      direction: key.descending ? -1 : 1,
      nullOrder: key.nullsFirst ? -1 : 1,
    } as const;
  });
  return { keys, compare: (a, b) => compareValues(keys, a, b) };
}

export function readSortValues(
  order: SortOrder,
  bytes: Buffer,
  spans: FieldSpans,
): readonly SortValue[] {
  return order.keys.map(({ column, read }) => {
    const start = spans.starts[column] ?? 0;
    const length = spans.lengths[column] ?? -1;
    return length === -1 ? null : read(bytes, start, start + length);
  });
}

/** As readSortValues, of values that stand alone. */
export function readFieldValues(
  order: SortOrder,
  fields: readonly (Buffer | null)[],
): readonly SortValue[] {
  return order.keys.map(({ column, read }) => {
    const field = fields[column] ?? null;
    return field === null ? null : read(field, 0, field.length);
  });
}

function compareValues(
  keys: readonly SortOrderKey[],
  a: readonly SortValue[],
  b: readonly SortValue[],
): number {
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as SortOrderKey;
    const left = a[index];
    const right = b[index];
    if (left === null || right === null) {
      if (left !== right) return left === null ? key.nullOrder : -key.nullOrder;
      continue;
    }
    const order = key.type.compare(left, right);
    if (order !== 0) return order * key.direction;
  }
  return 0;
}
