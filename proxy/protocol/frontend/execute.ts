import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Execute (F): runs a portal, or runs it on. */
export interface Execute {
  readonly kind: "execute";
  /** Empty for the unnamed portal. */
  readonly portal: string;
  /** Rows at most; 0 (PostgreSQL takes less as 0, too) is all of them. */
  readonly rowLimit: number;
}

export function decodeExecute(body: Buffer): Execute {
  const reader = new BodyReader(body);
  const portal = reader.cstring();
  const rowLimit = reader.int32();
  reader.end();
  return { kind: "execute", portal, rowLimit: Math.max(0, rowLimit) };
}

export function encodeExecute(message: Execute, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.execute).cstring(message.portal).int32(message.rowLimit).end();
}
