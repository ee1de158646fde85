import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** CloseComplete (B): the statement or portal is gone, or never was. */
export interface CloseComplete {
  readonly kind: "closeComplete";
}

export function decodeCloseComplete(body: Buffer): CloseComplete {
  new BodyReader(body).end();
  return { kind: "closeComplete" };
}

export function encodeCloseComplete(_message: CloseComplete, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.closeComplete).end();
}
