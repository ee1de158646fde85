/**
 * Type OIDs inside binary values: an array names its element type, a record the type of each
 * field. Where the OIDs of two databases differ, they are written over in place.
 *
 *     array    int32 dimensions, int32 flags, element OID, (int32 size, int32 lower bound)…,
 *              then each element behind its int32 length
 *     record   int32 fields, then of each its OID and its value behind an int32 length
 *
 * Source: array_send in arrayfuncs.c, record_send in rowtypes.c. Pure.
 */
import { VALUE_NESTING_MAX } from "../../base/limits.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";

/** How a type's binary form is made up, domains seen through to their base. */
export type TypeShape =
  | { readonly kind: "plain" }
  | { readonly kind: "array"; readonly elementOid: number }
  | { readonly kind: "record" }
  | { readonly kind: "range"; readonly subtypeOid: number };

/** The OIDs that genbki.pl assigns begin here; those below are fixed by hand and equal in all databases and versions. */
export const FIXED_OID_MAX = 9_999;

export interface ValueTypes {
  shapeOf(oid: number): TypeShape;
  /** The other database's OID for the type; throws where it has none. */
  translate(oid: number): number;
}

/** Whether binary values of the type may hold OIDs that differ between databases. */
export function hasEmbeddedOids(oid: number, types: ValueTypes, depth = 0): boolean {
  if (depth > VALUE_NESTING_MAX) return true;
  const shape = types.shapeOf(oid);
  switch (shape.kind) {
    case "plain":
      return false;
    case "record":
      return true;
    case "array":
      return (
        shape.elementOid > FIXED_OID_MAX || hasEmbeddedOids(shape.elementOid, types, depth + 1)
      );
    case "range":
      return hasEmbeddedOids(shape.subtypeOid, types, depth + 1);
  }
}

/** Rewrites the OIDs in `bytes[start, end)`, a value of the type. Throws ProtocolViolation where it is not one. */
export function patchValue(
  bytes: Buffer,
  start: number,
  end: number,
  oid: number,
  types: ValueTypes,
  depth = 0,
): void {
  if (depth > VALUE_NESTING_MAX) throw refusal("it is nested too deeply");
  const shape = types.shapeOf(oid);
  switch (shape.kind) {
    case "plain":
      return;
    case "range":
      if (hasEmbeddedOids(oid, types)) throw refusal("it is a range of composite values");
      return;
    case "array":
      patchArray(new Cursor(bytes, start, end), shape.elementOid, types, depth);
      return;
    case "record":
      patchRecord(new Cursor(bytes, start, end), types, depth);
  }
}

const DIMENSIONS_MAX = 6; // MAXDIM of array.h

function patchArray(value: Cursor, elementOid: number, types: ValueTypes, depth: number): void {
  const dimensions = value.int32();
  if (dimensions < 0 || dimensions > DIMENSIONS_MAX) {
    throw new ProtocolViolation(`invalid number of dimensions: ${dimensions}`);
  }
  value.int32(); // whether there are NULLs
  value.replaceOid(types);
  value.skip(8 * dimensions);
  if (!hasEmbeddedOids(elementOid, types)) return;
  while (!value.isAtEnd) value.patchNext(elementOid, types, depth);
}

function patchRecord(value: Cursor, types: ValueTypes, depth: number): void {
  for (let left = value.int32(); left > 0; left -= 1) {
    const fieldOid = value.replaceOid(types);
    value.patchNext(fieldOid, types, depth);
  }
}

/** Walks one value; each read is checked against its end. */
class Cursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#end;
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.skip(4));
  }

  /** Writes the other database's OID over this one's, which is returned. */
  replaceOid(types: ValueTypes): number {
    const at = this.skip(4);
    const oid = this.#bytes.readUInt32BE(at);
    this.#bytes.writeUInt32BE(types.translate(oid), at);
    return oid;
  }

  /** The next value, behind its length. */
  patchNext(oid: number, types: ValueTypes, depth: number): void {
    const length = this.int32();
    if (length < 0) return;
    const start = this.skip(length);
    patchValue(this.#bytes, start, start + length, oid, types, depth + 1);
  }

  /** Where the skipped bytes began. */
  skip(count: number): number {
    const at = this.#offset;
    if (count > this.#end - at) throw new ProtocolViolation("insufficient data left in value");
    this.#offset = at + count;
    return at;
  }
}

function refusal(reason: string): SqlError {
  return new SqlError(
    "type_not_translatable",
    `binary value cannot be carried between databases: ${reason}`,
    { hint: "Ask for the column in text format." },
  );
}
