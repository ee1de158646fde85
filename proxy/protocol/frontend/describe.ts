import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Describe (F): asks for the parameters and columns of a statement, or the columns of a portal. */
export interface Describe {
  readonly kind: "describe";
  readonly target: "statement" | "portal";
  /** Empty for the unnamed one. */
  readonly name: string;
}

export function decodeDescribe(body: Buffer): Describe {
  const reader = new BodyReader(body);
  const target = reader.char();
  const name = reader.cstring();
  reader.end();
  switch (target) {
    case "S":
      return { kind: "describe", target: "statement", name };
    case "P":
      return { kind: "describe", target: "portal", name };
    default:
      throw new ProtocolViolation(`invalid DESCRIBE message subtype ${target.charCodeAt(0)}`);
  }
}

export function encodeDescribe(message: Describe, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.describe);
  writer
    .char(message.target === "statement" ? "S" : "P")
    .cstring(message.name)
    .end();
}
