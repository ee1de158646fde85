import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** ParameterDescription (B): the parameter types of a described statement. */
export interface ParameterDescription {
  readonly kind: "parameterDescription";
  readonly typeOids: readonly number[];
}

export function decodeParameterDescription(body: Buffer): ParameterDescription {
  const reader = new BodyReader(body);
  const count = reader.uint16();
  const typeOids: number[] = [];
  for (let index = 0; index < count; index++) typeOids.push(reader.uint32());
  reader.end();
  return { kind: "parameterDescription", typeOids };
}

export function encodeParameterDescription(
  message: ParameterDescription,
  writer: FrameWriter,
): void {
  writer.begin(BACKEND_TYPE.parameterDescription).int16(message.typeOids.length);
  for (const oid of message.typeOids) writer.int32(oid);
  writer.end();
}
