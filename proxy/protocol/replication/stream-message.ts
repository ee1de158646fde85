/**
 * What CopyData holds while a server streams its log: pieces of the log, keepalives, and the
 * status that the receiver sends back. Pieces of a logical stream are messages of pgoutput.ts.
 *
 * Source: PostgreSQL's manual 54.4 (Streaming Replication Protocol).
 */
import { lsn, type Lsn } from "../../../base/lsn.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

export type StreamMessage = XLogData | PrimaryKeepalive;

export interface XLogData {
  readonly kind: "xLogData";
  readonly start: Lsn;
  /** The end of the log on the server, which says how far behind the receiver is. */
  readonly serverEnd: Lsn;
  /** A view. */
  readonly data: Buffer;
}

export interface PrimaryKeepalive {
  readonly kind: "primaryKeepalive";
  /** Everything before it that concerns the receiver has been sent. */
  readonly serverEnd: Lsn;
  /** The server gives the connection up soon unless it is answered. */
  readonly isReplyRequested: boolean;
}

/** `flushed` is what the server may forget: a slot never gives it again. */
export interface StandbyStatusUpdate {
  readonly kind: "standbyStatusUpdate";
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly applied: Lsn;
  /** Microseconds since 2000-01-01. */
  readonly clock: bigint;
  readonly isReplyRequested: boolean;
}

export function decodeStreamMessage(body: Buffer): StreamMessage {
  const reader = new BodyReader(body);
  const type = reader.char();
  switch (type) {
    case "w": {
      const start = lsn(reader.uint64());
      const serverEnd = lsn(reader.uint64());
      reader.uint64(); // the server's clock, which decides nothing
      return { kind: "xLogData", start, serverEnd, data: reader.rest() };
    }
    case "k": {
      const serverEnd = lsn(reader.uint64());
      reader.uint64();
      const isReplyRequested = reader.int8() !== 0;
      reader.end();
      return { kind: "primaryKeepalive", serverEnd, isReplyRequested };
    }
    default:
      throw new ProtocolViolation(`unexpected replication message ${JSON.stringify(type)}`);
  }
}

export function encodeStandbyStatusUpdate(message: StandbyStatusUpdate, writer: FrameWriter): void {
  const body = Buffer.alloc(34);
  body.write("r");
  body.writeBigUInt64BE(message.written, 1);
  body.writeBigUInt64BE(message.flushed, 9);
  body.writeBigUInt64BE(message.applied, 17);
  body.writeBigInt64BE(message.clock, 25);
  body.writeUInt8(message.isReplyRequested ? 1 : 0, 33);
  writer.begin(FRONTEND_TYPE.copyData).bytes(body).end();
}
