/**
 * Runs one fragment whose rows are asked for as they are wanted: of a portal of the backend's
 * that stays open between them (manual: "Extended Query", Execute with a row count), or of a
 * cursor. While its rows wait to be taken, the backend is ready for other statements of the
 * transaction.
 */
import { PORTAL_ROWS_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import { decodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { decodeRowDescription } from "../protocol/backend/row-description.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import { drainToReady, errorFields, inClientText } from "./backend-answer.ts";
import { writeClose, writeFetch, writeFragment } from "./fragment-request.ts";
import type { FragmentRequest, OidTranslation, PartialFetch } from "./fragment-request.ts";
import { forgetPrepared, PreparedText } from "./prepared-texts.ts";
import type { ResultEvent, ResultStream } from "./result-event.ts";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

/** As runFragment, inside a transaction block. */
export async function* runPortal(
  connection: BackendConnection,
  request: FragmentRequest,
  fetch: PartialFetch,
): ResultStream {
  const answer = new PortalAnswer(connection, request, fetch);
  writeFragment(connection, request, WRITER);
  try {
    for (;;) {
      yield* await noted(connection, answer.read());
      if (!answer.isSuspended) return;
      // Nobody may be led to believe that these were all the rows.
      if (!isInTransaction(connection))
        throw new SqlError("statement_stopped", "the portal's transaction has ended");
      if (fetch.kind === "portal") writeFetch(connection, request, fetch, WRITER);
      else writeFragment(connection, request, WRITER);
    }
  } finally {
    // One that has given all its rows still holds the tables it read, and its name.
    if (fetch.kind === "portal" && isInTransaction(connection)) {
      writeClose(connection, fetch, WRITER);
      await drainToReady(connection);
    }
  }
}

function isInTransaction(connection: BackendConnection): boolean {
  return (
    !connection.isBroken &&
    connection.pendingReadyForQuery === 0 &&
    connection.transactionStatus === "inTransaction"
  );
}

/** Answers that are being read, by connection: a gather may ask one shard for rows while another's are given out. */
const READING = new WeakMap<BackendConnection, Promise<unknown>>();

function noted<T>(connection: BackendConnection, reading: Promise<T>): Promise<T> {
  READING.set(connection, reading);
  return reading.finally(() => READING.delete(connection));
}

/** Resolves once no portal's rows are on their way, so that another statement may use the connection. */
export async function untilPortalsRest(connection: BackendConnection): Promise<void> {
  for (let reading = READING.get(connection); reading !== undefined;) {
    await reading.catch(() => undefined);
    // Whoever waited for those rows may ask for others at once.
    await new Promise(setImmediate);
    reading = READING.get(connection);
  }
}

class PortalAnswer {
  readonly #connection: BackendConnection;
  readonly #request: FragmentRequest;
  /** What a FETCH says that has given all the rows it was to give. */
  readonly #fullTag: string | undefined;
  #patch: ReturnType<OidTranslation["rowPatch"]>;
  isSuspended = false;

  constructor(connection: BackendConnection, request: FragmentRequest, fetch: PartialFetch) {
    this.#connection = connection;
    this.#request = request;
    this.#fullTag = fetch.kind === "cursor" ? `FETCH ${fetch.rows}` : undefined;
  }

  /** All events up to ReadyForQuery. Throws BackendError after it. */
  async read(): Promise<readonly ResultEvent[]> {
    const connection = this.#connection;
    const events: ResultEvent[] = [];
    let bytes = 0;
    let failure: BackendError | undefined;
    this.isSuspended = false;
    try {
      for (;;) {
        const run = connection.tryReceive() ?? (await connection.receive());
        switch (run.type) {
          case BACKEND_TYPE.dataRow:
            bytes += run.bytes.length;
            refuseTooMuch(bytes);
            events.push({ kind: "rows", rows: this.#patch === undefined ? run : this.#patch(run) });
            break;
          case BACKEND_TYPE.rowDescription: {
            const { translation } = this.#request;
            const { columns } = decodeRowDescription(runBody(run));
            this.#patch = translation.rowPatch(columns);
            events.push({ kind: "columns", columns: translation.columns(columns) });
            break;
          }
          case BACKEND_TYPE.commandComplete: {
            const { tag } = decodeCommandComplete(runBody(run));
            this.isSuspended = tag === this.#fullTag;
            events.push({ kind: "complete", tag });
            break;
          }
          case BACKEND_TYPE.bindComplete:
            if (this.#request.protocol.kind === "extended") this.#request.protocol.onBound();
            break;
          case BACKEND_TYPE.portalSuspended:
            this.isSuspended = true;
            break;
          case BACKEND_TYPE.noticeResponse:
            events.push({ kind: "notice", bytes: run.bytes });
            break;
          case BACKEND_TYPE.errorResponse:
            forgetPrepared(connection, new PreparedText(this.#request));
            failure ??= new BackendError(
              inClientText(errorFields(run), this.#request.rendered),
              connection.database,
            );
            break;
          case BACKEND_TYPE.readyForQuery:
            if (failure !== undefined) throw failure;
            return events;
          default:
            break;
        }
      }
    } finally {
      await drainToReady(connection);
    }
  }
}

function refuseTooMuch(bytes: number): void {
  if (bytes <= PORTAL_ROWS_BYTES_MAX) return;
  throw new SqlError(
    "portal_too_large",
    `rows asked of a portal at once exceed ${PORTAL_ROWS_BYTES_MAX} bytes`,
  );
}
