import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** SASLInitialResponse (F): the mechanism the client chose, and its first words. */
export interface SaslInitialResponse {
  readonly kind: "saslInitialResponse";
  readonly mechanism: string;
  /** Null where the mechanism lets the server speak first; SCRAM never does. */
  readonly data: Buffer | null;
}

export function decodeSaslInitialResponse(body: Buffer): SaslInitialResponse {
  const reader = new BodyReader(body);
  const mechanism = reader.cstring();
  const data = reader.value();
  reader.end();
  return { kind: "saslInitialResponse", mechanism, data };
}

export function encodeSaslInitialResponse(message: SaslInitialResponse, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.password).cstring(message.mechanism).value(message.data).end();
}
