/**
 * Makes the temporary tables of a database gather, empty, and asks what columns they have: in
 * one round trip, with the beginning of their transaction where they have one of their own.
 */
import { invariant } from "../../../base/invariant.ts";
import type { BoundPull } from "../../../planner/physical-plan.ts";
import { BackendError } from "../../backend/backend-connection.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import { runBody } from "../../protocol/backend-run-reader.ts";
import { decodeErrorResponse } from "../../protocol/backend/error-response.ts";
import { decodeRowDescription } from "../../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { encodeSync } from "../../protocol/frontend/sync.ts";
import { BACKEND_TYPE } from "../../protocol/message-type.ts";
import { fragmentRequest } from "../execution-request.ts";
import type { ExecutorOptions } from "../execution-request.ts";
import type { FragmentProtocol } from "../fragment-request.ts";
import { inClientText } from "../backend-answer.ts";

import type { GatherBlock } from "./gather-block.ts";
import { writeDescription, writeStatement } from "./pipeline.ts";
import { createTable, selectRows } from "./temporary-table.ts";

export interface NewTable {
  readonly pull: BoundPull;
  readonly name: string;
}

export interface MakeTablesOptions {
  /** The client's: shapes may have its parameters. */
  readonly protocol: FragmentProtocol;
  readonly options: ExecutorOptions;
  readonly onNotice: (bytes: Buffer) => void;
}

/**
 * What rows have to be to be copied into each table, in binary and in the catalog database's
 * types. Throws the server's error, its position in the client's text.
 */
export async function makeTables(
  tables: readonly NewTable[],
  { connection, prologue, tables: made }: GatherBlock,
  { protocol, options, onNotice }: MakeTablesOptions,
): Promise<readonly (readonly ColumnDescription[])[]> {
  const writer = new FrameWriter();
  for (const sql of prologue) writeStatement(writer, sql, [], []);
  const requests = tables.map(({ pull, name }) => {
    const rendered = createTable(name, pull);
    const text = { database: options.catalog, rendered, placementIds: [] };
    return fragmentRequest(text, protocol, false, options);
  });
  const parameters = protocol.kind === "extended" ? protocol.parameters : [];
  for (const [index, { name }] of tables.entries()) {
    const { rendered, parameterTypes = [] } = requests[index] ?? {};
    invariant(rendered !== undefined, "each table has a request");
    writeStatement(writer, rendered.sql, parameterTypes, parameters);
    writeDescription(writer, selectRows(name));
    made.add(name);
  }
  encodeSync({ kind: "sync" }, writer);
  connection.expectReady();
  connection.send(writer.take());

  const answer = await readAnswer(connection, onNotice);
  const { failure } = answer;
  if (failure !== undefined) {
    const request = requests[failure.index - prologue.length];
    if (request === undefined) throw new BackendError(failure.fields);
    throw new BackendError(inClientText(failure.fields, request.rendered));
  }
  if (protocol.kind === "extended") protocol.onBound();
  invariant(answer.columns.length === tables.length, "each table was described");
  return answer.columns;
}

interface Answer {
  readonly columns: readonly (readonly ColumnDescription[])[];
  /** `index`: of the statement, those of the prologue counted. */
  readonly failure:
    | { readonly index: number; readonly fields: ReturnType<typeof decodeErrorResponse>["fields"] }
    | undefined;
}

async function readAnswer(
  connection: BackendConnection,
  onNotice: (bytes: Buffer) => void,
): Promise<Answer> {
  const columns: (readonly ColumnDescription[])[] = [];
  let failure: Answer["failure"];
  let completed = 0;
  for (;;) {
    const run = connection.tryReceive() ?? (await connection.receive());
    switch (run.type) {
      case BACKEND_TYPE.commandComplete:
        completed += 1;
        break;
      case BACKEND_TYPE.rowDescription:
        columns.push(
          decodeRowDescription(runBody(run)).columns.map((column) => ({
            ...column,
            format: "binary" as const,
          })),
        );
        break;
      case BACKEND_TYPE.noticeResponse:
        onNotice(run.bytes);
        break;
      case BACKEND_TYPE.errorResponse:
        failure ??= { index: completed, fields: decodeErrorResponse(runBody(run)).fields };
        break;
      case BACKEND_TYPE.readyForQuery:
        return { columns, failure };
      default:
        break;
    }
  }
}
