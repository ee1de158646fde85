import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Sync (F): ends a batch of the extended protocol, and with it an implicit transaction; always answered by ReadyForQuery. */
export interface Sync {
  readonly kind: "sync";
}

export function decodeSync(body: Buffer): Sync {
  new BodyReader(body).end();
  return { kind: "sync" };
}

export function encodeSync(_message: Sync, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.sync).end();
}
