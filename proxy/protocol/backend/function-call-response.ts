import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** FunctionCallResponse (B): the result of a fast-path call. */
export interface FunctionCallResponse {
  readonly kind: "functionCallResponse";
  readonly result: Buffer | null;
}

export function decodeFunctionCallResponse(body: Buffer): FunctionCallResponse {
  const reader = new BodyReader(body);
  const result = reader.value();
  reader.end();
  return { kind: "functionCallResponse", result };
}

export function encodeFunctionCallResponse(
  message: FunctionCallResponse,
  writer: FrameWriter,
): void {
  writer.begin(BACKEND_TYPE.functionCallResponse).value(message.result).end();
}
