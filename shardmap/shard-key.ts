/**
 * Shard key values: from a literal, a text parameter or a binary parameter to one
 * canonical form, exactly as PostgreSQL would read them where they are *compared* with a
 * key column, or not at all. What is *assigned* to one (INSERT) follows other rules:
 * key-assignment.ts.
 *
 * It knows no session: what DateStyle, TimeZone, the server's version or a type not yet
 * resolved could change is "unproven". Databases are UTF-8.
 */
import { InvariantViolation, unreachable } from "../base/invariant.ts";
import {
  DATE_OID,
  printDate,
  printTimestamptz,
  readDate,
  readDateBytes,
  readTimestamptz,
  readTimestamptzBytes,
  TIMESTAMPTZ_OID,
} from "./shard-key/date-time.ts";
import {
  fitsInteger,
  INTEGER_OIDS,
  readInteger,
  readIntegerBytes,
  type IntegerType,
} from "./shard-key/integer.ts";
import {
  exactInteger,
  NUMERIC_OID,
  readDecimal,
  readNumericBytes,
  type Decimal,
} from "./shard-key/numeric.ts";
import { readText, readTextBytes, TEXT_OIDS } from "./shard-key/text.ts";
import { printUuid, readUuid, readUuidBytes, UUID_OID } from "./shard-key/uuid.ts";

export const KEY_TYPES = [
  "smallint",
  "integer",
  "bigint",
  "uuid",
  "text",
  "varchar",
  "date",
  "timestamptz",
] as const;

export type KeyType = (typeof KEY_TYPES)[number];

/** pg_type.oid of each key type, the same in every server. */
export const KEY_TYPE_OIDS: Readonly<Record<KeyType, number>> = {
  smallint: 21,
  integer: 23,
  bigint: 20,
  uuid: UUID_OID,
  text: 25,
  varchar: 1043,
  date: DATE_OID,
  timestamptz: TIMESTAMPTZ_OID,
};

/** How a value is written so that it means the same in every session; a sentence. */
export const PLAIN_SPELLING: Readonly<Record<KeyType, string>> = {
  smallint: "Write it in decimal digits: 42.",
  integer: "Write it in decimal digits: 42.",
  bigint: "Write it in decimal digits: 42.",
  uuid: "Write it as 6ecd8c99-4036-403d-bf84-cf8400f67836.",
  text: "Pass it as a literal or a parameter of type text.",
  varchar: "Pass it as a literal or a parameter of type varchar.",
  date: "Write it as 2024-12-31, without a time.",
  timestamptz:
    "Write it with its offset, and no finer than its column stores: 2024-12-31 00:00:00+00.",
};

/**
 * A key value in canonical form. Numbers are kept as bigint for ordering; hashing works
 * on 32-bit halves. Dates are days and timestamps microseconds since 2000-01-01, as in
 * PostgreSQL's own storage.
 */
export type KeyValue =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "uuid"; readonly bytes: Buffer }
  | { readonly kind: "text"; readonly bytes: Buffer }
  | { readonly kind: "date"; readonly days: number }
  | { readonly kind: "timestamptz"; readonly microseconds: bigint };

/**
 * `invalid`: PostgreSQL raises an error for this input in every session, so any server may
 * be asked to word it. `unproven`: this file cannot tell what PostgreSQL would make of it;
 * it pins nothing.
 */
export type KeyReading = KeyValue | "invalid" | "unproven";

/** `noMatch`: a legal comparison that no value of the key's type can satisfy. */
export type KeyComparison = KeyReading | "noMatch";

/**
 * A literal without a type (`'5'`), compared with the key column itself: read by the
 * key type's input function. In `key IN ('5', 6.0)` PostgreSQL may read it as another
 * type: that is for the caller to rule out.
 */
export function keyFromText(type: KeyType, text: string): KeyReading {
  switch (type) {
    case "smallint":
    case "integer":
    case "bigint":
      return reading(readInteger(type, text), integerKey);
    case "uuid":
      return reading(readUuid(text), uuidKey);
    case "text":
    case "varchar":
      return reading(readText(text), textKey);
    case "date":
      return reading(readDate(text), dateKey);
    case "timestamptz":
      return reading(readTimestamptz(text), timestamptzKey);
    default:
      return unreachable(type);
  }
}

/** A numeric literal as written, with its sign (`5`, `-3`, `5.0`, `1e3`), compared with the key column. */
export function keyFromNumber(type: KeyType, text: string): KeyComparison {
  return isIntegerType(type) ? comparedDecimal(type, readDecimal(text)) : "unproven";
}

/**
 * A parameter in text format, compared with the key column. `parameterTypeOid` is the
 * type PostgreSQL resolved for it, which another use of the same parameter may have
 * decided; 0 and `unknown` (705) mean that nobody asked, so nothing is proven.
 */
