import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** BackendKeyData (B): what a later CancelRequest must repeat to be believed. */
export interface BackendKeyData {
  readonly kind: "backendKeyData";
  readonly processId: number;
  /** 4 bytes in protocol 3.0, 4 to 256 in 3.2. */
  readonly secretKey: Buffer;
}

/** Bounds of the manual's "BackendKeyData". */
export const SECRET_KEY_BYTES_MIN = 4;
export const SECRET_KEY_BYTES_MAX = 256;

export function decodeBackendKeyData(body: Buffer): BackendKeyData {
  const reader = new BodyReader(body);
  const processId = reader.int32();
  const secretKey = reader.rest();
  if (secretKey.length < SECRET_KEY_BYTES_MIN || secretKey.length > SECRET_KEY_BYTES_MAX) {
    throw new ProtocolViolation(`invalid cancel key length: ${secretKey.length} bytes`);
  }
  return { kind: "backendKeyData", processId, secretKey };
}

export function encodeBackendKeyData(message: BackendKeyData, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.backendKeyData).int32(message.processId).bytes(message.secretKey).end();
}
