/**
 * SASLprep (RFC 4013) as PostgreSQL's src/common/saslprep.c does it, for SCRAM passwords.
 *
 * Where PostgreSQL departs from the RFC, so does this, since both ends must derive the same
 * key: ASCII passes untouched (control characters included), the checks look at the mapped
 * text before its normalization, and what fails a check is used as its raw bytes.
 */
import { isAscii, isUtf8 } from "node:buffer";
import {
  LEFT_TO_RIGHT,
  MAPPED_TO_NOTHING,
  MAPPED_TO_SPACE,
  PROHIBITED,
  RIGHT_TO_LEFT,
  UNASSIGNED,
} from "./saslprep-tables.ts";

/** The bytes to derive a key from. */
export function saslprep(password: Buffer): Buffer {
  if (isAscii(password) || !isUtf8(password)) return password;
  const mapped = mapCodePoints(password.toString("utf8"));
  if (mapped.length === 0 || !isAllowed(mapped)) return password;
  return Buffer.from(String.fromCodePoint(...mapped).normalize("NFKC"), "utf8");
}

function mapCodePoints(text: string): readonly number[] {
  const mapped: number[] = [];
  for (const character of text) {
    const codePoint = character.codePointAt(0) ?? 0;
    if (MAPPED_TO_SPACE.has(codePoint)) mapped.push(0x20);
    else if (!MAPPED_TO_NOTHING.has(codePoint)) mapped.push(codePoint);
  }
  return mapped;
}

function isAllowed(codePoints: readonly number[]): boolean {
  if (codePoints.some((each) => PROHIBITED.has(each) || UNASSIGNED.has(each))) return false;
  if (!codePoints.some((each) => RIGHT_TO_LEFT.has(each))) return true;
  if (codePoints.some((each) => LEFT_TO_RIGHT.has(each))) return false;
  return RIGHT_TO_LEFT.has(codePoints[0] ?? 0) && RIGHT_TO_LEFT.has(codePoints.at(-1) ?? 0);
}
