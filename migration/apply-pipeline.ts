/**
 * Sends changes to a target without waiting for each, and holds every answer against what it
 * must be: exactly one row. Anything else ends the transaction and names the row.
 *
 * Statements of one shape are prepared once for a connection.
 */
import { invariant } from "../base/invariant.ts";
import { MOVE_PIPELINE_BYTES_MAX, MOVE_PREPARED_MAX } from "../base/limits.ts";
import { printLsn } from "../base/lsn.ts";
import { SqlError } from "../base/sql-error.ts";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";
import { decodeCommandComplete } from "../proxy/protocol/backend/command-complete.ts";
import { decodeErrorResponse } from "../proxy/protocol/backend/error-response.ts";
import { runBody } from "../proxy/protocol/backend-run-reader.ts";
import { FrameWriter } from "../proxy/protocol/frame-writer.ts";
import { encodeBind } from "../proxy/protocol/frontend/bind.ts";
import { encodeExecute } from "../proxy/protocol/frontend/execute.ts";
import { encodeParse } from "../proxy/protocol/frontend/parse.ts";
import { encodeSync } from "../proxy/protocol/frontend/sync.ts";
import { BACKEND_TYPE } from "../proxy/protocol/message-type.ts";
import { bulkStatement, printKey, rowStatement, targetName } from "./apply-statements.ts";
import { changeBytes, type RowChange, type TargetChange } from "./target-change.ts";

/** Within a transaction that is open. Throws `migration_row_mismatch`, or the server's error. */
export async function applyChanges(
  target: BackendConnection,
  changes: readonly TargetChange[],
): Promise<void> {
  let start = 0;
  while (start < changes.length) {
    let end = start;
    for (let bytes = 0; end < changes.length && bytes < MOVE_PIPELINE_BYTES_MAX; end += 1) {
      const change = changes[end];
      if (change !== undefined) bytes += changeBytes(change);
    }
    await applySome(target, changes.slice(start, end));
    start = end;
  }
}

async function applySome(
  target: BackendConnection,
  changes: readonly TargetChange[],
): Promise<void> {
  if (target.prepared.size > MOVE_PREPARED_MAX) {
    await target.query("DEALLOCATE ALL");
    target.prepared.clear();
  }
  const writer = new FrameWriter();
  for (const change of changes) writeChange(target, change, writer);
  encodeSync({ kind: "sync" }, writer);
  target.expectReady();
  target.send(writer.take());
  await readAnswers(target, changes);
}

function writeChange(target: BackendConnection, change: TargetChange, writer: FrameWriter): void {
  const isRow = change.kind !== "truncate" && change.kind !== "deleteRange";
  const { sql, parameters } = isRow
    ? rowStatement(change)
    : { sql: bulkStatement(change), parameters: [] };
  let statement = target.prepared.get(sql);
  if (statement === undefined) {
    statement = isRow ? `apply_${target.nextStatementNumber()}` : "";
    encodeParse({ kind: "parse", statement, sql, parameterTypeOids: [] }, writer);
    if (isRow) target.prepared.set(sql, statement);
  }
  encodeBind(
    {
      kind: "bind",
      portal: "",
      statement,
      parameterFormats: [],
      parameters,
      resultFormats: [],
    },
    writer,
  );
  encodeExecute({ kind: "execute", portal: "", rowLimit: 0 }, writer);
}

async function readAnswers(
  target: BackendConnection,
  changes: readonly TargetChange[],
): Promise<void> {
  let answered = 0;
  let failure: unknown;
  for (;;) {
    const run = target.tryReceive() ?? (await target.receive());
    switch (run.type) {
      case BACKEND_TYPE.commandComplete: {
        const change = changes[answered];
        invariant(change !== undefined, "a command completes for each change");
        failure ??= mismatch(change, decodeCommandComplete(runBody(run)).tag);
        answered += 1;
        break;
      }
      case BACKEND_TYPE.errorResponse: {
        const error = new BackendError(decodeErrorResponse(runBody(run)).fields);
        failure ??= explained(changes[answered], error);
        break;
      }
      case BACKEND_TYPE.readyForQuery:
        if (failure !== undefined) throw failure;
        return;
      default:
        break;
    }
  }
}

const ONE_ROW = new Set(["INSERT 0 1", "UPDATE 1", "DELETE 1"]);

function mismatch(change: TargetChange, tag: string): SqlError | undefined {
  if (change.kind === "truncate" || change.kind === "deleteRange" || ONE_ROW.has(tag))
    return undefined;
  return rowMismatch(change, `found ${tag.split(" ").at(-1) ?? "no"} rows`, undefined);
}

const UNIQUE_VIOLATION = "23505";

function explained(change: TargetChange | undefined, error: BackendError): unknown {
  const isRow = change?.kind === "insert" || change?.kind === "update";
  if (!isRow || error.fields.C !== UNIQUE_VIOLATION) return error;
  return rowMismatch(change, `failed: ${error.message}`, error);
}

function rowMismatch(change: RowChange, what: string, cause: unknown): SqlError {
  const { table, kind, at } = change;
  const row =
    kind === "insert" ? change.row : (change.old ?? (kind === "update" ? change.row : []));
  const key = printKey(table.source, row);
  return new SqlError(
    "migration_row_mismatch",
    `${kind} of row (${key}) in ${targetName(table)} of database "${table.database}" ${what}`,
    {
      detail: `It is of the transaction that the source committed at ${printLsn(at)}; nothing of it was applied.`,
      cause,
    },
  );
}
