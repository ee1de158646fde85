import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** ReadyForQuery (B): the batch is over; the status says what a next statement would run in. */
export interface ReadyForQuery {
  readonly kind: "readyForQuery";
  readonly status: TransactionStatus;
}

/** `failed`: a transaction block that takes nothing but its end. */
export type TransactionStatus = "idle" | "inTransaction" | "failed";

const LETTER = { idle: "I", inTransaction: "T", failed: "E" } as const satisfies Readonly<
  Record<TransactionStatus, string>
>;

export function decodeReadyForQuery(body: Buffer): ReadyForQuery {
  const reader = new BodyReader(body);
  const letter = reader.char();
  reader.end();
  switch (letter) {
    case "I":
      return { kind: "readyForQuery", status: "idle" };
    case "T":
      return { kind: "readyForQuery", status: "inTransaction" };
    case "E":
      return { kind: "readyForQuery", status: "failed" };
    default:
      throw new ProtocolViolation(`unknown transaction status ${letter.charCodeAt(0)}`);
  }
}

export function encodeReadyForQuery(message: ReadyForQuery, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.readyForQuery).char(LETTER[message.status]).end();
}
