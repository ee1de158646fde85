import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import {
  decodeFormatCode,
  decodeFormatCodes,
  encodeFormatCode,
  encodeFormatCodes,
} from "../format-code.ts";
import type { FormatCode } from "../format-code.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** FunctionCall (F): the fast-path call by function OID; libpq's large objects still use it. */
export interface FunctionCall {
  readonly kind: "functionCall";
  readonly functionOid: number;
  /** None: all text. One: for all. Else one for each argument. */
  readonly argumentFormats: readonly FormatCode[];
  readonly arguments: readonly (Buffer | null)[];
  readonly resultFormat: FormatCode;
}

export function decodeFunctionCall(body: Buffer): FunctionCall {
  const reader = new BodyReader(body);
  const functionOid = reader.uint32();
  const argumentFormats = decodeFormatCodes(reader);
  const count = reader.uint16();
  const values: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) values.push(reader.value());
  const resultFormat = decodeFormatCode(reader);
  reader.end();
  return { kind: "functionCall", functionOid, argumentFormats, arguments: values, resultFormat };
}

export function encodeFunctionCall(message: FunctionCall, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.functionCall).int32(message.functionOid);
  encodeFormatCodes(message.argumentFormats, writer);
  writer.int16(message.arguments.length);
  for (const value of message.arguments) writer.value(value);
  encodeFormatCode(message.resultFormat, writer);
  writer.end();
}
