/**
 * Reads the placements of one colocation of a map file, and with them the shard function,
 * since ranges and lists are written where their rows live. Every logical shard must have
 * exactly one placement, and no two may share a (database, schema).
 */
import { databaseName, type DatabaseName } from "../../base/ids.ts";
import type { ShardFunction } from "../shard-function/shard-function.ts";
import type { KeyType } from "../shard-key.ts";
import type { Placement } from "../shard-map.ts";
import { placementFile } from "./format.ts";
import { checkDatabase, checkIdentifier } from "./names.ts";
import type { AssignedShards, PlacementEntry } from "./placement-entry.ts";
import {
  type FieldPath,
  fieldText,
  type ProblemList,
  quoted,
} from "../../base/document/problems.ts";
import { readHashShards } from "./shards-of-hash.ts";
import { readListShards } from "./shards-of-list.ts";
import { readRangeShards } from "./shards-of-range.ts";

export interface PlacementContext {
  readonly databases: ReadonlySet<string>;
  readonly canonicalSchema: string;
  readonly problems: ProblemList;
}

export interface ReadPlacements {
  readonly function: ShardFunction;
  readonly placements: readonly Placement[];
  readonly placementByShard: readonly Placement[];
}

export type FunctionFile =
  | { readonly kind: "hash"; readonly logicalShards: number | undefined }
  | { readonly kind: "range"; readonly keyType: KeyType }
  | { readonly kind: "list"; readonly keyType: KeyType };

/** Undefined where the function cannot be told; whatever else is wrong is reported, and the result not to be used. */
export function readPlacements(
  fn: FunctionFile | undefined,
  values: readonly unknown[],
  path: FieldPath,
  context: PlacementContext,
): ReadPlacements | undefined {
  const entries = values.map((value, index) => readEntry(value, [...path, index]));
  const places = readPlaces(entries, context);
  if (fn === undefined) return undefined;
  rejectFieldsOfOtherFunctions(fn.kind, entries, context.problems);
  const assigned = assign(fn, entries, path, context.problems);
  return assigned && combine(assigned, places);
}

function readEntry(value: unknown, path: FieldPath): PlacementEntry {
  const fields: Readonly<Record<string, unknown>> =
    typeof value === "object" && value !== null ? { ...value } : {};
  const { shape } = placementFile;
  const file = {
    shards: shape.shards.safeParse(fields["shards"]).data,
    ranges: shape.ranges.safeParse(fields["ranges"]).data,
    values: shape.values.safeParse(fields["values"]).data,
    default: shape.default.safeParse(fields["default"]).data,
    database: shape.database.safeParse(fields["database"]).data,
    schema: shape.schema.safeParse(fields["schema"]).data,
  };
  const read: Readonly<Record<string, unknown>> = file;
  const unreadable = Object.keys(fields).filter((field) => read[field] === undefined);
  return { path, file, unreadable: new Set(unreadable) };
}

function assign(
  fn: FunctionFile,
  entries: readonly PlacementEntry[],
  path: FieldPath,
  problems: ProblemList,
): AssignedShards | undefined {
  switch (fn.kind) {
    case "hash":
      return readHashShards(fn.logicalShards, entries, path, problems);
    case "range":
      return readRangeShards(fn.keyType, entries, problems);
    case "list":
      return readListShards(fn.keyType, entries, problems);
  }
}

function combine(assigned: AssignedShards, places: readonly Place[]): ReadPlacements {
  const placements: Placement[] = [];
  const placementByShard: Placement[] = [];
  for (const [index, place] of places.entries()) {
    const placement: Placement = { ...place, shards: assigned.shards[index] ?? [] };
    placements.push(placement);
    for (const shard of placement.shards) placementByShard[shard] = placement;
  }
  return { function: assigned.function, placements, placementByShard };
}

interface Place {
  readonly id: string;
  readonly database: DatabaseName;
  readonly schema: string;
}

function readPlaces(
  entries: readonly PlacementEntry[],
  context: PlacementContext,
): readonly Place[] {
  const { databases, canonicalSchema, problems } = context;
  const firstAt = new Map<string, FieldPath>();
  return entries.map(({ path, file, unreadable }) => {
    const { database = "", schema = canonicalSchema } = file;
    const place: Place = {
      id: `${database}.${schema}`,
      database: databaseName(database),
      schema,
    };
    if (file.schema !== undefined) {
      checkIdentifier("schema", schema, [...path, "schema"], problems);
    }
    if (file.database === undefined) return place;
    checkDatabase(database, databases, [...path, "database"], problems);
    if (unreadable.has("schema")) return place;

    const first = firstAt.get(place.id);
    if (first === undefined) firstAt.set(place.id, path);
    else {
      problems.report(
        path,
        `schema ${quoted(schema)} of database ${quoted(database)} is already the place of ${fieldText(first.slice(2))}`,
        "Join the two placements, or give one a schema of its own: both would hold tables of the same names.",
      );
    }
    return place;
  });
}

const FIELDS_BY_FUNCTION = {
  hash: ["shards"],
  range: ["ranges"],
  list: ["values", "default"],
} as const;

function rejectFieldsOfOtherFunctions(
  kind: FunctionFile["kind"],
  entries: readonly PlacementEntry[],
  problems: ProblemList,
): void {
  for (const [other, fields] of Object.entries(FIELDS_BY_FUNCTION)) {
    if (other === kind) continue;
    for (const { path, file } of entries) {
      for (const field of fields) {
        if (file[field] === undefined) continue;
        problems.report(
          [...path, field],
          `\`${field}\` belongs to the ${other} function; this colocation's function is ${kind}`,
          `Use \`${FIELDS_BY_FUNCTION[kind][0]}\`, or change \`function\`.`,
          "name",
        );
      }
    }
  }
}
