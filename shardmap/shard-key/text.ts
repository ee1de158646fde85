/** text and varchar key values: their UTF-8 bytes, which are what PostgreSQL hashes under a deterministic collation. */
import { isUtf8 } from "node:buffer";

/** pg_type.oid of text and varchar. */
export const TEXT_OIDS: readonly number[] = [25, 1043];

/** What a length limit counts as `varchar(n)` does: the typmod is n and the four bytes of a length word (VARHDRSZ). */
const TYPMOD_HEADER = 4;

/** textin. A zero byte is an error in every server; half a surrogate pair is no character, so what a driver would send is not known. */
export function readText(text: string): Buffer | "invalid" | "unproven" {
  if (text.includes("\0")) return "invalid";
  return text.isWellFormed() ? Buffer.from(text, "utf8") : "unproven";
}

/** textrecv with client_encoding UTF8. */
export function readTextBytes(bytes: Buffer): Buffer | "invalid" {
  return bytes.includes(0) || !isUtf8(bytes) ? "invalid" : bytes;
}

/**
 * A value stored into varchar(n): characters beyond the limit are cut where they are all
 * blanks, else an error (varchar_input, varchar() in utils/adt/varchar.c). -1 is no limit.
 */
export function fitTypmod(bytes: Buffer, typmod: number): Buffer | "invalid" {
  if (typmod < TYPMOD_HEADER) return bytes;
  const limit = typmod - TYPMOD_HEADER;
  if (bytes.length <= limit) return bytes;
  const characters = Array.from(bytes.toString("utf8"));
  if (characters.slice(limit).some((character) => character !== " ")) return "invalid";
  return Buffer.from(characters.slice(0, limit).join(""), "utf8");
}
