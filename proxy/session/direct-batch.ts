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

/** A Bind of the unnamed portal: whole, and read no further than it is asked for. */
export class DirectBind {
  /** Empty for the unnamed one. */
  readonly statement: string;
  readonly parameterFormats: readonly FormatCode[];
  readonly parameterCount: number;
  readonly resultFormats: readonly FormatCode[];
  /** The message from behind the statement's name: formats and values. It stays. */
  readonly rest: Buffer;
  /** Where in it the first value's length is. */
  readonly #valuesAt: number;

  constructor(
    statement: string,
    rest: Buffer,
    parameterFormats: readonly FormatCode[],
    resultFormats: readonly FormatCode[],
  ) {
    this.statement = statement;
    this.rest = rest;
    this.parameterFormats = parameterFormats;
    this.resultFormats = resultFormats;
    const countAt = 2 + 2 * rest.readUInt16BE(0);
    this.parameterCount = rest.readUInt16BE(countAt);
    this.#valuesAt = countAt + 2;
  }

  /** `types`: of each parameter, as it was resolved. */
  parameters(types: readonly number[]): readonly BoundParameter[] {
    const parameters: BoundParameter[] = [];
    let at = this.#valuesAt;
    for (let index = 0; index < this.parameterCount; index++) {
      const length = this.rest.readInt32BE(at);
      at += 4;
      const value = length < 0 ? null : this.rest.subarray(at, at + length);
      const format = formatAt(this.parameterFormats, index);
      parameters.push({ typeOid: types[index] ?? 0, format, value });
      at += Math.max(0, length);
    }
    return parameters;
  }

  /** A parameter's value, of an integer type, where it is plainly written and inside of int4. */
  smallInteger(parameter: number): number | undefined {
    const { rest } = this;
    let at = this.#valuesAt;
    for (let index = 0; index < parameter; index++) at += 4 + Math.max(0, rest.readInt32BE(at));
    const length = rest.readInt32BE(at);
    if (length < 0) return undefined;
    if (formatAt(this.parameterFormats, parameter) === "text")
      return smallDecimal(rest, at + 4, at + 4 + length);
    return smallBinary(rest, at + 4, length);
  }
}

const DIGIT_ZERO = 0x30;
/** As many as are inside of int4 whatever they are. */
const DIGITS_MAX = 9;

function smallDecimal(bytes: Buffer, start: number, end: number): number | undefined {
  if (start === end || end - start > DIGITS_MAX) return undefined;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] ?? 0) - DIGIT_ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = 10 * value + digit;
  }
  return value;
}

function smallBinary(bytes: Buffer, start: number, length: number): number | undefined {
  if (length === 4) return bytes.readInt32BE(start);
  if (length !== 8) return undefined;
  const low = bytes.readInt32BE(start + 4);
  return bytes.readInt32BE(start) === low >> 31 ? low : undefined;
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
  const countAt = formatsEnd(bytes, restStart, end);
  const resultsAt = countAt < 0 ? -1 : valuesEnd(bytes, countAt, end);
  if (resultsAt < 0 || formatsEnd(bytes, resultsAt, end) !== end) return undefined;
  const parameterFormats = readFormats(bytes, restStart);
  const resultFormats = readFormats(bytes, resultsAt);
  if (parameterFormats === undefined || resultFormats === undefined) return undefined;
  const { length: formatCount } = parameterFormats;
  if (formatCount > 1 && formatCount !== bytes.readUInt16BE(countAt)) return undefined;
  const statement = nameEnd === nameStart ? "" : bytes.toString("latin1", nameStart, nameEnd);
  return new DirectBind(
    statement,
    keptCopy(bytes, restStart, end),
    parameterFormats,
    resultFormats,
  );
}

const ALL_TEXT: readonly FormatCode[] = [];
const ONE_FOR_ALL: readonly (readonly FormatCode[])[] = [["text"], ["binary"]];

/** Behind a count, and so many codes; -1 where that is not whole. */
function formatsEnd(bytes: Buffer, start: number, end: number): number {
  if (start + 2 > end) return -1;
  const codesEnd = start + 2 + 2 * bytes.readUInt16BE(start);
  return codesEnd > end ? -1 : codesEnd;
}

/** Of whole ones; undefined where one is none. */
function readFormats(bytes: Buffer, start: number): readonly FormatCode[] | undefined {
  const count = bytes.readUInt16BE(start);
  if (count === 0) return ALL_TEXT;
  if (count === 1) return ONE_FOR_ALL[bytes.readUInt16BE(start + 2)];
  const codes: FormatCode[] = [];
  for (let index = 0; index < count; index += 1) {
    const code = bytes.readUInt16BE(start + 2 + 2 * index);
    if (code > 1) return undefined;
    codes.push(code === 0 ? "text" : "binary");
  }
  return codes;
}

/** Behind a count, and so many values behind their lengths; -1 where that is not whole. */
function valuesEnd(bytes: Buffer, start: number, end: number): number {
  if (start + 2 > end) return -1;
  const count = bytes.readUInt16BE(start);
  let at = start + 2;
  for (let index = 0; index < count; index += 1) {
    if (at + 4 > end) return -1;
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < -1 || at + length > end) return -1;
    at += Math.max(0, length);
  }
  return at;
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
