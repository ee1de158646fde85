/**
 * Reads what a client has sent at once, where it is whole and of a usual form: a Query, or
 * `[Parse] Bind [Describe] Execute Sync` of the unnamed portal. Anything else it does not read,
 * and what is broken inside is refused by whoever reads it next.
 *
 * Lengths are walked and little is decoded: most of a Bind goes on to a server as it came.
 */
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { keptCopy } from "../protocol/bump-arena.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import { decodeParse } from "../protocol/frontend/parse.ts";
import type { Parse } from "../protocol/frontend/parse.ts";
import { decodeQuery } from "../protocol/frontend/query.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";

export interface DirectBatch {
  /** Where the Bind begins: behind a Parse of the unnamed statement, or where the batch does. */
  readonly parseEnd: number;
  readonly bind: DirectBind;
  /** The client asks for the portal's columns. */
  readonly isDescribed: boolean;
  /** Where the last message ends. */
  readonly end: number;
}

/** A Bind of the unnamed portal. Its values are views of what was read, and gone with it. */
export interface DirectBind {
  /** Empty for the unnamed one. */
  readonly statement: string;
  readonly parameterFormats: readonly FormatCode[];
  readonly parameters: readonly (Buffer | null)[];
  readonly resultFormats: readonly FormatCode[];
  /** The message from behind the statement's name: formats and values. It stays. */
  readonly rest: Buffer;
}

/** `P` and an empty name; an empty name and no limit of rows. */
const DESCRIBE_BYTES = FRAME_HEADER_BYTES + 2;
const EXECUTE_BYTES = FRAME_HEADER_BYTES + 5;
const LETTER_P = "P".charCodeAt(0);

/** Where the Query ends that starts here; undefined where none does, or not all of it is there. */
export function queryEnd(bytes: Buffer, start: number, end: number): number | undefined {
  return endOf(FRONTEND_TYPE.query, bytes, start, end);
}

/** The text of the Query `bytes[start, end)`. */
export function readQuery(bytes: Buffer, start: number, end: number): string | undefined {
  return decoded(decodeQuery, bytes, start, end)?.sql;
}

export function readBatch(bytes: Buffer, start: number, end: number): DirectBatch | undefined {
  const parseEnd = endOf(FRONTEND_TYPE.parse, bytes, start, end) ?? start;
  const bindEnd = endOf(FRONTEND_TYPE.bind, bytes, parseEnd, end);
  if (bindEnd === undefined) return undefined;
  const describeEnd = endOf(FRONTEND_TYPE.describe, bytes, bindEnd, end) ?? bindEnd;
  const isDescribed = describeEnd > bindEnd;
  if (isDescribed && !isPortalsDescribe(bytes, bindEnd, describeEnd)) return undefined;
  const executeEnd = endOf(FRONTEND_TYPE.execute, bytes, describeEnd, end);
  if (executeEnd === undefined || !isWholeExecute(bytes, describeEnd, executeEnd)) return undefined;
  const syncEnd = endOf(FRONTEND_TYPE.sync, bytes, executeEnd, end);
  if (syncEnd !== executeEnd + FRAME_HEADER_BYTES) return undefined;
  const bind = readBind(bytes, parseEnd + FRAME_HEADER_BYTES, bindEnd);
  if (bind === undefined || (parseEnd > start && bind.statement !== "")) return undefined;
  return { parseEnd, bind, isDescribed, end: syncEnd };
}

/** The Parse of a batch: `bytes[start, end)`. */
export function readParse(bytes: Buffer, start: number, end: number): Parse | undefined {
  const parse = decoded(decodeParse, bytes, start, end);
  return parse?.statement === "" ? parse : undefined;
}

/** What was met before stands in `bytes[start, end)` again. */
export function isSame(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  return known.length === end - start && known.compare(bytes, start, end) === 0;
}

