/** Insert, Update, Delete and Truncate of pgoutput. Rows are in the columns of their Relation. */
import { ProtocolViolation } from "../../../base/sql-error.ts";
import type { BodyReader } from "../body-reader.ts";
import { decodeTuple, type Tuple } from "./tuple.ts";

export interface Insert {
  readonly kind: "insert";
  readonly relationId: number;
  readonly row: Tuple;
}

export interface Update {
  readonly kind: "update";
  readonly relationId: number;
  /** Undefined where the identity did not change and is not FULL. */
  readonly old: OldRow | undefined;
  readonly row: Tuple;
}

export interface Delete {
  readonly kind: "delete";
  readonly relationId: number;
  readonly old: OldRow;
}

export interface OldRow {
  /** `identity`: all other columns are null in `row`, whatever they were. */
  readonly has: "identity" | "everything";
  readonly row: Tuple;
}

export interface Truncate {
  readonly kind: "truncate";
  readonly relationIds: readonly number[];
}

export function decodeInsert(reader: BodyReader): Insert {
  const relationId = reader.uint32();
  expectNewRow(reader.char());
  const row = decodeTuple(reader);
  reader.end();
  return { kind: "insert", relationId, row };
}

export function decodeUpdate(reader: BodyReader): Update {
  const relationId = reader.uint32();
  let part = reader.char();
  let old: OldRow | undefined;
  if (part !== "N") {
    old = decodeOldRow(part, reader);
    part = reader.char();
  }
  expectNewRow(part);
  const row = decodeTuple(reader);
  reader.end();
  return { kind: "update", relationId, old, row };
}

export function decodeDelete(reader: BodyReader): Delete {
  const relationId = reader.uint32();
  const old = decodeOldRow(reader.char(), reader);
  reader.end();
  return { kind: "delete", relationId, old };
}

export function decodeTruncate(reader: BodyReader): Truncate {
  const count = reader.uint32();
  reader.int8(); // CASCADE and RESTART IDENTITY: every table reached is listed by itself
  const relationIds: number[] = [];
  for (let index = 0; index < count; index += 1) relationIds.push(reader.uint32());
  reader.end();
  return { kind: "truncate", relationIds };
}

function decodeOldRow(part: string, reader: BodyReader): OldRow {
  switch (part) {
    case "K":
      return { has: "identity", row: decodeTuple(reader) };
    case "O":
      return { has: "everything", row: decodeTuple(reader) };
    default:
      throw new ProtocolViolation(`unexpected part ${JSON.stringify(part)} of a row's change`);
  }
}

function expectNewRow(part: string): void {
  if (part !== "N")
    throw new ProtocolViolation(`unexpected part ${JSON.stringify(part)} of a row's change`);
}
