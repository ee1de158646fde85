import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { decodeFormatCode, encodeFormatCode } from "../format-code.ts";
import type { FormatCode } from "../format-code.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** RowDescription (B): the columns of the rows that follow. */
export interface RowDescription {
  readonly kind: "rowDescription";
  readonly columns: readonly ColumnDescription[];
}

export interface ColumnDescription {
  readonly name: string;
  /** Of the table the column comes from; 0 where it is an expression. */
  readonly tableOid: number;
  /** The attribute number in that table; 0 where it is an expression. */
  readonly columnNumber: number;
  readonly typeOid: number;
  /** pg_type.typlen: negative for types of varying width. */
  readonly typeSize: number;
  /** pg_attribute.atttypmod: -1 for none. */
  readonly typmod: number;
  /** Always `text` when a statement is described, since its formats are not chosen yet. */
  readonly format: FormatCode;
}

export function decodeRowDescription(body: Buffer): RowDescription {
  const reader = new BodyReader(body);
  const count = reader.uint16();
  const columns: ColumnDescription[] = [];
  for (let index = 0; index < count; index++) columns.push(decodeColumn(reader));
  reader.end();
  return { kind: "rowDescription", columns };
}

function decodeColumn(reader: BodyReader): ColumnDescription {
  return {
    name: reader.cstring(),
    tableOid: reader.uint32(),
    columnNumber: reader.int16(),
    typeOid: reader.uint32(),
    typeSize: reader.int16(),
    typmod: reader.int32(),
    format: decodeFormatCode(reader),
  };
}

export function encodeRowDescription(message: RowDescription, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.rowDescription).int16(message.columns.length);
  for (const column of message.columns) {
    writer.cstring(column.name).int32(column.tableOid).int16(column.columnNumber);
    writer.int32(column.typeOid).int16(column.typeSize).int32(column.typmod);
    encodeFormatCode(column.format, writer);
  }
  writer.end();
}
