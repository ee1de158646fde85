import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** ParameterStatus (B): a reported setting's value, at start-up and whenever it changes. */
export interface ParameterStatus {
  readonly kind: "parameterStatus";
  readonly name: string;
  readonly value: string;
}

export function decodeParameterStatus(body: Buffer): ParameterStatus {
  const reader = new BodyReader(body);
  const name = reader.cstring();
  const value = reader.cstring();
  reader.end();
  return { kind: "parameterStatus", name, value };
}

export function encodeParameterStatus(message: ParameterStatus, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.parameterStatus).cstring(message.name).cstring(message.value).end();
}
