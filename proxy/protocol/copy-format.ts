/** The body that CopyInResponse, CopyOutResponse and CopyBothResponse share: an overall format, then one for each column. */
import { ProtocolViolation } from "../../base/sql-error.ts";
import { BodyReader } from "./body-reader.ts";
import { decodeFormatCodes, encodeFormatCodes } from "./format-code.ts";
import type { FormatCode } from "./format-code.ts";
import type { FrameWriter } from "./frame-writer.ts";

export interface CopyFormat {
  readonly format: FormatCode;
  readonly columnFormats: readonly FormatCode[];
}

export function decodeCopyFormat(body: Buffer): CopyFormat {
  const reader = new BodyReader(body);
  const code = reader.int8();
  if (code !== 0 && code !== 1) throw new ProtocolViolation(`unsupported format code: ${code}`);
  const columnFormats = decodeFormatCodes(reader);
  reader.end();
  return { format: code === 0 ? "text" : "binary", columnFormats };
}

export function encodeCopyFormat(message: CopyFormat, writer: FrameWriter): void {
  writer.byte(message.format === "text" ? 0 : 1);
  encodeFormatCodes(message.columnFormats, writer);
}
