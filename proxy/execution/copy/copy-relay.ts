/**
 * COPY ... FROM STDIN whose data goes to one database, or to every one, as it comes. It runs inside
 * the statement's transaction and commits nothing.
 */
import { invariant } from "../../../base/invariant.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { CopyPlace } from "../../../planner/bind-copy.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import { backendFailure } from "../../backend/backend-error.ts";
import type { BackendError } from "../../backend/backend-error.ts";
import { decodeCommandComplete } from "../../protocol/backend/command-complete.ts";
import { decodeCopyInResponse } from "../../protocol/backend/copy-in-response.ts";
import { decodeErrorResponse } from "../../protocol/backend/error-response.ts";
import { runBody } from "../../protocol/backend-run-reader.ts";
import type { CopyFormat } from "../../protocol/copy-format.ts";
import { encodeToBuffer } from "../../protocol/frame-writer.ts";
import { encodeCopyData } from "../../protocol/frontend/copy-data.ts";
import { encodeCopyDone } from "../../protocol/frontend/copy-done.ts";
import { encodeCopyFail } from "../../protocol/frontend/copy-fail.ts";
import { encodeQuery } from "../../protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../../protocol/message-type.ts";
import { drainToReady, inClientText } from "../backend-answer.ts";
import type { PlacementUse } from "../placement-use.ts";
import type { Transaction } from "../transaction.ts";

/** One database's COPY. */
interface Stream {
  readonly place: CopyPlace;
  readonly connection: BackendConnection;
}

interface OpenStream extends Stream {
  /** Resolves when the server is ready again: with its tag, empty where it failed. */
  readonly ended: Promise<string>;
}

export class CopyRelay {
  readonly #places: readonly CopyPlace[];
  readonly #use: PlacementUse;
  readonly #transaction: Transaction;
  readonly #signal: AbortSignal;
  readonly #onNotice: (bytes: Buffer) => void;
  readonly #streams: OpenStream[] = [];
  #failure: unknown;

  constructor(
    { places, use }: { readonly places: readonly CopyPlace[]; readonly use: PlacementUse },
    transaction: Transaction,
    signal: AbortSignal,
    onNotice: (bytes: Buffer) => void,
  ) {
    this.#places = places;
    this.#use = use;
    this.#transaction = transaction;
    this.#signal = signal;
    this.#onNotice = onNotice;
  }

  /** The format that the servers ask for. */
  async start(): Promise<CopyFormat> {
    let format: CopyFormat | undefined;
    for (const place of this.#places) {
      const participant = await this.#transaction.join(place.database, this.#signal);
      this.#use.maySend([place.placementId]);
      participant.wrote = "yes";
      const { connection } = participant;
      connection.expectReady();
      connection.send(encodeToBuffer(encodeQuery, { kind: "query", sql: place.rendered.sql }));
      const stream: Stream = { place, connection };
      format = await this.#untilAsked(stream);
      const ended = this.#read(stream).catch((error: unknown) => {
        this.#failure ??= error;
        return "";
      });
      this.#streams.push({ ...stream, ended });
    }
    invariant(format !== undefined, "a COPY has a place to go to");
    return format;
  }

  async push(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const frame = encodeToBuffer(encodeCopyData, { kind: "copyData", data: bytes });
    for (const { connection } of this.#streams) connection.send(frame);
    await Promise.all(this.#streams.map(({ connection }) => connection.drained()));
  }

  /** The client gives up: the servers say so. */
  async fail(reason: string): Promise<never> {
    for (const { connection } of this.#streams)
      connection.send(encodeToBuffer(encodeCopyFail, { kind: "copyFail", reason }));
    await Promise.all(this.#streams.map(({ ended }) => ended));
    throw this.#failure;
  }

  /** The end of the data. How many rows there were: every database must have taken as many. */
  async finish(): Promise<number> {
    for (const { connection } of this.#streams)
      connection.send(encodeToBuffer(encodeCopyDone, { kind: "copyDone" }));
    const tags = await Promise.all(this.#streams.map(({ ended }) => ended));
    if (this.#failure !== undefined) throw this.#failure;
    const [tag = ""] = tags;
    if (!tags.every((each) => each === tag)) {
      throw new SqlError(
        "reference_copies_differ",
        `databases took different numbers of rows: ${tags.join(", ")}`,
      );
    }
    return Number(tag.split(" ")[1] ?? 0);
  }

  /** No COPY is open any more: where the data did not end, the servers are told so. */
  async settled(): Promise<void> {
    for (const { connection } of this.#streams) {
      if (connection.isBroken || connection.pendingReadyForQuery === 0) continue;
      const reason = "the data did not end";
      connection.send(encodeToBuffer(encodeCopyFail, { kind: "copyFail", reason }));
    }
    await Promise.all(this.#streams.map(({ ended }) => ended));
  }

  /** Up to CopyInResponse. Throws the server's error once it is ready again. */
  async #untilAsked(stream: Stream): Promise<CopyFormat> {
    const { connection } = stream;
    for (;;) {
      const run = connection.tryReceive() ?? (await connection.receive());
      if (run.type === BACKEND_TYPE.copyInResponse) return decodeCopyInResponse(runBody(run));
      if (run.type === BACKEND_TYPE.noticeResponse) this.#onNotice(run.bytes);
      if (run.type !== BACKEND_TYPE.errorResponse) continue;
      const { fields } = decodeErrorResponse(runBody(run));
      await drainToReady(connection);
      throw backendFailure(connection.database, inClientText(fields, stream.place.rendered));
    }
  }

  /** From CopyInResponse to ReadyForQuery: the tag. A server may fail at any row, and is not waited for. */
  async #read({ connection, place }: Stream): Promise<string> {
    let tag = "";
    let failure: BackendError | SqlError | undefined;
    for (;;) {
      const run = connection.tryReceive() ?? (await connection.receive());
      switch (run.type) {
        case BACKEND_TYPE.noticeResponse:
          this.#onNotice(run.bytes);
          break;
        case BACKEND_TYPE.commandComplete:
          ({ tag } = decodeCommandComplete(runBody(run)));
          break;
        case BACKEND_TYPE.errorResponse: {
          const { fields } = decodeErrorResponse(runBody(run));
          failure ??= backendFailure(connection.database, inClientText(fields, place.rendered));
          this.#failure ??= failure;
          break;
        }
        case BACKEND_TYPE.readyForQuery:
          if (failure !== undefined) throw failure;
          return tag;
        default:
          break;
      }
    }
  }
}
