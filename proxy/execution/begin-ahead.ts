/**
 * A transaction's BEGIN, sent together with its first statement: one round trip for both.
 *
 * It goes by the extended protocol and without a Sync. Where it fails, the server skips all up to the
 * next Sync, a Query included (manual: "Extended Query"; PostgresMain in postgres.c), so that the
 * statement is never run outside of the transaction that it is of.
 */
import type { BackendConnection } from "../backend/backend-connection.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import type { FrameWriter } from "../protocol/frame-writer.ts";
import { encodeBind } from "../protocol/frontend/bind.ts";
import { encodeExecute } from "../protocol/frontend/execute.ts";
import { encodeParse } from "../protocol/frontend/parse.ts";
import { encodeSync } from "../protocol/frontend/sync.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";

const SYNC = encodeToBuffer(encodeSync, { kind: "sync" });
const BIND_EXECUTE = Buffer.concat([
  encodeToBuffer(encodeBind, {
    kind: "bind",
    portal: "",
    statement: "",
    parameterFormats: [],
    parameters: [],
    resultFormats: [],
  }),
  encodeToBuffer(encodeExecute, { kind: "execute", portal: "", rowLimit: 0 }),
]);

/** `sql`: BEGIN with its modes. The statement follows: a Query, or a batch up to its Sync. */
export function encodeBegin(sql: string, writer: FrameWriter): void {
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids: [] }, writer);
  writer.bytes(BIND_EXECUTE);
}

/** What the server answers to it, which is nothing to the client. */
export class BeginAnswer {
  #isOver = false;

  /** Whether the message is of it. Of one that failed, the rest is as if the statement had failed. */
  takes(type: number, connection: BackendConnection, isBehindQuery: boolean): boolean {
    if (this.#isOver) return false;
    switch (type) {
      case BACKEND_TYPE.parseComplete:
      case BACKEND_TYPE.bindComplete:
        return true;
      case BACKEND_TYPE.errorResponse:
        this.#isOver = true;
        // A Query has no Sync that the server could go on from.
        if (isBehindQuery) connection.send(SYNC);
        return false;
      default:
        this.#isOver = true;
        return type === BACKEND_TYPE.commandComplete;
    }
  }
}
