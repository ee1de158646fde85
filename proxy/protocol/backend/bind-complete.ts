import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** BindComplete (B): the portal is ready. */
export interface BindComplete {
  readonly kind: "bindComplete";
}

export function decodeBindComplete(body: Buffer): BindComplete {
  new BodyReader(body).end();
  return { kind: "bindComplete" };
}

export function encodeBindComplete(_message: BindComplete, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.bindComplete).end();
}
