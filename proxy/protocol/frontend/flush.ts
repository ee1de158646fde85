import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Flush (F): send what is answered so far, without ending the batch as Sync does. */
export interface Flush {
  readonly kind: "flush";
}

export function decodeFlush(body: Buffer): Flush {
  new BodyReader(body).end();
  return { kind: "flush" };
}

export function encodeFlush(_message: Flush, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.flush).end();
}
