/** What is to be done in one target database, row by row, as router.ts makes it of the stream. */
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_CHANGE_OVERHEAD_BYTES } from "../base/limits.ts";
import type { Lsn } from "../base/lsn.ts";
import type { Tuple } from "../proxy/protocol/replication/tuple.ts";
import type { KeyRange } from "./chunk-map.ts";
import { placementsOf, type Move, type MovedTable, type TargetPlacement } from "./move.ts";

/** A table of a target. One object each, so that statements for it are found by it. */
export interface TargetTable extends TargetPlacement {
  readonly source: MovedTable;
}

export type TargetChange = RowChange | BulkChange;

/** Exactly one row, or the migration stops. */
export type RowChange =
  | { readonly kind: "insert"; readonly table: TargetTable; readonly row: Tuple; readonly at: Lsn }
  | {
      readonly kind: "update";
      readonly table: TargetTable;
      /** Its values before, where its identity changed: only those of the identity are read. */
      readonly old: Tuple | undefined;
      readonly row: Tuple;
      readonly at: Lsn;
    }
  | { readonly kind: "delete"; readonly table: TargetTable; readonly old: Tuple; readonly at: Lsn };

/** What TRUNCATE becomes: of the whole tables, or of the chunks that had not seen it. */
export type BulkChange =
  | { readonly kind: "truncate"; readonly tables: readonly TargetTable[]; readonly at: Lsn }
  | {
      readonly kind: "deleteRange";
      readonly table: TargetTable;
      readonly range: KeyRange;
      readonly at: Lsn;
    };

/** What it weighs while it waits. */
export function changeBytes(change: TargetChange): number {
  let bytes = MOVE_CHANGE_OVERHEAD_BYTES;
  if (change.kind === "insert" || change.kind === "update") bytes += tupleBytes(change.row);
  if (change.kind === "delete") bytes += tupleBytes(change.old);
  return bytes;
}

function tupleBytes(tuple: Tuple): number {
  let bytes = 0;
  for (const value of tuple) bytes += Buffer.isBuffer(value) ? value.length + 32 : 8;
  return bytes;
}

/** Every table of the targets, found by the source's table and the placement's names. */
export class TargetTables {
  readonly #tables = new Map<MovedTable, Map<string, TargetTable>>();

  constructor(move: Move) {
    for (const source of move.tables) {
      const placed = placementsOf(source.destination).map((placement): [string, TargetTable] => [
        nameOf(placement),
        { ...placement, source },
      ]);
      this.#tables.set(source, new Map(placed));
    }
  }

  of(source: MovedTable): readonly TargetTable[] {
    return [...(this.#tables.get(source)?.values() ?? [])];
  }

  in(source: MovedTable, database: DatabaseName): readonly TargetTable[] {
    return this.of(source).filter((table) => table.database === database);
  }

  get(source: MovedTable, placement: TargetPlacement): TargetTable | undefined {
    return this.#tables.get(source)?.get(nameOf(placement));
  }
}

function nameOf({ database, schema }: TargetPlacement): string {
  return JSON.stringify([database, schema]);
}
