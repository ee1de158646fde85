import { decodeCopyFormat, encodeCopyFormat } from "../copy-format.ts";
import type { CopyFormat } from "../copy-format.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** CopyInResponse (B): the server waits for the client's CopyData. */
export interface CopyInResponse extends CopyFormat {
  readonly kind: "copyInResponse";
}

export function decodeCopyInResponse(body: Buffer): CopyInResponse {
  return { kind: "copyInResponse", ...decodeCopyFormat(body) };
}

export function encodeCopyInResponse(message: CopyInResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.copyInResponse);
  encodeCopyFormat(message, writer);
  writer.end();
}
