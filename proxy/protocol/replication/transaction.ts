/** Begin, Commit, Origin and Message of pgoutput: what surrounds and marks the rows of a transaction. */
import { lsn, type Lsn } from "../../../base/lsn.ts";
import type { BodyReader } from "../body-reader.ts";

/** Only committed transactions are sent, one after another in the order of their commits. */
export interface Begin {
  readonly kind: "begin";
  /** Where the transaction's commit record stands. */
  readonly commitLsn: Lsn;
  /** The low 32 bits of its id. */
  readonly transactionId: number;
}

export interface Commit {
  readonly kind: "commit";
  readonly commitLsn: Lsn;
  /** Behind the commit record: a receiver that has this durably has the transaction. */
  readonly endLsn: Lsn;
}

/** Behind Begin: the transaction's session had set up a replication origin. */
export interface Origin {
  readonly kind: "origin";
  readonly name: string;
}

/** What somebody gave to pg_logical_emit_message. Outside a transaction where it is not transactional. */
export interface LogicalMessage {
  readonly kind: "message";
  readonly isTransactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  readonly content: Buffer;
}

export function decodeBegin(reader: BodyReader): Begin {
  const commitLsn = lsn(reader.uint64());
  reader.uint64(); // the time of the commit, which decides nothing
  const transactionId = reader.uint32();
  reader.end();
  return { kind: "begin", commitLsn, transactionId };
}

export function decodeCommit(reader: BodyReader): Commit {
  reader.int8(); // flags, of which there are none
  const commitLsn = lsn(reader.uint64());
  const endLsn = lsn(reader.uint64());
  reader.uint64();
  reader.end();
  return { kind: "commit", commitLsn, endLsn };
}

export function decodeOrigin(reader: BodyReader): Origin {
  reader.uint64(); // a position in the origin's own log
  const name = reader.cstring();
  reader.end();
  return { kind: "origin", name };
}

export function decodeLogicalMessage(reader: BodyReader): LogicalMessage {
  const flags = reader.int8();
  const at = lsn(reader.uint64());
  const prefix = reader.cstring();
  const content = reader.bytes(reader.uint32());
  reader.end();
  return { kind: "message", isTransactional: (flags & 1) !== 0, lsn: at, prefix, content };
}
