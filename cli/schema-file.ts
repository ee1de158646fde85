/** A file of CREATE TABLE statements as a catalog, for the commands that need no database. */
import { SqlError } from "../base/sql-error.ts";
import { catalogFromSql } from "../planner/catalog-from-sql.ts";
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure } from "./failure.ts";
import { readInput } from "./input-files.ts";

/** Throws CommandFailure, with the line of what cannot be read. */
export function catalogOfFile(path: string, map: ShardMap): Catalog {
  const text = readInput(path, "schema");
  try {
    return catalogFromSql(text, { schema: map.canonicalSchema, isByteOrder: true });
  } catch (cause) {
    if (!(cause instanceof SqlError)) throw cause;
    const line = text.slice(0, Math.max(0, (cause.position ?? 1) - 1)).split("\n").length;
    throw new CommandFailure(`${path}:${line}: ${cause.message}`, 2, { cause });
  }
}
