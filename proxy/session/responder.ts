/** Writes what a session answers, as frames. The only place of the session that knows bytes. */
import type { ErrorFields } from "../protocol/backend/error-response.ts";
import { encodeErrorResponse } from "../protocol/backend/error-response.ts";
import { encodeBackendKeyData } from "../protocol/backend/backend-key-data.ts";
import { encodeBindComplete } from "../protocol/backend/bind-complete.ts";
import { encodeCloseComplete } from "../protocol/backend/close-complete.ts";
import { encodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { encodeCopyInResponse } from "../protocol/backend/copy-in-response.ts";
import { encodeCopyOutResponse } from "../protocol/backend/copy-out-response.ts";
import type { CopyFormat } from "../protocol/copy-format.ts";
import { encodeCopyDone } from "../protocol/frontend/copy-done.ts";
import { encodeEmptyQueryResponse } from "../protocol/backend/empty-query-response.ts";
import { encodeNoData } from "../protocol/backend/no-data.ts";
import { encodeNoticeResponse } from "../protocol/backend/notice-response.ts";
import { encodeParameterDescription } from "../protocol/backend/parameter-description.ts";
import { encodeParameterStatus } from "../protocol/backend/parameter-status.ts";
import { encodeParseComplete } from "../protocol/backend/parse-complete.ts";
import { encodePortalSuspended } from "../protocol/backend/portal-suspended.ts";
import { encodeReadyForQuery } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { encodeRowDescription } from "../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import type { Client } from "./client.ts";
import type { ResultEvent } from "../execution/result-event.ts";

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

/** Filled and taken within one call, so one serves all sessions: an arena each would be most of an idle client's memory. */
const WRITER = new FrameWriter();

export class Responder {
  readonly #client: Client;
  #sentCount = 0;
  /** What the client was last told; the map is its environment's, shared with all clients alike. */
  #parameters: ReadonlyMap<string, string>;

  constructor(client: Client, told = NO_PARAMETERS) {
    this.#client = client;
    this.#parameters = told;
  }

  /** Grows with all that the client is sent. */
  get sentCount(): number {
    return this.#sentCount;
  }

  get parameters(): ReadonlyMap<string, string> {
    return this.#parameters;
  }

  /** A setting, as the client was last told of it. */
  told(parameter: string): string | undefined {
    return this.#parameters.get(parameter);
  }

  /** Rows wait while the client has too much unread; everything else is short. */
  async event(event: ResultEvent): Promise<void> {
    switch (event.kind) {
      case "rows":
        this.#write(event.rows.bytes);
        return this.#client.drained();
      case "columns":
        return this.columns(event.columns);
      case "notice":
        return this.notice(event.bytes);
      case "complete":
        return this.complete(event.tag);
      case "copyOut":
        return this.copyOut(event.format);
      case "copyData":
        this.#write(event.bytes);
        return this.#client.drained();
      case "suspended":
        return this.#send((writer) => encodePortalSuspended({ kind: "portalSuspended" }, writer));
      case "empty":
        return this.#send((writer) =>
          encodeEmptyQueryResponse({ kind: "emptyQueryResponse" }, writer),
        );
    }
  }

  /** A whole NoticeResponse frame of a backend's. */
  notice(bytes: Buffer): void {
    this.#write(bytes);
  }

  columns(columns: readonly ColumnDescription[]): void {
    this.#send((writer) => encodeRowDescription({ kind: "rowDescription", columns }, writer));
  }

  /** The client may send the data of a COPY now. */
  copyIn(format: CopyFormat): void {
    this.#send((writer) => encodeCopyInResponse({ kind: "copyInResponse", ...format }, writer));
  }

  copyOut(format: CopyFormat): void {
    this.#send((writer) => encodeCopyOutResponse({ kind: "copyOutResponse", ...format }, writer));
  }

  /** Whole CopyData frames. */
  async copyData(frames: Buffer): Promise<void> {
    this.#write(frames);
    return this.#client.drained();
  }

  copyDone(): void {
    this.#send((writer) => encodeCopyDone({ kind: "copyDone" }, writer));
  }

  complete(tag: string): void {
    this.#send((writer) => encodeCommandComplete({ kind: "commandComplete", tag }, writer));
  }

  parseComplete(): void {
    this.#send((writer) => encodeParseComplete({ kind: "parseComplete" }, writer));
  }

  bindComplete(): void {
    this.#send((writer) => encodeBindComplete({ kind: "bindComplete" }, writer));
  }

  closeComplete(): void {
    this.#send((writer) => encodeCloseComplete({ kind: "closeComplete" }, writer));
  }

  noData(): void {
    this.#send((writer) => encodeNoData({ kind: "noData" }, writer));
  }

  parameterTypes(typeOids: readonly number[]): void {
    this.#send((writer) =>
      encodeParameterDescription({ kind: "parameterDescription", typeOids }, writer),
    );
  }

  error(fields: ErrorFields): void {
    this.#send((writer) => encodeErrorResponse({ kind: "errorResponse", fields }, writer));
  }

  warning(sqlstate: string, message: string): void {
    this.#told("WARNING", sqlstate, message);
  }

  /** In the proxy's words, as PostgreSQL has them. */
  ownNotice(sqlstate: string, message: string): void {
    this.#told("NOTICE", sqlstate, message);
  }

  #told(severity: "NOTICE" | "WARNING", sqlstate: string, message: string): void {
    const fields = { S: severity, V: severity, C: sqlstate, M: message };
    this.#send((writer) => encodeNoticeResponse({ kind: "noticeResponse", fields }, writer));
  }

  readyForQuery(status: TransactionStatus): void {
    this.#send((writer) => encodeReadyForQuery({ kind: "readyForQuery", status }, writer));
  }

  backendKeyData(): void {
    const { processId, secretKey } = this.#client;
    this.#send((writer) =>
      encodeBackendKeyData({ kind: "backendKeyData", processId, secretKey }, writer),
    );
  }

  /** Tells the client what differs from what it was last told. */
  parameterStatuses(parameters: ReadonlyMap<string, string>): void {
    for (const [name, value] of parameters) {
      if (this.#parameters.get(name) === value) continue;
      this.#send((writer) =>
        encodeParameterStatus({ kind: "parameterStatus", name, value }, writer),
      );
    }
    this.#parameters = parameters;
  }

  #write(bytes: Buffer): void {
    this.#sentCount += 1;
    this.#client.write(bytes);
  }

  #send(encode: (writer: FrameWriter) => void): void {
    encode(WRITER);
    this.#write(WRITER.take());
  }
}
