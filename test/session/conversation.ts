/**
 * A scripted conversation with a server, and what the server said as lines of text: the
 * same script put to a plain PostgreSQL and to the proxy must read the same.
 *
 * What differs between any two databases is left out: OIDs of tables, and where in its
 * source a server raised an error.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RawClient } from "../support/raw-client.ts";
import {
  bindFrame,
  closeFrame,
  cstring,
  describeFrame,
  executeFrame,
  flushFrame,
  frame,
  parseFrame,
  queryFrame,
  readColumns,
  readCstrings,
  readFields,
  readRow,
  readTypeOids,
  syncFrame,
  uint16,
  uint32,
} from "../support/raw-frames.ts";
import type { BackendMessage } from "../support/raw-frames.ts";

export interface Said {
  readonly bytes: Buffer;
  /** Whether ReadyForQuery answers it. */
  readonly isAnswered: boolean;
}

const unanswered = (bytes: Buffer): Said => ({ bytes, isAnswered: false });
const answered = (bytes: Buffer): Said => ({ bytes, isAnswered: true });

export const query = (sql: string): Said => answered(queryFrame(sql));
export const sync = (): Said => answered(syncFrame());
export const flush = (): Said => unanswered(flushFrame());
export const parse = (name: string, sql: string, types: readonly number[] = []): Said =>
  unanswered(parseFrame(name, sql, types));
export const describe = (target: "S" | "P", name: string): Said =>
  unanswered(describeFrame(target, name));
export const execute = (portal = "", rowsMax = 0): Said =>
  unanswered(executeFrame(portal, rowsMax));
export const close = (target: "S" | "P", name: string): Said =>
  unanswered(closeFrame(target, name));
export const raw = (type: string, ...parts: readonly Buffer[]): Said =>
  unanswered(frame(type, ...parts));
export const functionCall = (): Said =>
  answered(frame("F", uint32(1), uint16(0), uint16(0), uint16(0)));

/** A text, null, or bytes in binary format. */
export type Value = string | null | Buffer;

export function bind(
  portal: string,
  statement: string,
  values: readonly Value[] = [],
  resultFormats: readonly (0 | 1)[] = [],
): Said {
  const parameters = values.map((value) => ({
    typeOid: 0,
    format: Buffer.isBuffer(value) ? (1 as const) : (0 as const),
    value: typeof value === "string" ? Buffer.from(value) : value,
  }));
  return unanswered(bindFrame(portal, statement, parameters, resultFormats));
}

/** Format codes as given, however many. */
export function bindWithFormats(
  formats: readonly number[],
  values: readonly string[],
  resultFormats: readonly number[],
): Said {
  return raw(
    "B",
    cstring(""),
    cstring(""),
    uint16(formats.length),
    ...formats.map(uint16),
    uint16(values.length),
    ...values.flatMap((value) => [uint32(Buffer.byteLength(value)), Buffer.from(value)]),
    uint16(resultFormats.length),
    ...resultFormats.map(uint16),
  );
}

/** Parse, Bind, Describe and Execute of the unnamed statement. */
export function run(sql: string, ...values: readonly Value[]): readonly Said[] {
  return [parse("", sql), bind("", "", values), describe("P", ""), execute()];
}

export type Script = readonly (Said | readonly Said[])[];

/** `pace`: all messages as one write, or each by itself with time for an answer in between. */
export async function converse(
  client: RawClient,
  script: Script,
  pace: "at once" | "one by one" = "at once",
): Promise<readonly string[]> {
  const said = script.flat();
  if (pace === "at once") {
    client.write(Buffer.concat(said.map(({ bytes }) => bytes)));
  } else {
    for (const { bytes } of said) {
      client.write(bytes);
      await sleep(2);
    }
  }
  const lines: string[] = [];
  for (const { isAnswered } of said) {
    if (!isAnswered) continue;
    const { messages } = await client.untilReady();
    lines.push(...messages.map(line));
  }
  return lines;
}

const PLAIN_NAMES: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  n: "NoData",
  s: "PortalSuspended",
  I: "EmptyQueryResponse",
};

export function line({ type, body }: BackendMessage): string {
  switch (type) {
    case "t":
      return `ParameterDescription ${readTypeOids(body).join(" ")}`;
    case "T":
      return `RowDescription ${readColumns(body).map(columnText).join(", ")}`;
    case "D":
      return `DataRow ${readRow(body).map(valueText).join(" | ")}`;
    case "C":
      return `CommandComplete ${readCstrings(body)[0]}`;
    case "Z":
      return `ReadyForQuery ${body.toString("latin1")}`;
    case "S":
      return `ParameterStatus ${readCstrings(body).slice(0, 2).join("=")}`;
    // Which process notified is no two servers' matter.
    case "A":
      return `NotificationResponse ${readCstrings(body.subarray(4)).slice(0, 2).join(" ")}`;
    case "E":
      return `ErrorResponse ${fieldsText(readFields(body))}`;
    case "N":
      return `NoticeResponse ${fieldsText(readFields(body))}`;
    default:
      return PLAIN_NAMES[type] ?? `${type} ${body.toString("hex")}`;
  }
}

function columnText(column: ReturnType<typeof readColumns>[number]): string {
  const { name, tableOid, attribute, typeOid, typeSize, typmod, format } = column;
  const origin = tableOid === 0 ? "" : ` of table, ${attribute}`;
  return `${name} ${typeOid}/${typeSize}/${typmod}${format === 1 ? " binary" : ""}${origin}`;
}

function valueText(value: Buffer | null): string {
  if (value === null) return "NULL";
  const text = value.toString("utf8");
  return /^[^\p{Cc}\ufffd]*$/u.test(text) ? text : `\\x${value.toString("hex")}`;
}

/** All fields but file, line and routine. */
const COMPARED_FIELDS = Array.from("SVCMDHPpqWstcdn");

function fieldsText(fields: Readonly<Record<string, string>>): string {
  return (
    COMPARED_FIELDS.filter((letter) => fields[letter] !== undefined)
      .map((letter) => `${letter}=${fields[letter]}`)
      .join(" ")
      // Each backend has its own.
      .replaceAll(/pg_temp_\d+/g, "pg_temp_N")
  );
}
