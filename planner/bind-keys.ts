/**
 * From the keys of a plan and one Bind's parameters to placements. A value is read as
 * PostgreSQL would read it, or it proves nothing.
 */
import { SqlError } from "../base/sql-error.ts";
import {
  assignedFromBinary,
  assignedFromNumber,
  assignedFromParameterText,
  assignedFromText,
  type KeyColumn,
} from "../shardmap/key-assignment.ts";
import { integerHashModulo } from "../shardmap/shard-function/hash.ts";
import { shardOf } from "../shardmap/shard-function/shard-of.ts";
import {
  integerKey,
  keyFromBinary,
  keyFromNumber,
  keyFromParameterText,
  keyFromText,
  keyToText,
  type KeyComparison,
  type KeyReading,
  type KeyType,
  type KeyValue,
} from "../shardmap/shard-key.ts";
import type { Colocation, Placement } from "../shardmap/shard-map.ts";
import { elementType, familyOfKey, familyOfType } from "./analyze/column-types.ts";
import { binaryElements, textElements } from "./key-arrays.ts";
import type { KeyTerm, KeyTuple } from "./logical-plan.ts";
import type { BoundParameter } from "./physical-plan.ts";

/** Placements that hold rows of the keys, or that this cannot be proven. */
export type KeyPlacements = ReadonlySet<Placement> | "unproven";

/** Alternatives: a row has one of the keys. One that matches no row, or that every server refuses, needs no placement. */
export function placementsOfKeys(
  colocation: Colocation,
  keys: readonly KeyTuple[],
  parameters: readonly BoundParameter[],
): KeyPlacements {
  const placements = new Set<Placement>();
  for (const tuple of keys) {
    const values = tuple.map((term, index) =>
      comparedValue(term, keyType(colocation, index), parameters),
    );
    if (values.includes("unproven")) return "unproven";
    const key = values.filter((value): value is KeyValue => typeof value === "object");
    if (key.length === values.length) placements.add(placementOf(colocation, key));
  }
  return placements;
}

export function placementsOfArray(
  colocation: Colocation,
  parameter: number,
  plannedTypeOid: number,
  parameters: readonly BoundParameter[],
): KeyPlacements {
  const bound = parameters[parameter - 1];
  if (bound === undefined) return "unproven";
  if (bound.value === null) return new Set();
  const type = keyType(colocation, 0);
  const elementOid = elementType(resolvedType(bound, plannedTypeOid));
  if (elementOid === 0 || familyOfType(elementOid) !== familyOfKey(type)) return "unproven";
  const isText = bound.format === "text";
  const elements = isText
    ? textElements(bound.value.toString("utf8"))
    : binaryElements(bound.value, elementOid);
  if (elements === undefined) return "unproven";
  const placements = new Set<Placement>();
  for (const element of elements) {
    if (element === null) continue;
    const value = isText
      ? keyFromParameterText(type, elementOid, element.toString("utf8"))
      : keyFromBinary(type, elementOid, element);
    if (value === "unproven") return "unproven";
    if (typeof value === "object") placements.add(placementOf(colocation, [value]));
  }
  return placements;
}

/** Where a row with this key lives. A key that no entry of the map covers is an error, on read and on write. */
export function placementOf(colocation: Colocation, key: readonly KeyValue[]): Placement {
  const shard = shardOf(colocation.function, key);
  const placement = shard === undefined ? undefined : colocation.placementByShard[shard];
  return placement ?? uncovered(colocation, key);
}

/** As `placementOf`, of one key column that is an integer, for a value inside of int4. */
export function placementOfInteger(colocation: Colocation, value: number): Placement {
  if (colocation.function.kind === "hash") {
    const shard = integerHashModulo(value, colocation.function.logicalShards);
    const placement = colocation.placementByShard[shard];
    if (placement !== undefined) return placement;
  }
  return placementOf(colocation, [integerKey(BigInt(value))]);
}

function uncovered(colocation: Colocation, key: readonly KeyValue[]): never {
  const text = key.map(keyToText).join(", ");
  throw new SqlError(
    "shard_key_not_covered",
    `no shard of colocation "${colocation.name}" covers key (${text})`,
  );
}

function keyType(colocation: Colocation, index: number): KeyType {
  const type = colocation.keyTypes[index];
  if (type === undefined)
    throw new SqlError(
      "shard_key_not_covered",
      `colocation "${colocation.name}" has another shard key than the statement was planned for`,
    );
  return type;
}

/** What a key column is compared with. */
export function comparedValue(
  term: KeyTerm,
  type: KeyType,
  parameters: readonly BoundParameter[],
): KeyComparison {
  switch (term.kind) {
    case "text":
      return keyFromText(type, term.text);
    case "number":
      return keyFromNumber(type, term.text);
    case "null":
      return "noMatch";
    case "parameter": {
      const bound = parameters[term.number - 1];
      if (bound === undefined) return "unproven";
      if (bound.value === null) return "noMatch";
      const typeOid = resolvedType(bound, term.typeOid);
      if (term.isCast && familyOfType(typeOid) !== familyOfKey(type)) return "unproven";
      return bound.format === "text"
        ? keyFromParameterText(type, typeOid, bound.value.toString("utf8"))
        : keyFromBinary(type, typeOid, bound.value);
    }
    case "generated":
      return "unproven";
  }
}

/** The value a row stores in a key column. */
export function assignedValue(
  term: KeyTerm,
  column: KeyColumn,
  parameters: readonly BoundParameter[],
  draws: readonly string[],
): KeyReading | "null" {
  switch (term.kind) {
    case "text":
      return assignedFromText(column, term.text);
    case "number":
      return assignedFromNumber(column, term.text);
    case "null":
      return "null";
    case "parameter": {
      const bound = parameters[term.number - 1];
      if (bound === undefined) return "unproven";
      if (bound.value === null) return "null";
      const typeOid = resolvedType(bound, term.typeOid);
      if (term.isCast && familyOfType(typeOid) !== familyOfKey(column.type)) return "unproven";
      return bound.format === "text"
        ? assignedFromParameterText(column, typeOid, bound.value.toString("utf8"))
        : assignedFromBinary(column, typeOid, bound.value);
    }
    case "generated": {
      const drawn = draws[term.index];
      return drawn === undefined ? "unproven" : assignedFromText(column, drawn);
    }
  }
}

/** OID of `unknown`: a type that nobody resolved. */
const UNKNOWN_OID = 705;

function resolvedType(bound: BoundParameter, plannedTypeOid: number): number {
  return bound.typeOid === 0 || bound.typeOid === UNKNOWN_OID ? plannedTypeOid : bound.typeOid;
}

/** One end of a range; undefined (no bound) where the value is not known. */
export function comparedBound(
  term: KeyTerm | undefined,
  colocation: Colocation,
  parameters: readonly BoundParameter[],
): KeyValue | undefined {
  const value =
    term === undefined ? undefined : comparedValue(term, keyType(colocation, 0), parameters);
  return typeof value === "object" ? value : undefined;
}
