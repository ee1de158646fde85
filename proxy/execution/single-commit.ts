/**
 * The COMMIT of a transaction that has one part: asked and answered with no promise between, which every
 * transaction of one database would pay for. What it means is what two-phase-commit.ts says of
 * `commitOne` and `endReader`.
 */
import { BackendError } from "../backend/backend-connection.ts";
import { decodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import { AnswerRelay } from "./answer-relay.ts";
import type { PipelineOwner, Verdict } from "./answer-relay.ts";
import type { Participant } from "./participant.ts";
import { commitLost, notCommitted, rollback } from "./two-phase-commit.ts";

const COMMIT = Buffer.from(encodeToBuffer(encodeQuery, { kind: "query", sql: "COMMIT" }));

/** Told once, when the connection is at rest: `error` where it was not committed, or may not have been. */
export type Committed = (error: unknown) => void;

export class SingleCommit implements PipelineOwner {
  readonly isFull = false;
  readonly #part: Participant;
  readonly #committed: Committed;
  #error: BackendError | undefined;
  #tag = "";

  /** `part` is at rest in its transaction. */
  static start(part: Participant, committed: Committed): void {
    const { connection } = part;
    connection.expectReady();
    connection.sendNow(COMMIT);
    AnswerRelay.start(connection, new SingleCommit(part, committed), 1);
  }

  private constructor(part: Participant, committed: Committed) {
    this.#part = part;
    this.#committed = committed;
  }

  judge(type: number, bytes: Buffer, start: number, end: number): Verdict {
    const body = bytes.subarray(start + FRAME_HEADER_BYTES, end);
    if (type === BACKEND_TYPE.commandComplete) this.#tag = decodeCommandComplete(body).tag;
    else if (type === BACKEND_TYPE.errorResponse)
      this.#error ??= new BackendError(decodeErrorResponse(body).fields);
    return false;
  }

  judgeReady(): Verdict {
    return false;
  }

  give(): void {
    // A notice of a COMMIT is nobody's.
  }

  whenRoom(): void {
    // There is always room for nothing.
  }

  next(): boolean {
    return true;
  }

  halted(): void {
    // Nothing follows it.
  }

  answered(): void {
    const { connection, database, wrote } = this.#part;
    const error = this.#error;
    if (wrote === "no") {
      // A reader that cannot commit has lost nothing.
      if (error !== undefined) connection.destroy();
      this.#committed(undefined);
    } else if (error !== undefined) void rollback(connection).finally(() => this.#committed(error));
    else this.#committed(this.#tag === "COMMIT" ? undefined : notCommitted(database));
  }

  lost(error: unknown): void {
    const { connection, database, wrote } = this.#part;
    connection.destroy();
    this.#committed(wrote === "no" ? undefined : commitLost(database, error));
  }
}
