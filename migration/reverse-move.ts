/**
 * The way back of a move: what is written in its targets, once they own the rows, goes to where
 * the rows came from. One move for each target database, whose tables are the placements' own.
 * Pure.
 */
import { invariant } from "../base/invariant.ts";
import { MOVE_NAME_LENGTH_MAX } from "../base/limits.ts";
import type { DatabaseName } from "../base/ids.ts";
import { placementsOf, targetDatabases } from "./move.ts";
import type { PlannedMove, PlannedTable } from "./move.ts";

export function reverseMoves(move: PlannedMove): readonly PlannedMove[] {
  return targetDatabases(move).map((database, index) => {
    const name = `${move.name}_b${index + 1}`;
    invariant(
      name.length <= MOVE_NAME_LENGTH_MAX,
      "the name of a way back fits into those of slots",
    );
    return {
      name,
      source: database,
      tables: move.tables.flatMap((table) => reverseTables(move.source, table, database)),
    };
  });
}

function reverseTables(
  source: DatabaseName,
  { schema, name, destination }: PlannedTable,
  database: DatabaseName,
): readonly PlannedTable[] {
  return placementsOf(destination)
    .filter((placement) => placement.database === database)
    .map((placement) => ({
      schema: placement.schema,
      name,
      destination: { kind: "one", placement: { database: source, schema } },
    }));
}
