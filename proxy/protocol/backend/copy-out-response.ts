import { decodeCopyFormat, encodeCopyFormat } from "../copy-format.ts";
import type { CopyFormat } from "../copy-format.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** CopyOutResponse (B): the server's CopyData follows. */
export interface CopyOutResponse extends CopyFormat {
  readonly kind: "copyOutResponse";
}

export function decodeCopyOutResponse(body: Buffer): CopyOutResponse {
  return { kind: "copyOutResponse", ...decodeCopyFormat(body) };
}

export function encodeCopyOutResponse(message: CopyOutResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.copyOutResponse);
  encodeCopyFormat(message, writer);
  writer.end();
}
