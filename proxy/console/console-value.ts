/** Types of the console's columns, and their values in both of the protocol's formats. */
import { invariant, unreachable } from "../../base/invariant.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FormatCode } from "../protocol/format-code.ts";

export type ConsoleType = "text" | "integer" | "bigint" | "boolean" | "timestamptz";

/** A Date is a timestamptz; a number stands for integer and bigint, whose values here are whole and exact. */
export type ConsoleValue = string | number | boolean | Date | null;

/** OID and typlen, as in pg_type. */
export const CONSOLE_TYPES: Readonly<
  Record<ConsoleType, { readonly typeOid: number; readonly typeSize: number }>
> = {
  text: { typeOid: 25, typeSize: -1 },
  integer: { typeOid: 23, typeSize: 4 },
  bigint: { typeOid: 20, typeSize: 8 },
  boolean: { typeOid: 16, typeSize: 1 },
  timestamptz: { typeOid: 1184, typeSize: 8 },
};

const TYPE_BY_OID = new Map(
  Object.entries(CONSOLE_TYPES).map(([type, { typeOid }]) => [typeOid, type as ConsoleType]),
);

export interface ResultColumn {
  readonly name: string;
  readonly type: ConsoleType;
}

/** PostgreSQL counts from 2000-01-01. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);

/** A column as RowDescription tells it, in text format. */
export function describedColumn({ name, type }: ResultColumn): ColumnDescription {
  return { name, ...CONSOLE_TYPES[type], tableOid: 0, columnNumber: 0, typmod: -1, format: "text" };
}

/** `typeOid` is one of CONSOLE_TYPES. */
export function encodeValue(
  value: ConsoleValue,
  typeOid: number,
  format: FormatCode,
): Buffer | null {
  if (value === null) return null;
  if (format === "text") return Buffer.from(textOf(value), "utf8");
  const type = TYPE_BY_OID.get(typeOid);
  invariant(type !== undefined, "a column of the console has one of its types");
  return binaryOf(value, type);
}

function textOf(value: Exclude<ConsoleValue, null>): string {
  if (value instanceof Date) return `${value.toISOString().replace("T", " ").slice(0, -1)}+00`;
  if (typeof value === "boolean") return value ? "t" : "f";
  return String(value);
}

function binaryOf(value: Exclude<ConsoleValue, null>, type: ConsoleType): Buffer {
  switch (type) {
    case "text":
      return Buffer.from(String(value), "utf8");
    case "integer": {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(Number(value));
      return bytes;
    }
    case "bigint":
      return int8(BigInt(Number(value)));
    case "boolean":
      return Buffer.from([value === true ? 1 : 0]);
    case "timestamptz":
      return int8(BigInt((value as Date).getTime() - POSTGRES_EPOCH_MS) * 1_000n);
    default:
      return unreachable(type);
  }
}

function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
