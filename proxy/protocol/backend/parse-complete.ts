import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** ParseComplete (B): the statement is prepared. */
export interface ParseComplete {
  readonly kind: "parseComplete";
}

export function decodeParseComplete(body: Buffer): ParseComplete {
  new BodyReader(body).end();
  return { kind: "parseComplete" };
}

export function encodeParseComplete(_message: ParseComplete, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.parseComplete).end();
}
