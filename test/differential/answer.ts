/**
 * An answer in a form that can be compared: message by message, with what may differ
 * between two servers (OIDs of user-defined types and tables) put into names.
 */
import type { BackendMessage, Column } from "../support/raw-frames.ts";
import {
  readColumns,
  readCstrings,
  readFields,
  readRow,
  readTypeOids,
} from "../support/raw-frames.ts";

export type Item =
  | { readonly kind: "message"; readonly type: string; readonly text: string }
  | {
      readonly kind: "columns";
      readonly columns: readonly string[];
      readonly formats: readonly Column[];
    }
  /** Rows as Latin-1 text of their bytes, in the order they came. */
  | { readonly kind: "rows"; readonly rows: readonly string[] }
  | { readonly kind: "error"; readonly fields: Readonly<Record<string, string>> };

/** Names of types by the OIDs of one side. */
export type TypeNames = ReadonlyMap<number, string>;

/** `opaqueColumns`: output columns whose values are compared for NULL alone. */
export function readAnswer(
  messages: readonly BackendMessage[],
  names: TypeNames,
  opaqueColumns: readonly number[],
): Item[] {
  const items: Item[] = [];
  let rows: string[] | undefined;
  let formats: readonly Column[] = [];
  for (const { type, body } of messages) {
    if (type === "D") {
      if (rows === undefined) items.push({ kind: "rows", rows: (rows = []) });
      rows.push(rowText(body, formats, names, opaqueColumns));
      continue;
    }
    rows = undefined;
    const item = itemOf(type, body, names);
    if (item === undefined) continue;
    if (item.kind === "columns") formats = item.formats;
    // Of a portal that is described only after it.
    if (type === "2") formats = [];
    items.push(item);
  }
  return items;
}

function itemOf(type: string, body: Buffer, names: TypeNames): Item | undefined {
  switch (type) {
    case "T": {
      const formats = readColumns(body);
      return {
        kind: "columns",
        formats,
        columns: formats.map((column) => columnText(column, names)),
      };
    }
    case "t":
      return {
        kind: "message",
        type,
        text: readTypeOids(body)
          .map((oid) => nameOf(oid, names))
          .join(", "),
      };
    case "E":
      return { kind: "error", fields: readFields(body) };
    case "N": {
      const { C: code = "", M: message = "" } = readFields(body);
      return { kind: "message", type, text: `${code} ${message}` };
    }
    case "S":
      return { kind: "message", type, text: readCstrings(body).join("=") };
    case "K":
      return undefined;
    default:
      return { kind: "message", type, text: body.toString("latin1") };
  }
}

function columnText({ name, typeOid, typeSize, typmod, format }: Column, names: TypeNames): string {
  return `${name} ${nameOf(typeOid, names)}(${typmod}) size ${typeSize} format ${format}`;
}

function nameOf(oid: number, names: TypeNames): string {
  return names.get(oid) ?? `unknown type ${oid}`;
}

const PLAIN_BODY = "latin1";

function rowText(
  body: Buffer,
  formats: readonly Column[],
  names: TypeNames,
  opaqueColumns: readonly number[],
): string {
  const hasArray = formats.some(
    ({ format, typeOid }) => format === 1 && names.get(typeOid) === "_mood",
  );
  if (opaqueColumns.length === 0 && !hasArray) return body.toString(PLAIN_BODY);
  const values = readRow(body).map((value, index) => {
    if (value === null) return "null";
    if (opaqueColumns.includes(index)) return "opaque";
    const column = formats[index];
    if (column?.format !== 1 || names.get(column.typeOid) !== "_mood")
      return value.toString(PLAIN_BODY);
    return `${nameOf(value.readUInt32BE(8), names)}${value.toString(PLAIN_BODY, 0, 8)}${value.toString(PLAIN_BODY, 12)}`;
  });
  return values.join("|");
}

/** For people: rows as text where they are text. */
export function printItem(item: Item): string {
  switch (item.kind) {
    case "message":
      return `${item.type} ${printable(item.text)}`;
    case "columns":
      return `T ${item.columns.join("; ")}`;
    case "rows": {
      const shown = item.rows.slice(0, 8).map((row) => `    ${printable(row)}`);
      return [
        `D ${item.rows.length} rows`,
        ...shown,
        ...(item.rows.length > 8 ? ["    …"] : []),
      ].join("\n");
    }
    case "error":
      return `E ${JSON.stringify(item.fields)}`;
  }
}

function printable(text: string): string {
  return Buffer.from(text, "latin1")
    .toString("utf8")
    .replaceAll(
      /[^\P{C}\n]/gu,
      (char) => `\\x${(char.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`,
    );
}
