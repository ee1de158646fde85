/**
 * One read that is put to a server among those of others, from when it is asked for until its
 * owner has been told the last of it; and a sending, the batch of messages that it is part of.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { Sharing } from "../../../planner/logical-plan.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import type { Claim } from "../../backend/claim.ts";
import type { FrameWriter } from "../../protocol/frame-writer.ts";
import type { AnswerOwner } from "../answer-relay.ts";
import type { PreparedText } from "../prepared-texts.ts";

/** Who asks. Of what an answer's owner is told, `answered`, `lost` or `again` comes once, and last. */
export interface ReadOwner extends AnswerOwner {
  /**
   * Writes the read's messages, up to one Sync or Query, without sending them. Throws before
   * anything is written.
   */
  encode(connection: BackendConnection, writer: FrameWriter): void;
  /** How it would ask for a connection of its own. */
  claim(): Claim;
  /** Nothing of an answer was given: the read is to be made on a connection of its own. */
  again(): void;
}

/** Why a read is not made on a shared connection, or not to its end there. */
export type Fallback =
  /** None could be had, or the priority is another than most have. */
  | "no connection"
  /** As many reads as may be wait on those that there are. */
  | "full"
  /** The statement has taken long lately, or had a long answer. */
  | "slow statement"
  /** What is answered before it takes long. */
  | "stalled"
  /** What is answered before it has a client that reads slowly. */
  | "slow client"
  /** What is answered before it is cancelled. */
  | "neighbour cancelled"
  /** The connection is lost. */
  | "lost"
  /** The statement was to be prepared by another's read, which has failed. */
  | "not prepared";

/** Under what a read runs: one that is given up, or cancelled, is so where it is. */
export interface Carrier {
  cancel(read: SharedRead, isGone: boolean): void;
}

export class SharedRead {
  readonly owner: ReadOwner;
  /** Undefined once it is over. */
  sending: Sending | undefined;
  /** Its owner is to see nothing more of this answer but its end. */
  isMuted = false;
  /** Bytes that were given since its client has had no room for more. */
  unreadBytes = 0;

  constructor(owner: ReadOwner) {
    this.owner = owner;
  }

  /** Its client wants it no more. `isGone`: nobody is there to be told what comes of it. */
  cancel(isGone: boolean): void {
    const { sending } = this;
    if (sending === undefined) return;
    if (sending.carrier !== undefined) sending.carrier.cancel(this, isGone);
    else sending.drop(this);
  }
}

const NOBODY: readonly SharedRead[] = [];

/** A batch of its own, which one ReadyForQuery ends. */
export class Sending {
  readonly sharing: Sharing;
  /** What a backend prepares for it, under a name; undefined where it comes with its own text. */
  readonly prepared: PreparedText | undefined;
  /** Who gets the answer: several where they have asked for the same, none where nobody wants it any more. */
  members: readonly SharedRead[] = NOBODY;
  carrier: Carrier | undefined;
  /** The statement is known to be prepared where it runs. */
  isParsed = false;
  /** Something of the answer was given. */
  hasGiven = false;
  answerBytes = 0;
  /** How many have got the whole of it. */
  answeredCount = 0;
  /** Its server was asked to stop it. */
  isCancelled = false;
  /** To be made again, each by its owner: the answer is none. */
  mustRepeat = false;

  constructor(sharing: Sharing, prepared: PreparedText | undefined) {
    this.sharing = sharing;
    this.prepared = prepared;
  }

  get isWanted(): boolean {
    return this.members.length > 0;
  }

  join(read: SharedRead): void {
    this.members = this.isWanted ? [...this.members, read] : [read];
    read.sending = this;
  }

  leave(read: SharedRead): void {
    read.sending = undefined;
    this.members = this.members.filter((each) => each !== read);
  }

  /** The read is cancelled here, whatever becomes of the others' answer. */
  drop(read: SharedRead): void {
    this.leave(read);
    read.owner.lost(new SqlError("query_canceled", "canceling statement due to user request"));
  }

  /** Nobody is left; gives who was. */
  end(): readonly SharedRead[] {
    const { members } = this;
    this.members = NOBODY;
    for (const each of members) each.sending = undefined;
    return members;
  }
}
