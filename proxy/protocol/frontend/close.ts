import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Close (F): drops a prepared statement or a portal by name. An absent name is no error. */
export interface Close {
  readonly kind: "close";
  readonly target: "statement" | "portal";
  /** Empty for the unnamed one. */
  readonly name: string;
}

export function decodeClose(body: Buffer): Close {
  const reader = new BodyReader(body);
  const target = reader.char();
  const name = reader.cstring();
  reader.end();
  switch (target) {
    case "S":
      return { kind: "close", target: "statement", name };
    case "P":
      return { kind: "close", target: "portal", name };
    default:
      throw new ProtocolViolation(`invalid CLOSE message subtype ${target.charCodeAt(0)}`);
  }
}

export function encodeClose(message: Close, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.close);
  writer
    .char(message.target === "statement" ? "S" : "P")
    .cstring(message.name)
    .end();
}
