/** A planned migration as it is stored: JSON, in which key values and left-out shards keep their kinds. */
import type { PlannedTable, ShardedDestination } from "../move.ts";
import type { PlannedMigration } from "./planned-migration.ts";

export interface StoredPlan extends PlannedMigration {
  /** Versions of the shard map. */
  readonly mapFrom: number;
  readonly mapTo: number;
  /** The next map's text, passwords included: whoever runs the migration reads its databases there. */
  readonly nextMap: string;
  /** By the servers' estimates, when it was planned; indexes are counted in. */
  readonly rows: number;
  readonly bytes: number;
}

export function encodePlan(plan: StoredPlan): unknown {
  return JSON.parse(
    JSON.stringify(plan, function encode(this: Record<string, unknown>, key, value: unknown) {
      // Buffers have been made plain by their toJSON before they come here.
      const original = this[key];
      if (typeof original === "bigint") return { $bigint: String(original) };
      if (Buffer.isBuffer(original)) return { $hex: original.toString("hex") };
      return value;
    }),
  ) as unknown;
}

/** Of what encodePlan gave, and nothing else: the control schema has no other writer. */
export function decodePlan(document: unknown): StoredPlan {
  const plan = JSON.parse(JSON.stringify(document), (_key, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("$bigint" in value) return BigInt(String(value.$bigint));
    if ("$hex" in value) return Buffer.from(String(value.$hex), "hex");
    return value;
  }) as StoredPlan;
  return {
    ...plan,
    moves: plan.moves.map((move) => ({ ...move, tables: move.tables.map(withLeftOutShards) })),
  };
}

/** JSON has null where a shard is not moved. */
function withLeftOutShards(table: PlannedTable): PlannedTable {
  const { destination, home } = table;
  if (destination.kind !== "sharded") return table;
  const decoded = { ...table, destination: sharded(destination) };
  return home === undefined ? decoded : { ...decoded, home: sharded(home) };
}

function sharded(destination: ShardedDestination): ShardedDestination {
  const placementByShard = destination.placementByShard.map((placement) => placement ?? undefined);
  return { ...destination, placementByShard };
}
