/** The client's side of COPY, as things to say. */
import { cstring } from "../support/raw-frames.ts";
import { query, raw } from "./conversation.ts";
import type { Said } from "./conversation.ts";

export const data = (text: string | Buffer): Said => raw("d", Buffer.from(text));
export const done = (): Said => raw("c");
export const fail = (reason: string): Said => raw("f", cstring(reason));

/** The statement, its data cut into pieces of some bytes, and its end. */
export function copy(sql: string, text: string | Buffer, pieceBytes = 7): readonly Said[] {
  const bytes = Buffer.from(text);
  const pieces: Said[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes)
    pieces.push(data(bytes.subarray(at, at + pieceBytes)));
  return [query(sql), ...pieces, done()];
}

export function binaryRow(...fields: readonly (Buffer | null)[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  const parts = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field === null ? -1 : field.length);
    return field === null ? [length] : [length, field];
  });
  return Buffer.concat([count, ...parts]);
}

export function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

export const BINARY_HEADER = Buffer.concat([
  Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"),
  Buffer.alloc(8),
]);
export const BINARY_END = Buffer.from([0xff, 0xff]);
