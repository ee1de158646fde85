import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** EmptyQueryResponse (B): stands in for CommandComplete where the statement was empty. */
export interface EmptyQueryResponse {
  readonly kind: "emptyQueryResponse";
}

export function decodeEmptyQueryResponse(body: Buffer): EmptyQueryResponse {
  new BodyReader(body).end();
  return { kind: "emptyQueryResponse" };
}

export function encodeEmptyQueryResponse(_message: EmptyQueryResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.emptyQueryResponse).end();
}
