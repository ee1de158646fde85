/** Reads one colocation of a map file: its key, its function, its tables with their key columns, its placements. */
import type { KeyType } from "../shard-key.ts";
import type { Colocation } from "../shard-map.ts";
import { functionFile, keyColumnsFile, logicalShardsFile, shardKeyFile } from "./format.ts";
import { checkIdentifier, checkPlainName, type TableRegister } from "./names.ts";
import { type FunctionFile, type PlacementContext, readPlacements } from "./placements.ts";
import { type FieldPath, type ProblemList, quoted } from "../../base/document/problems.ts";

export interface ColocationContext extends PlacementContext {
  readonly tables: TableRegister;
}

/** Undefined where too much is wrong to make one; every reason is reported. */
export function readColocation(
  name: string,
  file: Readonly<Record<string, unknown>>,
  context: ColocationContext,
): Colocation | undefined {
  const path = ["colocations", name];
  const { problems } = context;
  checkPlainName("colocation", name, path, problems);

  const shardKey = shardKeyFile.safeParse(file["shard_key"]);
  const keyTypes = shardKey.success ? listOf(shardKey.data) : undefined;
  const tables = readTables(name, file["tables"], keyTypes, [...path, "tables"], context);
  const fn = readFunction(file, keyTypes, path, problems);
  const placements = Array.isArray(file["placements"]) ? file["placements"] : [];
  const read = readPlacements(fn, placements, [...path, "placements"], context);
  if (keyTypes === undefined || read === undefined) return undefined;
  return { name, keyTypes, tables, ...read };
}

function readFunction(
  file: Readonly<Record<string, unknown>>,
  keyTypes: readonly KeyType[] | undefined,
  path: FieldPath,
  problems: ProblemList,
): FunctionFile | undefined {
  const parsed = functionFile.safeParse(file["function"]);
  if (!parsed.success) return undefined;
  const kind = parsed.data;
  if (kind === "hash") {
    if (file["logical_shards"] === undefined) {
      problems.report(
        path,
        'field "logical_shards" is missing',
        "Add `logical_shards: 480`: the number of buckets, fixed for ever.",
        "name",
      );
    }
    return { kind, logicalShards: logicalShardsFile.safeParse(file["logical_shards"]).data };
  }
  if (file["logical_shards"] !== undefined) {
    problems.report(
      [...path, "logical_shards"],
      `\`logical_shards\` belongs to the hash function; this colocation's function is ${kind}`,
      `Remove it: a ${kind} function has as many logical shards as the placements name.`,
      "name",
    );
  }
  const [keyType, second] = keyTypes ?? [];
  if (second !== undefined) {
    problems.report(
      [...path, "shard_key"],
      `the ${kind} function takes one key column, not ${keyTypes?.length}`,
      "Use one key column, or the hash function.",
    );
  }
  return keyType === undefined || second !== undefined ? undefined : { kind, keyType };
}

function readTables(
  colocation: string,
  file: unknown,
  keyTypes: readonly KeyType[] | undefined,
  path: FieldPath,
  { tables: register, problems }: ColocationContext,
): ReadonlyMap<string, readonly string[]> {
  const tables = new Map<string, readonly string[]>();
  if (typeof file !== "object" || file === null || Array.isArray(file)) return tables;
  for (const [table, value] of Object.entries(file)) {
    const at = [...path, table];
    register.add(table, `colocation ${quoted(colocation)}`, at, "name");
    const parsed = keyColumnsFile.safeParse(value);
    if (!parsed.success) continue;
    const columns = listOf(parsed.data);
    checkColumns(table, columns, keyTypes, at, problems);
    tables.set(table, columns);
  }
  return tables;
}

function checkColumns(
  table: string,
  columns: readonly string[],
  keyTypes: readonly KeyType[] | undefined,
  path: FieldPath,
  problems: ProblemList,
): void {
  for (const column of new Set(columns)) checkIdentifier("column", column, path, problems);
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) {
    problems.report(
      path,
      `column ${quoted(twice)} stands twice in the shard key of table ${quoted(table)}`,
      "Name each column once.",
    );
  }
  if (keyTypes !== undefined && columns.length !== keyTypes.length) {
    problems.report(
      path,
      `table ${quoted(table)} has ${columns.length} key ${columns.length === 1 ? "column" : "columns"}, the colocation's shard key has ${keyTypes.length}`,
      `Name ${keyTypes.length === 1 ? "one column" : `${keyTypes.length} columns`}, of type ${keyTypes.join(", ")}.`,
    );
  }
}

function listOf<T extends string>(value: T | readonly T[]): readonly T[] {
  return typeof value === "string" ? [value] : value;
}
