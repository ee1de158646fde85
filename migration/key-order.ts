/**
 * The order of a table's identity, as its chunks cut it: by leading columns whose order can be
 * told here exactly as the source's index has it. Where there is none, the table is one chunk.
 *
 * Never a locale's order: text is compared only in collations that compare bytes.
 */
import { invariant } from "../base/invariant.ts";
import type { KeyOrder, MovedTable } from "./move.ts";

/** A key's leading values, as text. */
export type KeyText = readonly string[];

type Comparable = bigint | string | Buffer;

/** A key whose values can be compared. */
export type OrderedKey = readonly Comparable[];

/** Indexes into the table's columns: those of its identity that its chunks are cut by. */
export function orderedColumns({ columns, identity }: MovedTable): readonly number[] {
  const unordered = identity.findIndex((column) => columns[column]?.order === undefined);
  return unordered === -1 ? identity : identity.slice(0, unordered);
}

export function ordersOf(table: MovedTable): readonly KeyOrder[] {
  return orderedColumns(table).map((index) => {
    const order = table.columns[index]?.order;
    invariant(order !== undefined, "ordered columns have an order");
    return order;
  });
}

export function orderedKey(orders: readonly KeyOrder[], key: KeyText): OrderedKey {
  return orders.map((order, index) => {
    const value = key[index];
    invariant(value !== undefined, "a key has a value for each ordered column");
    switch (order) {
      case "integer":
        return BigInt(value);
      case "textBytes":
        return Buffer.from(value);
      case "hexBytes":
        return value;
    }
  });
}

export function compareOrdered(left: OrderedKey, right: OrderedKey): number {
  for (const [index, value] of left.entries()) {
    const order = compareValues(value, right[index]);
    if (order !== 0) return order;
  }
  return 0;
}

function compareValues(left: Comparable, right: Comparable | undefined): number {
  invariant(right !== undefined, "keys of one table have as many values");
  if (Buffer.isBuffer(left) && Buffer.isBuffer(right)) return Buffer.compare(left, right);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
