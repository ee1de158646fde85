/**
 * Rows of one placement that wait to be put to its database, and which lines of the client's data
 * they were. A batch is one COPY of its own, so that many placements share one connection, and an
 * error's line can be given back as the client counts.
 */
import type { CopyRows } from "../../../planner/copy/copy-plan.ts";
import type { RenderedSql } from "../../../planner/sql-template.ts";
import { BackendError } from "../../backend/backend-connection.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import { decodeCommandComplete } from "../../protocol/backend/command-complete.ts";
import { decodeErrorResponse } from "../../protocol/backend/error-response.ts";
import type { ErrorFields } from "../../protocol/backend/error-response.ts";
import { runBody } from "../../protocol/backend-run-reader.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { encodeCopyData } from "../../protocol/frontend/copy-data.ts";
import { encodeCopyDone } from "../../protocol/frontend/copy-done.ts";
import { encodeQuery } from "../../protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../../protocol/message-type.ts";
import { drainToReady, inClientText } from "../backend-answer.ts";

import { BINARY_HEADER, BINARY_TRAILER } from "./binary-rows.ts";
import type { CopyRow } from "./copy-format.ts";
import { asOfClientsRow } from "./short-rows.ts";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

export class CopyBatch {
  readonly #pieces: Buffer[] = [];
  /** By row: as the client sent it, without its end of line. */
  readonly #rows: Buffer[] = [];
  /** By row: the last line it has in the batch, and in the client's data. */
  readonly #batchLines: number[] = [];
  readonly #clientLines: number[] = [];
  bytes = 0;

  get rowCount(): number {
    return this.#rows.length;
  }

  add(row: CopyRow, pieces: readonly Buffer[]): void {
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.bytes += piece.length;
    }
    this.#rows.push(row.bytes.subarray(0, row.end));
    const before = this.#batchLines.at(-1) ?? 0;
    this.#batchLines.push(before + row.lines);
    this.#clientLines.push(row.line);
  }

  /** The row on a line that the server has counted in this batch. */
  clientRow(batchLine: number): Buffer | undefined {
    return this.#rows[this.#rowAt(batchLine)];
  }

  /** Line of the client's data for one that the server has counted in this batch. */
  clientLine(batchLine: number): number | undefined {
    const at = this.#rowAt(batchLine);
    const client = this.#clientLines[at];
    const last = this.#batchLines[at];
    return client === undefined || last === undefined ? undefined : client - (last - batchLine);
  }

  #rowAt(batchLine: number): number {
    let low = 0;
    let high = this.#batchLines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#batchLines[middle] ?? batchLine) < batchLine) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  data(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

export interface BatchRequest {
  readonly rendered: RenderedSql;
  readonly rows: CopyRows;
  /** For errors. */
  readonly table: string;
  readonly batch: CopyBatch;
  /** The statement is as the client sent it, but for its tables' places. */
  readonly isClientsText: boolean;
}

/**
 * Puts a batch to the server, and an empty one to have the statement checked. All goes out at
 * once: a server that refuses the COPY drops the data that follows. Gives how many rows it has
 * kept, which a condition may make fewer. Throws BackendError after the
 * connection is ready again.
 */
export async function sendBatch(
  connection: BackendConnection,
  request: BatchRequest,
  onNotice: (bytes: Buffer) => void,
): Promise<number> {
  const { rendered, rows, batch } = request;
  const isBinary = rows.format.kind === "binary";
  encodeQuery({ kind: "query", sql: rendered.sql }, WRITER);
  if (isBinary) encodeCopyData({ kind: "copyData", data: BINARY_HEADER }, WRITER);
  if (batch.rowCount > 0) encodeCopyData({ kind: "copyData", data: batch.data() }, WRITER);
  if (isBinary) encodeCopyData({ kind: "copyData", data: BINARY_TRAILER }, WRITER);
  encodeCopyDone({ kind: "copyDone" }, WRITER);
  connection.expectReady();
  connection.send(WRITER.take());
  let rowCount = 0;
  let failure: BackendError | undefined;
  try {
    for (;;) {
      const run = connection.tryReceive() ?? (await connection.receive());
      if (run.type === BACKEND_TYPE.noticeResponse) onNotice(run.bytes);
      if (run.type === BACKEND_TYPE.commandComplete)
        rowCount = Number(decodeCommandComplete(runBody(run)).tag.split(" ")[1] ?? 0);
      if (run.type === BACKEND_TYPE.errorResponse) {
        const { fields } = decodeErrorResponse(runBody(run));
        failure ??= new BackendError(inClientData(fields, request), connection.database);
      }
      if (run.type !== BACKEND_TYPE.readyForQuery) continue;
      if (failure !== undefined) throw failure;
      return rowCount;
    }
  } finally {
    await drainToReady(connection);
  }
}

const CONTEXT_LINE = /^(COPY .*, line )(\d+)/;

/**
 * An error as one server would word it: its line in the client's data. Its position would be in a
 * text that the client has never seen, unless that is its own.
 */
function inClientData(fields: ErrorFields, request: BatchRequest): ErrorFields {
  const { rendered, batch, rows, table, isClientsText } = request;
  const { P: position, ...unplaced } = inClientText(fields, rendered);
  const others = isClientsText && position !== undefined ? { ...unplaced, P: position } : unplaced;
  const { W: context } = others;
  if (context === undefined) return others;
  const batchLine = Number(CONTEXT_LINE.exec(context)?.[2]);
  const clientLine = batch.clientLine(batchLine);
  if (clientLine === undefined) return others;
  const where = context.replace(CONTEXT_LINE, (_whole, before: string) => `${before}${clientLine}`);
  return asOfClientsRow({ ...others, W: where }, batch.clientRow(batchLine), rows, table);
}
