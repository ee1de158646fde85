import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** ErrorResponse (B): a statement failed; FATAL and PANIC end the connection. */
export interface ErrorResponse {
  readonly kind: "errorResponse";
  readonly fields: ErrorFields;
}

/** In the order in which PostgreSQL's send_message_to_frontend writes them. */
const FIELD_LETTERS = [
  "S", // severity, in the server's language
  "V", // severity, never translated
  "C", // SQLSTATE
  "M", // message
  "D", // detail
  "H", // hint
  "W", // where: the call stack of functions and queries
  "s", // schema
  "t", // table
  "c", // column
  "d", // data type
  "n", // constraint
  "P", // position in the statement, one-based, in characters
  "p", // position in the internal query
  "q", // internal query
  "F", // source file
  "L", // source line
  "R", // source function
] as const;

/** Fields by their letter in the manual's "Error and Notice Message Fields". */
export type ErrorFields = Readonly<Partial<Record<(typeof FIELD_LETTERS)[number], string>>>;

export function decodeErrorResponse(body: Buffer): ErrorResponse {
  return { kind: "errorResponse", fields: decodeErrorFields(body) };
}

export function encodeErrorResponse(message: ErrorResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.errorResponse);
  encodeErrorFields(message.fields, writer);
  writer.end();
}

/**
 * Shared with NoticeResponse. Unknown letters are skipped, as the manual asks. Texts are for
 * people, and before authentication in whatever encoding the server has, so they are read leniently.
 */
export function decodeErrorFields(body: Buffer): ErrorFields {
  const reader = new BodyReader(body);
  const fields: Partial<Record<(typeof FIELD_LETTERS)[number], string>> = {};
  for (let letter = reader.char(); letter !== "\0"; letter = reader.char()) {
    const text = reader.cstringLossy();
    const known = FIELD_LETTERS.find((each) => each === letter);
    if (known !== undefined) fields[known] = text;
  }
  reader.end();
  return fields;
}

export function encodeErrorFields(fields: ErrorFields, writer: FrameWriter): void {
  for (const letter of FIELD_LETTERS) {
    const text = fields[letter];
    if (text !== undefined) writer.char(letter).cstring(text);
  }
  writer.byte(0);
}
