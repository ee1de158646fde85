/**
 * Cuts the data of COPY ... TO into rows and finds the fields of the shard key in each, in
 * either format. What is between is not read: rows go on as the bytes they came as.
 *
 * Source: PostgreSQL's manual, COPY, "File Formats". A server sends whole rows in a CopyData.
 */
import { ProtocolViolation } from "../base/sql-error.ts";
import type { KeyField } from "./move.ts";

export type CopyFormat = "binary" | "text";

/** The signature, no flags, no header extension. */
export const BINARY_HEADER = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex");

/** A count of fields of -1: there are no more rows. */
export const BINARY_TRAILER = Buffer.from("ffff", "hex");

/** Of one CopyData of a binary COPY, without the header that the first one begins with: undefined at the trailer. */
export function binaryRow(
  data: Buffer,
  fields: readonly number[],
): readonly KeyField[] | undefined {
  if (data.length < 2) throw malformed();
  const count = data.readInt16BE(0);
  if (count === -1) return undefined;
  const found: KeyField[] = Array.from({ length: fields.length }, () => null);
  let at = 2;
  for (let index = 0; index < count; index += 1) {
    if (data.length - at < 4) throw malformed();
    const length = data.readInt32BE(at);
    at += 4;
    const bytes = length === -1 ? 0 : length;
    if (bytes < 0 || bytes > data.length - at) throw malformed();
    for (const [position, field] of fields.entries())
      if (field === index && length !== -1) found[position] = data.subarray(at, at + bytes);
    at += bytes;
  }
  if (at !== data.length) throw malformed();
  return found;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

/** Of one CopyData of a text COPY: a line. */
export function textRow(data: Buffer, fields: readonly number[]): readonly KeyField[] {
  if (data.at(-1) !== NEWLINE) throw malformed();
  const found: KeyField[] = Array.from({ length: fields.length }, () => null);
  let at = 0;
  for (let index = 0; at < data.length; index += 1) {
    let end = data.indexOf(TAB, at);
    if (end === -1) end = data.length - 1;
    for (const [position, field] of fields.entries())
      if (field === index) found[position] = unescaped(data.subarray(at, end));
    at = end + 1;
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function unescaped(field: Buffer): KeyField {
  const text = field.toString("utf8");
  if (text === String.raw`\N`) return null;
  if (!field.includes(BACKSLASH)) return text;
  return text.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

function malformed(): ProtocolViolation {
  return new ProtocolViolation("the data of COPY is not a row of its format");
}
