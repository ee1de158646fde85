import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** CopyFail (F): the client gives up a COPY it was sending. */
export interface CopyFail {
  readonly kind: "copyFail";
  readonly reason: string;
}

export function decodeCopyFail(body: Buffer): CopyFail {
  const reader = new BodyReader(body);
  const reason = reader.cstringLossy();
  reader.end();
  return { kind: "copyFail", reason };
}

export function encodeCopyFail(message: CopyFail, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.copyFail).cstring(message.reason).end();
}
