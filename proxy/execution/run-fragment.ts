/**
 * Runs one fragment on one backend: sends it, relays what comes until ReadyForQuery, and
 * leaves the connection ready whatever happens, or broken. It decodes no row.
 */
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import { decodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { decodeCopyOutResponse } from "../protocol/backend/copy-out-response.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";
import { decodeRowDescription } from "../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import { encodeCopyFail } from "../protocol/frontend/copy-fail.ts";
import { drainToReady, errorFields, inClientText } from "./backend-answer.ts";
import { writeFragment } from "./fragment-request.ts";
import type { FragmentRequest, OidTranslation } from "./fragment-request.ts";
import { runPortal } from "./run-portal.ts";
import { forgetPrepared, isPrepared, PreparedText } from "./prepared-texts.ts";
import type { ResultStream } from "./result-event.ts";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

/**
 * One fragment's results. It is never given up half way: a cancelled statement ends with the
 * server's own answer, which alone knows whether it took effect. Throws BackendError (its position in the client's text) after the
 * backend is ready again; a consumer that stops early leaves the rest to be read and dropped.
 */
export function runFragment(connection: BackendConnection, request: FragmentRequest): ResultStream {
  const fetch = request.protocol.kind === "extended" ? request.protocol.fetch : undefined;
  return fetch === undefined
    ? runToEnd(connection, request)
    : runPortal(connection, request, fetch);
}

async function* runToEnd(connection: BackendConnection, request: FragmentRequest): ResultStream {
  const prepared = new PreparedText(request);
  let isParsed = isPrepared(connection, prepared);
  writeFragment(connection, request, WRITER);
  const { translation } = request;
  let columns: readonly ColumnDescription[];
  let patch: ReturnType<OidTranslation["rowPatch"]>;
  let failure: BackendError | SqlError | undefined;
  try {
    for (;;) {
      const run = connection.tryReceive() ?? (await connection.receive());
      switch (run.type) {
        case BACKEND_TYPE.dataRow:
          yield { kind: "rows", rows: patch === undefined ? run : patch(run) };
          break;
        case BACKEND_TYPE.rowDescription:
          columns = decodeRowDescription(runBody(run)).columns;
          patch = translation.rowPatch(columns);
          yield { kind: "columns", columns: translation.columns(columns) };
          break;
        case BACKEND_TYPE.commandComplete:
          yield { kind: "complete", tag: decodeCommandComplete(runBody(run)).tag };
          break;
        case BACKEND_TYPE.parseComplete:
          isParsed = true;
          break;
        case BACKEND_TYPE.bindComplete:
          if (request.protocol.kind === "extended") request.protocol.onBound();
          break;
        case BACKEND_TYPE.portalSuspended:
          yield { kind: "suspended" };
          break;
        case BACKEND_TYPE.emptyQueryResponse:
          yield { kind: "empty" };
          break;
        case BACKEND_TYPE.noticeResponse:
          yield { kind: "notice", bytes: run.bytes };
          break;
        case BACKEND_TYPE.copyOutResponse:
          yield { kind: "copyOut", format: decodeCopyOutResponse(runBody(run)) };
          break;
        // Its end is data as well, as far as anybody between server and client is concerned.
        case BACKEND_TYPE.copyDone:
        case BACKEND_TYPE.copyData:
          yield { kind: "copyData", bytes: run.bytes };
          break;
        case BACKEND_TYPE.copyInResponse:
          failure = refuseCopy(connection);
          break;
        case BACKEND_TYPE.errorResponse: {
          const fields = errorFields(run);
          if (!isParsed || isUnusable(fields)) forgetPrepared(connection, prepared);
          failure ??= new BackendError(inClientText(fields, request.rendered), connection.database);
          break;
        }
        case BACKEND_TYPE.readyForQuery:
          if (failure !== undefined) throw failure;
          return;
        default:
          break;
      }
    }
  } finally {
    await drainToReady(connection);
  }
}

/** The statement's result has changed since it was prepared, or something on the server has dropped it. */
export function isUnusable({ C: sqlstate }: ErrorFields): boolean {
  return sqlstate === FEATURE_NOT_SUPPORTED || sqlstate === INVALID_SQL_STATEMENT_NAME;
}

const FEATURE_NOT_SUPPORTED = "0A000";
const INVALID_SQL_STATEMENT_NAME = "26000";

function refuseCopy(connection: BackendConnection): SqlError {
  encodeCopyFail({ kind: "copyFail", reason: "COPY is not carried by the proxy" }, WRITER);
  connection.send(WRITER.take());
  return new SqlError("statement_not_supported", "COPY is not supported");
}
