/** How a value is written: as its type's text, or in its type's binary form. On the wire 0 and 1. */
import { ProtocolViolation } from "../../base/sql-error.ts";
import type { BodyReader } from "./body-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";

export type FormatCode = "text" | "binary";

/** A code of neither format, in a message that is otherwise as it should be. */
export class UnsupportedFormatCode extends ProtocolViolation {
  constructor(code: number) {
    super(`unsupported format code: ${code}`);
  }
}

export function decodeFormatCode(body: BodyReader): FormatCode {
  const code = body.int16();
  if (code === 0) return "text";
  if (code === 1) return "binary";
  throw new UnsupportedFormatCode(code);
}

export function encodeFormatCode(format: FormatCode, writer: FrameWriter): void {
  writer.int16(format === "text" ? 0 : 1);
}

/** A count, then as many codes. */
export function decodeFormatCodes(body: BodyReader): readonly FormatCode[] {
  const count = body.uint16();
  const formats: FormatCode[] = [];
  for (let index = 0; index < count; index++) formats.push(decodeFormatCode(body));
  return formats;
}

export function encodeFormatCodes(formats: readonly FormatCode[], writer: FrameWriter): void {
  writer.int16(formats.length);
  for (const format of formats) encodeFormatCode(format, writer);
}
