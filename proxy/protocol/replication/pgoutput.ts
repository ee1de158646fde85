/**
 * Messages of pgoutput, PostgreSQL's own output plugin for logical replication, in version 1 of
 * its protocol: whole committed transactions, one after another, values as text.
 *
 *     Begin [Origin] { [Type…] [Relation] Insert | Update | Delete | Truncate | Message } Commit
 *
 * Decoders only, without state: which Relation a row is of is for the reader to remember.
 *
 * Source: PostgreSQL's manual 54.9 (Logical Replication Message Formats); proto.c.
 */
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BodyReader } from "../body-reader.ts";
import { decodeRelation, decodeType, type Relation, type TypeMessage } from "./relation.ts";
import {
  decodeDelete,
  decodeInsert,
  decodeTruncate,
  decodeUpdate,
  type Delete,
  type Insert,
  type Truncate,
  type Update,
} from "./row-change.ts";
import {
  decodeBegin,
  decodeCommit,
  decodeLogicalMessage,
  decodeOrigin,
  type Begin,
  type Commit,
  type LogicalMessage,
  type Origin,
} from "./transaction.ts";

export type PgoutputMessage =
  | Begin
  | Commit
  | Origin
  | LogicalMessage
  | Relation
  | TypeMessage
  | Insert
  | Update
  | Delete
  | Truncate;

/** Rows are views of `data`. */
export function decodePgoutput(data: Buffer): PgoutputMessage {
  const reader = new BodyReader(data);
  const type = reader.char();
  switch (type) {
    case "B":
      return decodeBegin(reader);
    case "C":
      return decodeCommit(reader);
    case "O":
      return decodeOrigin(reader);
    case "M":
      return decodeLogicalMessage(reader);
    case "R":
      return decodeRelation(reader);
    case "Y":
      return decodeType(reader);
    case "I":
      return decodeInsert(reader);
    case "U":
      return decodeUpdate(reader);
    case "D":
      return decodeDelete(reader);
    case "T":
      return decodeTruncate(reader);
    default:
      throw new ProtocolViolation(`unexpected message ${JSON.stringify(type)} of pgoutput`);
  }
}
