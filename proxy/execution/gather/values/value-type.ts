/**
 * What the gather must know of a type: how a value is read in both formats, how two
 * compare, and what is the same. One file of this folder for each family of types.
 */
import { SqlError } from "../../../../base/sql-error.ts";

export interface ValueType<Value> {
  /** Reads bytes[start, end), a text-format value. Throws gather_value_unreadable. */
  readonly readText: (bytes: Buffer, start: number, end: number) => Value;
  /** Reads a binary-format value. */
  readonly readBinary: (bytes: Buffer, start: number, end: number) => Value;
  /** As the type's default btree operator class orders; below zero where `a` comes first. */
  readonly compare: (a: Value, b: Value) => number;
  /** Equal for values that the type's `=` holds equal, and for no others. */
  readonly identity: (value: Value) => string;
  /** The binary format of a value in text format: for clients that asked for binary columns. */
  readonly textToBinary: (text: Buffer) => Buffer;
}

/** Numbers, bigints and strings, and mixed numbers and bigints: JavaScript compares them exactly. */
export function compareNatural<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function unreadable(typeName: string): SqlError {
  return new SqlError(
    "gather_value_unreadable",
    `a value of type ${typeName} is not in the form that rows of several placements are compared in`,
  );
}

/** Throws where a binary value has another size than its type. */
export function expectBytes(start: number, end: number, size: number, typeName: string): void {
  if (end - start !== size) throw unreadable(typeName);
}
