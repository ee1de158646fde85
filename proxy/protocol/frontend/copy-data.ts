import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** CopyData (F and B): a piece of a COPY stream; from a backend whole rows, from a client cut anywhere. */
export interface CopyData {
  readonly kind: "copyData";
  readonly data: Buffer;
}

export function decodeCopyData(body: Buffer): CopyData {
  return { kind: "copyData", data: body };
}

export function encodeCopyData(message: CopyData, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.copyData).bytes(message.data).end();
}
