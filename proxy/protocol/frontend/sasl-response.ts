import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** SASLResponse (F): the client's next words to its mechanism; the whole body. */
export interface SaslResponse {
  readonly kind: "saslResponse";
  readonly data: Buffer;
}

export function decodeSaslResponse(body: Buffer): SaslResponse {
  return { kind: "saslResponse", data: body };
}

export function encodeSaslResponse(message: SaslResponse, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.password).bytes(message.data).end();
}
