import { decodeCopyFormat, encodeCopyFormat } from "../copy-format.ts";
import type { CopyFormat } from "../copy-format.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** CopyBothResponse (B): both sides send CopyData; only streaming replication does. */
export interface CopyBothResponse extends CopyFormat {
  readonly kind: "copyBothResponse";
}

export function decodeCopyBothResponse(body: Buffer): CopyBothResponse {
  return { kind: "copyBothResponse", ...decodeCopyFormat(body) };
}

export function encodeCopyBothResponse(message: CopyBothResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.copyBothResponse);
  encodeCopyFormat(message, writer);
  writer.end();
}
