import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** CopyDone (F and B): the data of a COPY is complete. */
export interface CopyDone {
  readonly kind: "copyDone";
}

export function decodeCopyDone(body: Buffer): CopyDone {
  new BodyReader(body).end();
  return { kind: "copyDone" };
}

export function encodeCopyDone(_message: CopyDone, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.copyDone).end();
}
