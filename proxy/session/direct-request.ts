/** How a statement of the direct path is put to a backend: what the client bound goes on as it came. */
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { PlacementUse } from "../execution/placement-use.ts";
import { encodeBegin } from "../execution/begin-ahead.ts";
import { prepare } from "../execution/prepared-texts.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import type { FrameWriter } from "../protocol/frame-writer.ts";
import { encodeDescribe } from "../protocol/frontend/describe.ts";
import { encodeExecute } from "../protocol/frontend/execute.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import { encodeSync } from "../protocol/frontend/sync.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import type { DirectTarget } from "./direct-route.ts";

export interface DirectRequest {
  readonly target: DirectTarget;
  readonly use: PlacementUse;
  /** A Bind from behind the statement's name; undefined in the simple protocol. */
  readonly bound: Buffer | undefined;
  /** The client named its statement, so it will come again: it is kept prepared on the backend. */
  readonly isKept: boolean;
  /** The backend's own columns are wanted. */
  readonly isDescribed: boolean;
  /** What it is sent behind; undefined but for the first statement of a transaction. */
  readonly begin: string | undefined;
}

const DESCRIBE = encodeToBuffer(encodeDescribe, { kind: "describe", target: "portal", name: "" });
const EXECUTE = encodeToBuffer(encodeExecute, { kind: "execute", portal: "", rowLimit: 0 });
const SYNC = encodeToBuffer(encodeSync, { kind: "sync" });
const EXECUTE_SYNC = Buffer.concat([EXECUTE, SYNC]);
const DESCRIBE_EXECUTE_SYNC = Buffer.concat([DESCRIBE, EXECUTE_SYNC]);

/** The request, where it is there already and nothing goes before it. Throws as `encodeDirect`. */
export function asItIs({ target, use, begin }: DirectRequest): Buffer | undefined {
  if (target.query === undefined || begin !== undefined) return undefined;
  use.maySend(target.places);
  return target.query;
}

/** Exactly one ReadyForQuery will follow. Throws `placement_lease_lost` before anything is written. */
export function encodeDirect(
  connection: BackendConnection,
  { target, use, bound, isKept, isDescribed, begin }: DirectRequest,
  writer: FrameWriter,
): void {
  use.maySend(target.places);
  if (begin !== undefined) encodeBegin(begin, writer);
  if (target.query !== undefined) writer.bytes(target.query);
  else if (bound === undefined) encodeQuery({ kind: "query", sql: target.rendered.sql }, writer);
  else {
    let statement = "";
    if (isKept) statement = prepare(connection, target.prepared, writer);
    else writer.bytes(target.prepared.unnamedParse);
    writer.begin(FRONTEND_TYPE.bind).byte(0).cstring(statement).bytes(bound).end();
    writer.bytes(isDescribed ? DESCRIBE_EXECUTE_SYNC : EXECUTE_SYNC);
  }
}
