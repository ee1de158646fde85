import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { decodeFormatCodes, encodeFormatCodes } from "../format-code.ts";
import type { FormatCode } from "../format-code.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** Bind (F): makes a portal of a prepared statement and its parameters. */
export interface Bind {
  readonly kind: "bind";
  /** Empty for the unnamed portal. */
  readonly portal: string;
  /** Empty for the unnamed statement. */
  readonly statement: string;
  /** None: all text. One: for all. Else one for each parameter. */
  readonly parameterFormats: readonly FormatCode[];
  readonly parameters: readonly (Buffer | null)[];
  /** None: all text. One: for all. Else one for each column, which the statement's rows decide. */
  readonly resultFormats: readonly FormatCode[];
}

export function decodeBind(body: Buffer): Bind {
  const reader = new BodyReader(body);
  const portal = reader.cstring();
  const statement = reader.cstring();
  const parameterFormats = decodeFormatCodes(reader);
  const count = reader.uint16();
  if (parameterFormats.length > 1 && parameterFormats.length !== count) {
    throw new ProtocolViolation(
      `bind message has ${parameterFormats.length} parameter formats but ${count} parameters`,
    );
  }
  const parameters: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) parameters.push(reader.value());
  const resultFormats = decodeFormatCodes(reader);
  reader.end();
  return { kind: "bind", portal, statement, parameterFormats, parameters, resultFormats };
}

export function encodeBind(message: Bind, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.bind).cstring(message.portal).cstring(message.statement);
  encodeFormatCodes(message.parameterFormats, writer);
  writer.int16(message.parameters.length);
  for (const parameter of message.parameters) writer.value(parameter);
  encodeFormatCodes(message.resultFormats, writer);
  writer.end();
}

/** The format of one parameter or column, by the rule "none, one for all, or one each". */
export function formatAt(formats: readonly FormatCode[], index: number): FormatCode {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? "text";
}
