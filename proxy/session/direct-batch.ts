/**
 * Reads what a client has sent at once, where it is whole and of a usual form: a Query, or
 * `[Parse] Bind [Describe] Execute Sync` of the unnamed portal. Anything else it does not read.
 */
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { decodeBind, formatAt } from "../protocol/frontend/bind.ts";
import type { Bind } from "../protocol/frontend/bind.ts";
import { decodeDescribe } from "../protocol/frontend/describe.ts";
import { decodeExecute } from "../protocol/frontend/execute.ts";
import { decodeParse } from "../protocol/frontend/parse.ts";
import type { Parse } from "../protocol/frontend/parse.ts";
import { decodeQuery } from "../protocol/frontend/query.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import type { PreparedStatement } from "./prepared-statements.ts";

export interface DirectQuery {
  readonly sql: string;
  /** Where the message ends. */
  readonly end: number;
}

export interface DirectBatch {
  /** Of the unnamed statement, which is bound then. */
  readonly parse: Parse | undefined;
  readonly bind: Bind;
  /** The client asks for the portal's columns. */
  readonly isDescribed: boolean;
  /** Where the last message ends. */
  readonly end: number;
}

export function readQuery(bytes: Buffer, start: number, end: number): DirectQuery | undefined {
  const frameEnd = endOf(FRONTEND_TYPE.query, bytes, start, end);
  if (frameEnd === undefined) return undefined;
  const query = decoded(decodeQuery, bytes, start, frameEnd);
  return query && { sql: query.sql, end: frameEnd };
}

export function readBatch(bytes: Buffer, start: number, end: number): DirectBatch | undefined {
  const parseEnd = endOf(FRONTEND_TYPE.parse, bytes, start, end) ?? start;
  const bindEnd = endOf(FRONTEND_TYPE.bind, bytes, parseEnd, end);
  if (bindEnd === undefined) return undefined;
  const describeEnd = endOf(FRONTEND_TYPE.describe, bytes, bindEnd, end) ?? bindEnd;
  const executeEnd = endOf(FRONTEND_TYPE.execute, bytes, describeEnd, end);
  if (executeEnd === undefined) return undefined;
  const syncEnd = endOf(FRONTEND_TYPE.sync, bytes, executeEnd, end);
  if (syncEnd !== executeEnd + FRAME_HEADER_BYTES) return undefined;

  const execute = decoded(decodeExecute, bytes, describeEnd, executeEnd);
  if (execute?.portal !== "" || execute.rowLimit > 0) return undefined;
  const isDescribed = describeEnd > bindEnd;
  if (isDescribed) {
    const describe = decoded(decodeDescribe, bytes, bindEnd, describeEnd);
    if (describe?.target !== "portal" || describe.name !== "") return undefined;
  }
  const bind = decoded(decodeBind, bytes, parseEnd, bindEnd);
  if (bind?.portal !== "") return undefined;
  if (parseEnd === start) return { parse: undefined, bind, isDescribed, end: syncEnd };
  const parse = decoded(decodeParse, bytes, start, parseEnd);
  if (parse?.statement !== "" || bind.statement !== "") return undefined;
  return { parse, bind, isDescribed, end: syncEnd };
}

/** Where the frame ends that starts here, if it is of this type and whole. */
function endOf(type: number, bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start < FRAME_HEADER_BYTES || bytes[start] !== type) return undefined;
  const length = bytes.readInt32BE(start + 1);
  const frameEnd = start + 1 + length;
  return length < 4 || frameEnd > end ? undefined : frameEnd;
}

/** What is broken inside is refused by whoever reads it next. */
function decoded<Message>(
  decode: (body: Buffer) => Message,
  bytes: Buffer,
  start: number,
  end: number,
): Message | undefined {
  try {
    return decode(bytes.subarray(start + FRAME_HEADER_BYTES, end));
  } catch (error) {
    if (error instanceof ProtocolViolation || error instanceof SqlError) return undefined;
    throw error;
  }
}

/** None in the simple protocol. */
export function boundParameters(
  statement: PreparedStatement | undefined,
  batch: DirectBatch | undefined,
): readonly BoundParameter[] {
  if (statement === undefined || batch === undefined) return [];
  const { parameterTypes } = statement.description;
  const { parameters, parameterFormats } = batch.bind;
  return parameters.map((value, index) => ({
    typeOid: parameterTypes[index] ?? 0,
    format: formatAt(parameterFormats, index),
    value,
  }));
}
