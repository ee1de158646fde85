/**
 * Writes copied rows into the placements of one target database, within one transaction of one
 * connection: COPY by COPY, a batch of one placement at a time.
 *
 * A chunk for a single placement is one COPY, its bytes relayed as they come.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import {
  MOVE_COPY_BATCH_BYTES,
  MOVE_COPY_BUFFER_BYTES_MAX,
  MOVE_CHANGE_OVERHEAD_BYTES,
} from "../base/limits.ts";
import { invariant } from "../base/invariant.ts";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";
import { decodeCommandComplete } from "../proxy/protocol/backend/command-complete.ts";
import { decodeErrorResponse } from "../proxy/protocol/backend/error-response.ts";
import { runBody } from "../proxy/protocol/backend-run-reader.ts";
import { encodeToBuffer } from "../proxy/protocol/frame-writer.ts";
import { encodeCopyData } from "../proxy/protocol/frontend/copy-data.ts";
import { encodeCopyDone } from "../proxy/protocol/frontend/copy-done.ts";
import { encodeQuery } from "../proxy/protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../proxy/protocol/message-type.ts";
import { targetName } from "./apply-statements.ts";
import { BINARY_HEADER, BINARY_TRAILER, type CopyFormat } from "./copied-rows.ts";
import type { TargetTable } from "./target-change.ts";

interface Batch {
  rows: Buffer[];
  bytes: number;
}

const COPY_DONE = encodeToBuffer(encodeCopyDone, { kind: "copyDone" });

export class CopyIntoTarget {
  readonly #target: BackendConnection;
  readonly #format: CopyFormat;
  readonly #batches = new Map<TargetTable, Batch>();
  #bytes = 0;
  /** The COPY that is under way, where the chunk has one placement here. */
  #open: TargetTable | undefined;
  #rowCount = 0;

  constructor(target: BackendConnection, format: CopyFormat) {
    this.#target = target;
    this.#format = format;
  }

  /** Rows that the target has counted. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** Frames of CopyData, whole and as they came from the source: header, rows, trailer. */
  async relay(table: TargetTable, frames: Buffer): Promise<void> {
    if (this.#open === undefined) await this.#begin(table);
    this.#open = table;
    this.#target.send(frames);
    await this.#target.drained();
  }

  /** One row; its bytes are kept until it is sent. */
  add(table: TargetTable, row: Buffer): void {
    let batch = this.#batches.get(table);
    if (batch === undefined) this.#batches.set(table, (batch = { rows: [], bytes: 0 }));
    batch.rows.push(row);
    const bytes = row.length + MOVE_CHANGE_OVERHEAD_BYTES;
    batch.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Sends what is enough for a COPY. */
  async sendFull(): Promise<void> {
    for (const [table, batch] of this.#batches)
      if (batch.bytes >= MOVE_COPY_BATCH_BYTES) await this.#send(table, batch);
    while (this.#bytes > MOVE_COPY_BUFFER_BYTES_MAX) {
      const [largest] = [...this.#batches].toSorted(([, a], [, b]) => b.bytes - a.bytes);
      invariant(largest !== undefined, "bytes that wait are in a batch");
      await this.#send(...largest);
    }
  }

  /** All rows are in, in the transaction. */
  async end(): Promise<void> {
    if (this.#open !== undefined) await this.#finish();
    this.#open = undefined;
    for (const [table, batch] of this.#batches) await this.#send(table, batch);
  }

  async #send(table: TargetTable, batch: Batch): Promise<void> {
    this.#batches.delete(table);
    this.#bytes -= batch.bytes;
    await this.#begin(table);
    const [head, tail] = this.#format === "binary" ? [[BINARY_HEADER], [BINARY_TRAILER]] : [[], []];
    const data = Buffer.concat([...head, ...batch.rows, ...tail]);
    this.#target.send(encodeToBuffer(encodeCopyData, { kind: "copyData", data }));
    await this.#finish();
  }

  async #begin(table: TargetTable): Promise<void> {
    const columns = table.source.columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const sql = `COPY ${targetName(table)} (${columns}) FROM STDIN (FORMAT ${this.#format})`;
    this.#target.expectReady();
    this.#target.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
    await this.#answer(BACKEND_TYPE.copyInResponse);
  }

  async #finish(): Promise<void> {
    this.#target.send(COPY_DONE);
    await this.#answer(BACKEND_TYPE.readyForQuery);
  }

  async #answer(until: number): Promise<void> {
    for (;;) {
      const run = this.#target.tryReceive() ?? (await this.#target.receive());
      if (run.type === until) return;
      if (run.type === BACKEND_TYPE.errorResponse)
        throw new BackendError(decodeErrorResponse(runBody(run)).fields);
      if (run.type === BACKEND_TYPE.commandComplete)
        this.#rowCount += Number(decodeCommandComplete(runBody(run)).tag.split(" ")[1]);
    }
  }
}
