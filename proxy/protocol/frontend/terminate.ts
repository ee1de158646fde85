import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Terminate (F): the client goes; nothing answers it. */
export interface Terminate {
  readonly kind: "terminate";
}

export function decodeTerminate(body: Buffer): Terminate {
  new BodyReader(body).end();
  return { kind: "terminate" };
}

export function encodeTerminate(_message: Terminate, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.terminate).end();
}
