/**
 * The way back of a move: what is written in its targets, once they own the rows, goes to where
 * the rows came from. One move for each target database, whose tables are the placements' own.
 * Where a placement has rows of several sources, the move back to each takes its own by the
 * shards that were there, and passes the others over. Of tables that were only copied nothing
 * comes back. Pure.
 */
import { invariant } from "../base/invariant.ts";
import { MOVE_NAME_LENGTH_MAX } from "../base/limits.ts";
import type { DatabaseName } from "../base/ids.ts";
import { isCopied, placementsOf, tableName, targetDatabases } from "./move.ts";
import type { Destination, PlannedMove, PlannedTable } from "./move.ts";

export function reverseMoves(move: PlannedMove): readonly PlannedMove[] {
  const left = { ...move, tables: move.tables.filter((table) => !isCopied(table)) };
  return targetDatabases(left).map((database, index) => {
    const name = `${move.name}_b${index + 1}`;
    invariant(
      name.length <= MOVE_NAME_LENGTH_MAX,
      "the name of a way back fits into those of slots",
    );
    return {
      name,
      source: database,
      tables: joined(left.tables.flatMap((table) => reverseTables(move.source, table, database))),
    };
  });
}

function reverseTables(
  source: DatabaseName,
  { schema, name, destination, home }: PlannedTable,
  database: DatabaseName,
): readonly PlannedTable[] {
  const placements = placementsOf(destination);
  const isShared = home === undefined && placements.length > 1;
  return placements
    .filter((placement) => placement.database === database)
    .map((placement) => ({
      schema: placement.schema,
      name,
      destination: home ?? { kind: "one", placement: { database: source, schema } },
      ...(isShared && { isShared }),
    }));
}

/** A table that several of the source's came to is one, whose rows go back to each of them. */
function joined(tables: readonly PlannedTable[]): readonly PlannedTable[] {
  return [...Map.groupBy(tables, tableName).values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [{ ...first, destination: homes(first, others) }],
  );
}

function homes({ destination }: PlannedTable, others: readonly PlannedTable[]): Destination {
  if (destination.kind !== "sharded") {
    invariant(others.length === 0, "a table that several come to knows whose rows are whose");
    return destination;
  }
  const placementByShard = [...destination.placementByShard];
  for (const other of others) {
    invariant(other.destination.kind === "sharded", "rows of one table go back by one layout");
    for (const [shard, placement] of other.destination.placementByShard.entries())
      placementByShard[shard] ??= placement;
  }
  return { ...destination, placementByShard };
}
