/**
 * The source's changes, in the order of their commits, from a replication slot.
 *
 * The publication is made before the slot and never changed afterwards: else a transaction that
 * was open while it changed could be in neither the snapshots nor the stream. Only what is
 * durable in every target is confirmed; after a crash the slot gives everything else again.
 *
 * It knows messages, not rows: what a change means is router.ts's to say.
 */
import type { Lsn } from "../base/lsn.ts";
import { lsn, LSN_ZERO, parseLsn, printLsn } from "../base/lsn.ts";
import { MOVE_FEEDBACK_MS, MOVE_SLOT_BUSY_MS } from "../base/limits.ts";
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import { ProtocolViolation, SqlError } from "../base/sql-error.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";
import { decodeErrorResponse } from "../proxy/protocol/backend/error-response.ts";
import type { BackendRun } from "../proxy/protocol/backend-run-reader.ts";
import { runBody } from "../proxy/protocol/backend-run-reader.ts";
import { FRAME_HEADER_BYTES } from "../proxy/protocol/frame-reader.ts";
import { encodeToBuffer } from "../proxy/protocol/frame-writer.ts";
import { encodeQuery } from "../proxy/protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../proxy/protocol/message-type.ts";
import { decodePgoutput, type PgoutputMessage } from "../proxy/protocol/replication/pgoutput.ts";
import {
  decodeStreamMessage,
  encodeStandbyStatusUpdate,
} from "../proxy/protocol/replication/stream-message.ts";
import { openReplication, type MoveDatabase } from "./sessions.ts";

export type StreamEvent =
  | PgoutputMessage
  /** Nothing that concerns the stream is before `position` and has not been given. */
  | { readonly kind: "quiet"; readonly position: Lsn };

/** A share of wal_sender_timeout: before it the source must have heard of us. */
const KEEPALIVE_SHARE = 0.75;

const OBJECT_IN_USE = "55006";

export class ChangeStream implements Disposable {
  readonly #connection: BackendConnection;
  readonly #timer: NodeJS.Timeout;
  #events: StreamEvent[] = [];
  #next = 0;
  #confirmed: Lsn;
  #serverEnd: Lsn = LSN_ZERO;

  /**
   * Starts where the slot was last confirmed. A slot that a killed process's walsender still
   * holds is waited for. Throws `migration_slot_lost` where there is none any more.
   */
  static async open(
    source: MoveDatabase,
    names: { readonly slot: string; readonly publication: string },
    signal: AbortSignal,
  ): Promise<ChangeStream> {
    const deadlineMs = performance.now() + MOVE_SLOT_BUSY_MS;
    for (;;) {
      const connection = await openReplication(source, signal);
      try {
        const everyMs = await feedbackInterval(connection);
        await startReplication(connection, names, signal);
        return new ChangeStream(connection, everyMs);
      } catch (error) {
        connection.destroy();
        const isBusy = error instanceof BackendError && error.fields.C === OBJECT_IN_USE;
        if (!isBusy || performance.now() > deadlineMs) throw slotError(names.slot, error);
      }
      await sleep(50, undefined, { signal });
    }
  }

  constructor(connection: BackendConnection, feedbackMs: number) {
    this.#connection = connection;
    this.#confirmed = LSN_ZERO;
    this.#timer = setInterval(() => this.#sendStatus(), feedbackMs);
  }

  /** The end of the source's log, as it last told. */
  get serverEnd(): Lsn {
    return this.#serverEnd;
  }

  /** Of what was confirmed, the last. */
  get confirmed(): Lsn {
    return this.#confirmed;
  }

