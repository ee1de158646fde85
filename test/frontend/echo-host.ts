/**
 * The smallest session there is, for tests of the frontend's edge: it answers each query
 * with one row holding what the frontend said of the client, and the query's text. It
 * plays no PostgreSQL: it has no statements, no transactions and no data.
 */
import { encodeBackendKeyData } from "../../proxy/protocol/backend/backend-key-data.ts";
import { encodeCommandComplete } from "../../proxy/protocol/backend/command-complete.ts";
import { encodeDataRow } from "../../proxy/protocol/backend/data-row.ts";
import { encodeErrorResponse } from "../../proxy/protocol/backend/error-response.ts";
import { encodeParameterStatus } from "../../proxy/protocol/backend/parameter-status.ts";
import { encodeReadyForQuery } from "../../proxy/protocol/backend/ready-for-query.ts";
import { encodeRowDescription } from "../../proxy/protocol/backend/row-description.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { decodeQuery } from "../../proxy/protocol/frontend/query.ts";
import { FRONTEND_TYPE } from "../../proxy/protocol/message-type.ts";
import type { Client, SessionHost } from "../../proxy/session/client.ts";
import { errorFields } from "../../proxy/session/error-fields.ts";

export interface Echo {
  readonly sql: string;
  readonly user: string;
  readonly database: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly processId: number;
  readonly secretKeyBytes: number;
}

export class EchoHost implements SessionHost {
  readonly cancelled: { readonly processId: number; readonly secretKey: Buffer }[] = [];
  readonly clients = new Set<Client>();
  readonly failures: unknown[] = [];

  cancel(processId: number, secretKey: Buffer): void {
    this.cancelled.push({ processId, secretKey });
  }

  serve(client: Client, over: () => void): void {
    void this.#serve(client).finally(over);
  }

  async #serve(client: Client): Promise<void> {
    this.clients.add(client);
    try {
      await run(client);
    } catch (error) {
      this.failures.push(error);
      const writer = new FrameWriter();
      const fields = errorFields(error, "FATAL");
      encodeErrorResponse({ kind: "errorResponse", fields }, writer);
      client.write(writer.take());
    } finally {
      this.clients.delete(client);
    }
  }
}

async function run(client: Client): Promise<void> {
  const writer = new FrameWriter();
  encodeParameterStatus({ kind: "parameterStatus", name: "server_version", value: "18.0" }, writer);
  encodeParameterStatus(
    { kind: "parameterStatus", name: "client_encoding", value: "UTF8" },
    writer,
  );
  const { processId, secretKey } = client;
  encodeBackendKeyData({ kind: "backendKeyData", processId, secretKey }, writer);
  for (;;) {
    encodeReadyForQuery({ kind: "readyForQuery", status: "idle" }, writer);
    client.write(writer.take());
    await client.drained();
    const frame = await client.receive();
    if (frame === undefined || frame.type === FRONTEND_TYPE.terminate) return;
    if (frame.type === FRONTEND_TYPE.query) answer(client, decodeQuery(frame.body).sql, writer);
  }
}

function answer(client: Client, sql: string, writer: FrameWriter): void {
  const echo: Echo = {
    sql,
    user: client.user,
    database: client.database,
    settings: Object.fromEntries(client.settings),
    processId: client.processId,
    secretKeyBytes: client.secretKey.length,
  };
  const column = {
    name: "echo",
    tableOid: 0,
    columnNumber: 0,
    typeOid: 25,
    typeSize: -1,
    typmod: -1,
    format: "text",
  } as const;
  encodeRowDescription({ kind: "rowDescription", columns: [column] }, writer);
  encodeDataRow({ kind: "dataRow", values: [Buffer.from(JSON.stringify(echo))] }, writer);
  encodeCommandComplete({ kind: "commandComplete", tag: "SELECT 1" }, writer);
}
