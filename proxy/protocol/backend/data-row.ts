import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** DataRow (B): one row's values, in the formats its RowDescription names. */
export interface DataRow {
  readonly kind: "dataRow";
  /** Views of the frame; null is NULL. */
  readonly values: readonly (Buffer | null)[];
}

export function decodeDataRow(body: Buffer): DataRow {
  const reader = new BodyReader(body);
  const count = reader.uint16();
  const values: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) values.push(reader.value());
  reader.end();
  return { kind: "dataRow", values };
}

export function encodeDataRow(message: DataRow, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.dataRow).int16(message.values.length);
  for (const value of message.values) writer.value(value);
  writer.end();
}