  /** Everything before it is durable in every target: the slot may forget it. Never moves back. */
  confirm(position: Lsn): void {
    if (position > this.#confirmed) this.#confirmed = position;
  }

  /** An event that has arrived already. */
  tryNext(): StreamEvent | undefined {
    const event = this.#events[this.#next];
    if (event === undefined) return undefined;
    this.#next += 1;
    return event;
  }

  /** Rejects with the source's error, with `backend_lost`, or with the signal's reason. */
  async next(signal: AbortSignal): Promise<StreamEvent> {
    for (;;) {
      const event = this.tryNext();
      if (event !== undefined) return event;
      this.#events = [];
      this.#next = 0;
      this.#take(this.#connection.tryReceive() ?? (await this.#connection.receive(signal)));
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (!this.#connection.isBroken) this.#sendStatus();
    this.#connection.destroy();
  }

  #take(run: BackendRun): void {
    switch (run.type) {
      case BACKEND_TYPE.copyData:
        this.#takeFrames(run);
        break;
      case BACKEND_TYPE.errorResponse:
        throw new BackendError(decodeErrorResponse(runBody(run)).fields);
      case BACKEND_TYPE.copyDone:
        throw new ProtocolViolation("the server ended a stream that has no end");
      default:
        break;
    }
  }

  #takeFrames({ bytes, count }: BackendRun): void {
    let start = 0;
    for (let frame = 0; frame < count; frame += 1) {
      const end = start + 1 + bytes.readUInt32BE(start + 1);
      const message = decodeStreamMessage(bytes.subarray(start + FRAME_HEADER_BYTES, end));
      start = end;
      if (message.serverEnd > this.#serverEnd) this.#serverEnd = message.serverEnd;
      if (message.kind === "xLogData") {
        // A change may be kept for long: it must not keep all that arrived with it.
        this.#events.push(decodePgoutput(Buffer.from(message.data)));
        continue;
      }
      this.#events.push({ kind: "quiet", position: message.serverEnd });
      if (message.isReplyRequested) this.#sendStatus();
    }
  }

  #sendStatus(): void {
    const flushed = this.#confirmed;
    this.#connection.send(
      encodeToBuffer(encodeStandbyStatusUpdate, {
        kind: "standbyStatusUpdate",
        written: flushed,
        flushed,
        applied: flushed,
        clock: 0n,
        isReplyRequested: false,
      }),
    );
  }
}

/** In milliseconds. */
async function feedbackInterval(connection: BackendConnection): Promise<number> {
  const { rows } = await connection.query("SHOW wal_sender_timeout");
  const timeoutMs = milliseconds(rows[0]?.[0] ?? "0");
  return timeoutMs === 0
    ? MOVE_FEEDBACK_MS
    : Math.min(MOVE_FEEDBACK_MS, Math.floor(timeoutMs * KEEPALIVE_SHARE));
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** SHOW prints `1min`, `500ms`, and `0` for never. */
function milliseconds(shown: string): number {
  const match = /^(\d+)(ms|s|min|h|d)?$/.exec(shown);
  return Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? "ms"] ?? 1);
}

async function startReplication(
  connection: BackendConnection,
  { slot, publication }: { readonly slot: string; readonly publication: string },
  signal: AbortSignal,
): Promise<void> {
  const options = `proto_version '1', publication_names ${quoteLiteral(quoteIdentifier(publication))}, messages 'true'`;
  const sql = `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${printLsn(LSN_ZERO)} (${options})`;
  connection.expectReady();
  connection.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
  for (;;) {
    const run = await connection.receive(signal);
    if (run.type === BACKEND_TYPE.copyBothResponse) return;
    if (run.type === BACKEND_TYPE.errorResponse)
      throw new BackendError(decodeErrorResponse(runBody(run)).fields);
  }
}

const SLOT_IS_GONE = new Set(["42704", "55000"]);

function slotError(slot: string, error: unknown): unknown {
  if (!(error instanceof BackendError) || !SLOT_IS_GONE.has(error.fields.C ?? "")) return error;
  return new SqlError(
    "migration_slot_lost",
    `replication slot "${slot}" cannot be read: ${error.message}`,
    { cause: error },
  );
}

/** Where the slot was last confirmed; undefined where it does not exist. */
export async function confirmedPosition(
  source: BackendConnection,
  slot: string,
): Promise<Lsn | undefined> {
  const { rows } = await source.query(
    `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(slot)}`,
  );
  return rows[0] === undefined ? undefined : (parseLsn(rows[0][0] ?? "") ?? lsn(0n));
}
