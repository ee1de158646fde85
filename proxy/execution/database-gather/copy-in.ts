/**
 * One `COPY ... FROM STDIN (FORMAT binary)` on one backend, fed with DataRow frames.
 *
 * A DataRow's body (a field count, then each value behind its length) is a tuple of COPY's
 * binary format, and DataRow and CopyData frames differ in their type byte alone: a row becomes a
 * piece of the copy without being looked into. Manual: "COPY", "Binary Format"; "Message Formats".
 *
 * It knows bytes and back-pressure, and neither tables nor where rows come from.
 */
import type { SqlError } from "../../../base/sql-error.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import { backendFailure } from "../../backend/backend-error.ts";
import type { BackendError } from "../../backend/backend-error.ts";
import type { BackendRun } from "../../protocol/backend-run-reader.ts";
import { runBody } from "../../protocol/backend-run-reader.ts";
import { decodeErrorResponse } from "../../protocol/backend/error-response.ts";
import { encodeToBuffer } from "../../protocol/frame-writer.ts";
import { encodeCopyData } from "../../protocol/frontend/copy-data.ts";
import { encodeCopyDone } from "../../protocol/frontend/copy-done.ts";
import { encodeCopyFail } from "../../protocol/frontend/copy-fail.ts";
import { encodeQuery } from "../../protocol/frontend/query.ts";
import { BACKEND_TYPE, FRONTEND_TYPE } from "../../protocol/message-type.ts";
import { drainToReady } from "../backend-answer.ts";

import type { DataRowRun } from "../shard-rows.ts";

/** Signature, no flags, no header extension. */
const HEADER = copyData(Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1"));
/** A field count of -1. */
const TRAILER = copyData(Buffer.from([0xff, 0xff]));
const COPY_DONE = encodeToBuffer(encodeCopyDone, { kind: "copyDone" });
const COPY_FAIL = encodeToBuffer(encodeCopyFail, {
  kind: "copyFail",
  reason: "the rows could not be read",
});

function copyData(data: Buffer): Buffer {
  return encodeToBuffer(encodeCopyData, { kind: "copyData", data });
}

export class CopyIn {
  readonly #connection: BackendConnection;
  #isOpen = true;
  /** The server has ended it by itself. */
  #failure: BackendError | SqlError | undefined;

  /**
   * `sql` is the COPY. Its rows may follow at once: where it is refused, the server drops them,
   * and who writes next is told.
   */
  constructor(connection: BackendConnection, sql: string) {
    this.#connection = connection;
    connection.expectReady();
    connection.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
    connection.send(HEADER);
  }

  /** Resolves when the server has room for more: a slow server slows whoever gives the rows. */
  async write(run: DataRowRun): Promise<void> {
    await this.#takeArrived();
    this.#connection.send(asCopyData(run));
    await this.#connection.drained();
  }

  /** All rows are in the table, or the server's error is thrown, after which the connection is ready again. */
  async end(): Promise<void> {
    this.#connection.send(TRAILER);
    this.#connection.send(COPY_DONE);
    while (this.#isOpen) await this.#take(await this.#connection.receive());
    this.#throwFailure();
  }

  /** Gives the copy up, after which its transaction has failed. Never rejects. */
  async fail(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#connection.send(COPY_FAIL);
    await drainToReady(this.#connection);
  }

  /** What a server says before the end is an error, a notice, or that it is gone. */
  async #takeArrived(): Promise<void> {
    const { isBroken } = this.#connection;
    for (;;) {
      const run = isBroken ? await this.#connection.receive() : this.#connection.tryReceive();
      if (run === undefined) return this.#throwFailure();
      await this.#take(run);
    }
  }

  async #take(run: BackendRun): Promise<void> {
    switch (run.type) {
      case BACKEND_TYPE.errorResponse: {
        // Of the proxy's own text, so its position means nothing to the client.
        const { P: _, ...fields } = decodeErrorResponse(runBody(run)).fields;
        this.#failure = backendFailure(this.#connection.database, fields);
        this.#isOpen = false;
        // The server drops by itself what is still sent of this copy.
        await drainToReady(this.#connection);
        break;
      }
      case BACKEND_TYPE.readyForQuery:
        this.#isOpen = false;
        break;
      default:
        break;
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** One copy of the whole run, then a byte a row. */
function asCopyData({ bytes }: DataRowRun): Buffer {
  const frames = Buffer.from(bytes);
  for (let at = 0; at < frames.length; at += 1 + frames.readUInt32BE(at + 1))
    frames[at] = FRONTEND_TYPE.copyData;
  return frames;
}
