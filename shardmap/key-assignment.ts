/**
 * Shard key values as they are *stored*: what INSERT and COPY put into a key column, after
 * PostgreSQL's assignment casts and the column's own modifier. Beside shard-key.ts, which
 * reads values that are compared with one:
 *
 *     value                compared                assigned
 *     5.5, integer key     matches nothing         becomes 6
 *     99999, smallint key  matches nothing         is an error
 *     'abc ', varchar(3)   compared as it is       becomes 'abc'
 *     5, text key          is an error             becomes '5'
 *     1.0000005s, (3)      compared as it is       is rounded: unproven here
 */
import {
  fitsInteger,
  INTEGER_OIDS,
  readInteger,
  readIntegerBytes,
  type IntegerType,
} from "./shard-key/integer.ts";
import {
  NUMERIC_OID,
  readDecimal,
  readNumericBytes,
  roundedInteger,
  type Decimal,
} from "./shard-key/numeric.ts";
import { fitTypmod } from "./shard-key/text.ts";
import {
  integerKey,
  isIntegerType,
  isSameType,
  keyFromBinary,
  keyFromText,
  textKey,
  type KeyComparison,
  type KeyReading,
  type KeyType,
} from "./shard-key.ts";

/** A key column as the catalog has it. */
export interface KeyColumn {
  readonly type: KeyType;
  /** pg_attribute.atttypmod; -1 for none. */
  readonly typmod: number;
}

/** A literal without a type (`'5'`), or a field of COPY in text format. */
export function assignedFromText(column: KeyColumn, text: string): KeyReading {
  return fitted(column, keyFromText(column.type, text));
}

/** A numeric literal as written, with its sign. */
export function assignedFromNumber(column: KeyColumn, text: string): KeyReading {
  const { type } = column;
  if (isIntegerType(type)) return assignedDecimal(type, readDecimal(text));
  // An integer literal is an integer or a bigint to PostgreSQL, and is cast through its own text.
  const integer = /^-?[0-9]+$/.test(text) ? readInteger("bigint", text) : "unproven";
  return typeof integer === "bigint" ? printedInteger(column, integer) : "unproven";
}

/** A parameter in text format, of the type PostgreSQL resolved for it (0 and `unknown`: unproven). */
export function assignedFromParameterText(
  column: KeyColumn,
  parameterTypeOid: number,
  text: string,
): KeyReading {
  const { type } = column;
  const parameterType = INTEGER_OIDS.get(parameterTypeOid);
  if (parameterType !== undefined) return assignedInteger(column, readInteger(parameterType, text));
  if (isIntegerType(type)) {
    return parameterTypeOid === NUMERIC_OID ? assignedDecimal(type, readDecimal(text)) : "unproven";
  }
  return isSameType(type, parameterTypeOid) ? fitted(column, keyFromText(type, text)) : "unproven";
}

/** A parameter in binary format; otherwise as `assignedFromParameterText`. */
export function assignedFromBinary(
  column: KeyColumn,
  parameterTypeOid: number,
  bytes: Buffer,
): KeyReading {
  const { type } = column;
  const parameterType = INTEGER_OIDS.get(parameterTypeOid);
  if (parameterType !== undefined)
    return assignedInteger(column, readIntegerBytes(parameterType, bytes));
  if (isIntegerType(type)) {
    return parameterTypeOid === NUMERIC_OID
      ? assignedDecimal(type, readNumericBytes(bytes))
      : "unproven";
  }
  return fitted(column, keyFromBinary(type, parameterTypeOid, bytes));
}

function assignedInteger(column: KeyColumn, value: bigint | "invalid" | "unproven"): KeyReading {
  if (typeof value === "string") return value;
  if (!isIntegerType(column.type)) return printedInteger(column, value);
  return fitsInteger(column.type, value) ? integerKey(value) : "invalid";
}

/** numeric to an integer column: rounded, then out of range is an error. */
function assignedDecimal(type: IntegerType, decimal: Decimal | "invalid" | "unproven"): KeyReading {
  if (typeof decimal === "string") return decimal;
  const value = roundedInteger(decimal);
  return value !== undefined && fitsInteger(type, value) ? integerKey(value) : "invalid";
}

/** An integer stored into a text column is its decimal text. Other types take integers only by casts a user made. */
function printedInteger(column: KeyColumn, value: bigint): KeyReading {
  if (column.type !== "text" && column.type !== "varchar") return "unproven";
  return fitted(column, textKey(Buffer.from(String(value))));
}

/** Applies the column's modifier. */
function fitted(column: KeyColumn, value: KeyComparison): KeyReading {
  if (typeof value === "string") return value === "noMatch" ? "unproven" : value;
  switch (value.kind) {
    case "text": {
      const bytes = fitTypmod(value.bytes, column.typmod);
      return typeof bytes === "string" ? bytes : textKey(bytes);
    }
    case "timestamptz":
      return isWholeAtPrecision(value.microseconds, column.typmod) ? value : "unproven";
    default:
      return value;
  }
}

/** timestamptz(p) rounds to p digits of a second; what has no more of them is stored as it is. */
function isWholeAtPrecision(microseconds: bigint, typmod: number): boolean {
  return typmod < 0 || typmod >= 6 || microseconds % 10n ** BigInt(6 - typmod) === 0n;
}
