/** Key values in a map file: range bounds and list entries, read by the key type's own rules. */
import {
  isIntegerType,
  keyFromText,
  keyToText,
  type KeyType,
  type KeyValue,
} from "../shard-key.ts";
import { type FieldPath, type ProblemList, quoted } from "../../base/document/problems.ts";

const SPELLING: Readonly<Record<KeyType, string>> = {
  smallint: "Write a whole number from -32768 to 32767.",
  integer: "Write a whole number from -2147483648 to 2147483647.",
  bigint: "Write a whole number from -9223372036854775808 to 9223372036854775807.",
  uuid: 'Write it in quotes: "6ecd8c99-4036-403d-bf84-cf8400f67836".',
  text: 'Put it in quotes: "...".',
  varchar: 'Put it in quotes: "...".',
  date: 'Write it as "2024-12-31".',
  timestamptz: 'Write it with its offset: "2024-12-31 00:00:00+00".',
};

/**
 * Undefined where the value is none of the type; that is reported. YAML's numbers serve
 * integer keys alone: 01 or 1e3 would be another text than the one written.
 */
export function readKeyScalar(
  type: KeyType,
  scalar: string | number,
  path: FieldPath,
  problems: ProblemList,
): KeyValue | undefined {
  const text = String(scalar);
  const isUsable = typeof scalar === "string" || isIntegerType(type);
  const key = isUsable ? keyFromText(type, text) : "unproven";
  if (typeof key !== "string") return key;
  problems.report(path, `${quoted(text)} cannot be read as a key of type ${type}`, SPELLING[type]);
  return undefined;
}

export function printKey(key: KeyValue | undefined): string {
  return key === undefined ? "unbounded" : quoted(keyToText(key));
}