export function keyFromParameterText(
  type: KeyType,
  parameterTypeOid: number,
  text: string,
): KeyComparison {
  if (isIntegerType(type)) {
    const parameterType = INTEGER_OIDS.get(parameterTypeOid);
    if (parameterType !== undefined) return comparedInteger(type, readInteger(parameterType, text));
    return parameterTypeOid === NUMERIC_OID ? comparedDecimal(type, readDecimal(text)) : "unproven";
  }
  return isSameType(type, parameterTypeOid) ? keyFromText(type, text) : "unproven";
}

/** A parameter in binary format; otherwise as `keyFromParameterText`. */
export function keyFromBinary(
  type: KeyType,
  parameterTypeOid: number,
  bytes: Buffer,
): KeyComparison {
  if (isIntegerType(type)) {
    const parameterType = INTEGER_OIDS.get(parameterTypeOid);
    if (parameterType !== undefined)
      return comparedInteger(type, readIntegerBytes(parameterType, bytes));
    return parameterTypeOid === NUMERIC_OID
      ? comparedDecimal(type, readNumericBytes(bytes))
      : "unproven";
  }
  if (!isSameType(type, parameterTypeOid)) return "unproven";
  switch (type) {
    case "uuid":
      return reading(readUuidBytes(bytes), uuidKey);
    case "text":
    case "varchar":
      return reading(readTextBytes(bytes), textKey);
    case "date":
      return reading(readDateBytes(bytes), dateKey);
    case "timestamptz":
      return reading(readTimestamptzBytes(bytes), timestamptzKey);
    default:
      return unreachable(type);
  }
}

/**
 * The order of PostgreSQL's comparison operators for values of one type: negative, zero or
 * positive. Text is ordered by its bytes, which is the column's order only under a C-like collation.
 */
export function compareKeys(left: KeyValue, right: KeyValue): number {
  switch (left.kind) {
    case "integer":
      return right.kind === "integer" ? sign(left.value, right.value) : differentKinds();
    case "uuid":
      return right.kind === "uuid" ? Buffer.compare(left.bytes, right.bytes) : differentKinds();
    case "text":
      return right.kind === "text" ? Buffer.compare(left.bytes, right.bytes) : differentKinds();
    case "date":
      return right.kind === "date" ? left.days - right.days : differentKinds();
    case "timestamptz":
      return right.kind === "timestamptz"
        ? sign(left.microseconds, right.microseconds)
        : differentKinds();
    default:
      return unreachable(left);
  }
}

/** One spelling for each value, which PostgreSQL reads back as it under every DateStyle and TimeZone: for errors, maps and SQL. */
export function keyToText(key: KeyValue): string {
  switch (key.kind) {
    case "integer":
      return String(key.value);
    case "uuid":
      return printUuid(key.bytes);
    case "text":
      return key.bytes.toString("utf8");
    case "date":
      return printDate(key.days);
    case "timestamptz":
      return printTimestamptz(key.microseconds);
    default:
      return unreachable(key);
  }
}

export function integerKey(value: bigint): KeyValue {
  return { kind: "integer", value };
}

export function uuidKey(bytes: Buffer): KeyValue {
  return { kind: "uuid", bytes };
}

export function textKey(bytes: Buffer): KeyValue {
  return { kind: "text", bytes };
}

export function dateKey(days: number): KeyValue {
  return { kind: "date", days };
}

export function timestamptzKey(microseconds: bigint): KeyValue {
  return { kind: "timestamptz", microseconds };
}

export function isIntegerType(type: KeyType): type is IntegerType {
  return type === "smallint" || type === "integer" || type === "bigint";
}

/** text and varchar are one type to every comparison; the others stand alone. */
export function isSameType(type: KeyType, parameterTypeOid: number): boolean {
  if (type === "text" || type === "varchar") return TEXT_OIDS.includes(parameterTypeOid);
  return KEY_TYPE_OIDS[type] === parameterTypeOid;
}

/** PostgreSQL compares integers of different widths by value, so a wider one may match nothing. */
function comparedInteger(type: IntegerType, value: bigint | "invalid" | "unproven"): KeyComparison {
  if (typeof value === "string") return value;
  return fitsInteger(type, value) ? integerKey(value) : "noMatch";
}

/** An integer column meets a numeric as numerics: 5 = 5.0, and 5.5 equals none. */
function comparedDecimal(
  type: IntegerType,
  decimal: Decimal | "invalid" | "unproven",
): KeyComparison {
  if (typeof decimal === "string") return decimal;
  const value = exactInteger(decimal);
  return value !== undefined && fitsInteger(type, value) ? integerKey(value) : "noMatch";
}

function reading<T extends bigint | number | Buffer>(
  value: T | "invalid" | "unproven",
  make: (value: T) => KeyValue,
): KeyReading {
  return typeof value === "string" ? value : make(value);
}

function sign(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function differentKinds(): never {
  throw new InvariantViolation("keys of one column are of one kind, so they have an order");
}
