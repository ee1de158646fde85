import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** CommandComplete (B): a statement ended well. */
export interface CommandComplete {
  readonly kind: "commandComplete";
  /** `SELECT 3`, `INSERT 0 1`, `BEGIN`. */
  readonly tag: string;
}

export function decodeCommandComplete(body: Buffer): CommandComplete {
  const reader = new BodyReader(body);
  const tag = reader.cstring();
  reader.end();
  return { kind: "commandComplete", tag };
}

export function encodeCommandComplete(message: CommandComplete, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.commandComplete).cstring(message.tag).end();
}
