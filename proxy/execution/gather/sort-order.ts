/**
 * ORDER BY over decoded values: what makes one row come before another.
 */
import type { SortKey } from "../../../planner/logical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import { fieldSpans, locateFields } from "./data-row.ts";
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

/** Values of rows that stand alone, a field for each column. */
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
    const order = compareKey(keys[index] as SortOrderKey, a[index], b[index]);
    if (order !== 0) return order;
  }
  return 0;
}

function compareKey(key: SortOrderKey, left: SortValue, right: SortValue): number {
  if (left === null || right === null) {
    if (left === right) return 0;
    return left === null ? key.nullOrder : -key.nullOrder;
  }
  return key.type.compare(left, right) * key.direction;
}

/**
 * A row inside a run, and its keys as far as somebody has asked: most rows are told apart by
 * the first. Made once and placed on row after row.
 */
export class SortedRow {
  readonly #keys: readonly SortOrderKey[];
  readonly #values: SortValue[] = [];
  /** How many keys have been read: the first so many. */
  #known = 0;
  readonly spans: FieldSpans;
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;

  constructor(order: SortOrder, columnCount: number) {
    this.#keys = order.keys;
    this.spans = fieldSpans(columnCount);
  }

  /** Stands on the row bytes[start, end). */
  place(bytes: Buffer, start: number, end: number): void {
    locateFields(bytes, start, end, this.spans);
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#known = 0;
  }

  /** Of the key at `index`, all before it having been asked for. */
  value(index: number): SortValue {
    if (index < this.#known) return this.#values[index];
    const { column, read } = this.#keys[index] as SortOrderKey;
    const start = this.spans.starts[column] ?? 0;
    const length = this.spans.lengths[column] ?? -1;
    const value = length === -1 ? null : read(this.bytes, start, start + length);
    this.#values[index] = value;
    this.#known = index + 1;
    return value;
  }
}

export function compareRows({ keys }: SortOrder, a: SortedRow, b: SortedRow): number {
  for (let index = 0; index < keys.length; index++) {
    const order = compareKey(keys[index] as SortOrderKey, a.value(index), b.value(index));
    if (order !== 0) return order;
  }
  return 0;
}
