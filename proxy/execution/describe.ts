/**
 * Asks the catalog database what a statement's parameters and columns are. The canonical
 * tables stand there under the names the client uses, so the answer, and the error where the
 * statement means nothing, is PostgreSQL's own.
 */
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { BackendError } from "../backend/backend-connection.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import { decodeParameterDescription } from "../protocol/backend/parameter-description.ts";
import { decodeRowDescription } from "../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { encodeBind } from "../protocol/frontend/bind.ts";
import type { Bind } from "../protocol/frontend/bind.ts";
import { encodeClose } from "../protocol/frontend/close.ts";
import { encodeDescribe } from "../protocol/frontend/describe.ts";
import { encodeParse } from "../protocol/frontend/parse.ts";
import { encodeSync } from "../protocol/frontend/sync.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";

const NO_PARAMETERS: Bind = {
  kind: "bind",
  portal: "",
  statement: "",
  parameterFormats: [],
  parameters: [],
  resultFormats: [],
};

/** What it finds in a literal or a comment costs a question more. */
const MAY_HAVE_PARAMETERS = /\$\d/;

export interface Description {
  /** Type OIDs of `$1`, `$2`, ... */
  readonly parameterTypes: readonly number[];
  /** Undefined where the statement returns no rows (NoData). */
  readonly columns: readonly ColumnDescription[] | undefined;
}

/**
 * A statement is described as it was analyzed, a portal as it was planned: folding constants
 * may tell more of a column (its typmod), and the simple protocol shows what was planned.
 */
export type DescribedThing = "statement" | "portal";

/** Throws BackendError with the server's own words. `declaredTypes`: as in Parse, 0 for "work it out". */
export async function describe(
  connection: BackendConnection,
  sql: string,
  declaredTypes: readonly number[],
  options: { readonly of: DescribedThing; readonly onNotice?: (bytes: Buffer) => void },
): Promise<Description> {
  if (options.of === "portal" && MAY_HAVE_PARAMETERS.test(sql))
    await refuseParameters(connection, sql);
  const writer = new FrameWriter();
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids: declaredTypes }, writer);
  if (options.of === "portal") encodeBind(NO_PARAMETERS, writer);
  encodeDescribe({ kind: "describe", target: options.of, name: "" }, writer);
  return ask(connection, writer, options.onNotice);
}

/** Of a portal that is not executed: its values, with the types that the statement was described with. */
export interface BoundValues {
  readonly portal: string;
  readonly sql: string;
  readonly parameters: readonly BoundParameter[];
}

/**
 * Binds as the client has bound, and closes the portal: PostgreSQL reads the values and plans
 * with them, and runs nothing. Throws BackendError, whose context names the client's portal.
 */
export async function checkBind(
  connection: BackendConnection,
  { portal, sql, parameters }: BoundValues,
): Promise<void> {
  const writer = new FrameWriter();
  const parameterTypeOids = parameters.map(({ typeOid }) => typeOid);
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids }, writer);
  encodeBind(
    {
      ...NO_PARAMETERS,
      portal,
      parameterFormats: parameters.map(({ format }) => format),
      parameters: parameters.map(({ value }) => value),
    },
    writer,
  );
  encodeClose({ kind: "close", target: "portal", name: portal }, writer);
  await ask(connection, writer);
}

/** Sends what is written and a Sync, and reads to the answer's end. */
async function ask(
  connection: BackendConnection,
  writer: FrameWriter,
  onNotice?: (bytes: Buffer) => void,
): Promise<Description> {
  encodeSync({ kind: "sync" }, writer);
  connection.expectReady();
  connection.send(writer.take());

  let parameterTypes: readonly number[] = [];
  let columns: readonly ColumnDescription[] | undefined;
  let failure: BackendError | undefined;
  for (;;) {
    const run = connection.tryReceive() ?? (await connection.receive());
    switch (run.type) {
      case BACKEND_TYPE.parameterDescription:
        parameterTypes = decodeParameterDescription(runBody(run)).typeOids;
        break;
      case BACKEND_TYPE.rowDescription:
        columns = decodeRowDescription(runBody(run)).columns;
        break;
      case BACKEND_TYPE.noticeResponse:
        onNotice?.(run.bytes);
        break;
      case BACKEND_TYPE.errorResponse:
        failure = new BackendError(decodeErrorResponse(runBody(run)).fields);
        break;
      case BACKEND_TYPE.readyForQuery:
        if (failure !== undefined) throw failure;
        return { parameterTypes, columns };
      default:
        break;
    }
  }
}

/**
 * The simple protocol has no parameters. Parse would take `$1` as one whose type is to be worked
 * out; a Query says what is wrong with it, and runs nothing, since no such statement is valid.
 */
async function refuseParameters(connection: BackendConnection, sql: string): Promise<void> {
  const { parameterTypes } = await describe(connection, sql, [], { of: "statement" });
  if (parameterTypes.length > 0) await connection.query(sql);
}
