import { BodyReader } from "../body-reader.ts";
import { FRAME_HEADER_BYTES } from "../frame-reader.ts";
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

const LETTER_I = LETTER.idle.charCodeAt(0);
const LETTER_T = LETTER.inTransaction.charCodeAt(0);
const LETTER_E = LETTER.failed.charCodeAt(0);

export function decodeReadyForQuery(body: Buffer): ReadyForQuery {
  const reader = new BodyReader(body);
  const letter = reader.uint8();
  reader.end();
  return { kind: "readyForQuery", status: statusOf(letter) };
}

/** The status of the ReadyForQuery `bytes[start, end)`, header and all: one ends every answer. */
export function readyStatus(bytes: Buffer, start: number, end: number): TransactionStatus {
  const at = start + FRAME_HEADER_BYTES;
  if (end !== at + 1) return decodeReadyForQuery(bytes.subarray(at, end)).status;
  return statusOf(bytes[at] ?? 0);
}

function statusOf(letter: number): TransactionStatus {
  if (letter === LETTER_I) return "idle";
  if (letter === LETTER_T) return "inTransaction";
  if (letter === LETTER_E) return "failed";
  throw new ProtocolViolation(`unknown transaction status ${letter}`);
}

export function encodeReadyForQuery(message: ReadyForQuery, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.readyForQuery).char(LETTER[message.status]).end();
}
