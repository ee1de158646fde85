/** From the body of a client's frame to the message: what is broken inside is the client's error. */
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { UnsupportedFormatCode } from "../protocol/format-code.ts";

/** Frames are cut rightly, so one whose inside is broken is an error as any other, as in PostgreSQL. */
export function decoded<T>(decode: (body: Buffer) => T, body: Buffer): T {
  try {
    return decode(body);
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    if (error instanceof UnsupportedFormatCode)
      throw new SqlError("format_code_unsupported", error.message, { cause: error });
    throw new SqlError("message_malformed", error.message, { cause: error });
  }
}
