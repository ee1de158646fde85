import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Query (F): one string of any number of statements, for the simple protocol. */
export interface Query {
  readonly kind: "query";
  readonly sql: string;
}

export function decodeQuery(body: Buffer): Query {
  const reader = new BodyReader(body);
  const sql = reader.cstring();
  reader.end();
  return { kind: "query", sql };
}

export function encodeQuery(message: Query, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.query).cstring(message.sql).end();
}