/** Where the frame ends that starts here, if it is of this type and whole. */
function endOf(type: number, bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start < FRAME_HEADER_BYTES || bytes[start] !== type) return undefined;
  const length = bytes.readInt32BE(start + 1);
  const frameEnd = start + 1 + length;
  return length < 4 || frameEnd > end ? undefined : frameEnd;
}

function isPortalsDescribe(bytes: Buffer, start: number, end: number): boolean {
  const at = start + FRAME_HEADER_BYTES;
  return end - start === DESCRIBE_BYTES && bytes[at] === LETTER_P && bytes[at + 1] === 0;
}

/** Of the unnamed portal, without a limit: PostgreSQL takes a negative one for none. */
function isWholeExecute(bytes: Buffer, start: number, end: number): boolean {
  const at = start + FRAME_HEADER_BYTES;
  return end - start === EXECUTE_BYTES && bytes[at] === 0 && bytes.readInt32BE(at + 1) <= 0;
}

/** The body of a Bind. */
function readBind(bytes: Buffer, start: number, end: number): DirectBind | undefined {
  const nameStart = start + 1;
  if (bytes[start] !== 0 || nameStart >= end) return undefined;
  let nameEnd = nameStart;
  for (let byte = bytes[nameEnd] ?? 0; byte !== 0; byte = bytes[nameEnd] ?? 0) {
    // Whether it is well-formed UTF-8, others find out.
    if (byte >= 0x80) return undefined;
    nameEnd += 1;
  }
  const restStart = nameEnd + 1;
  const formats = readFormats(bytes, restStart, end);
  if (formats === undefined) return undefined;
  const values = readValues(bytes, formats.end, end);
  if (values === undefined) return undefined;
  const count = formats.codes.length;
  if (count > 1 && count !== values.parameters.length) return undefined;
  const results = readFormats(bytes, values.end, end);
  if (results?.end !== end) return undefined;
  return {
    statement: nameEnd === nameStart ? "" : bytes.toString("latin1", nameStart, nameEnd),
    parameterFormats: formats.codes,
    parameters: values.parameters,
    resultFormats: results.codes,
    rest: keptCopy(bytes, restStart, end),
  };
}

interface Formats {
  readonly codes: readonly FormatCode[];
  readonly end: number;
}

const ALL_TEXT: readonly FormatCode[] = [];
const ONE_FOR_ALL = { text: ["text"], binary: ["binary"] } as const;

/** A count, and so many codes. */
function readFormats(bytes: Buffer, start: number, end: number): Formats | undefined {
  if (start + 2 > end) return undefined;
  const count = bytes.readUInt16BE(start);
  const codesEnd = start + 2 + 2 * count;
  if (codesEnd > end) return undefined;
  if (count === 0) return { codes: ALL_TEXT, end: codesEnd };
  const codes: FormatCode[] = [];
  for (let at = start + 2; at < codesEnd; at += 2) {
    const code = bytes.readInt16BE(at);
    if (code !== 0 && code !== 1) return undefined;
    codes.push(code === 0 ? "text" : "binary");
  }
  const [only] = codes;
  return { codes: count === 1 && only !== undefined ? ONE_FOR_ALL[only] : codes, end: codesEnd };
}

/** A count, and so many values behind their lengths. */
function readValues(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly parameters: readonly (Buffer | null)[]; readonly end: number } | undefined {
  if (start + 2 > end) return undefined;
  const count = bytes.readUInt16BE(start);
  const parameters: (Buffer | null)[] = [];
  let at = start + 2;
  for (let index = 0; index < count; index += 1) {
    if (at + 4 > end) return undefined;
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < -1 || at + length > end) return undefined;
    parameters.push(length === -1 ? null : bytes.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return { parameters, end: at };
}

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

/** `types`: of each parameter, as it was resolved. */
export function boundParameters(
  { parameters, parameterFormats }: DirectBind,
  types: readonly number[],
): readonly BoundParameter[] {
  return parameters.map((value, index) => ({
    typeOid: types[index] ?? 0,
    format: formatAt(parameterFormats, index),
    value,
  }));
}
