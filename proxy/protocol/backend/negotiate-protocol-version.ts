import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** NegotiateProtocolVersion (B): the client asked for more than the server has; it may go on with less, or leave. */
export interface NegotiateProtocolVersion {
  readonly kind: "negotiateProtocolVersion";
  /** The version the connection goes on with. */
  readonly major: number;
  readonly minor: number;
  /** Requested `_pq_.` parameters the server does not know. */
  readonly unrecognizedParameters: readonly string[];
}

export function decodeNegotiateProtocolVersion(body: Buffer): NegotiateProtocolVersion {
  const reader = new BodyReader(body);
  const major = reader.uint16();
  const minor = reader.uint16();
  const count = reader.uint32();
  const unrecognizedParameters: string[] = [];
  for (let index = 0; index < count; index++) unrecognizedParameters.push(reader.cstring());
  reader.end();
  return { kind: "negotiateProtocolVersion", major, minor, unrecognizedParameters };
}

export function encodeNegotiateProtocolVersion(
  message: NegotiateProtocolVersion,
  writer: FrameWriter,
): void {
  writer.begin(BACKEND_TYPE.negotiateProtocolVersion).int16(message.major).int16(message.minor);
  writer.int32(message.unrecognizedParameters.length);
  for (const name of message.unrecognizedParameters) writer.cstring(name);
  writer.end();
}
