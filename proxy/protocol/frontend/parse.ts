import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Parse (F): prepares one statement. */
export interface Parse {
  readonly kind: "parse";
  /** Empty for the unnamed statement. */
  readonly statement: string;
  readonly sql: string;
  /** Types of the first parameters; 0 leaves one to the server, and so does leaving it out. */
  readonly parameterTypeOids: readonly number[];
}

export function decodeParse(body: Buffer): Parse {
  const reader = new BodyReader(body);
  const statement = reader.cstring();
  const sql = reader.cstring();
  const count = reader.uint16();
  const parameterTypeOids: number[] = [];
  for (let index = 0; index < count; index++) parameterTypeOids.push(reader.uint32());
  reader.end();
  return { kind: "parse", statement, sql, parameterTypeOids };
}

export function encodeParse(message: Parse, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.parse).cstring(message.statement).cstring(message.sql);
  writer.int16(message.parameterTypeOids.length);
  for (const oid of message.parameterTypeOids) writer.int32(oid);
  writer.end();
}
