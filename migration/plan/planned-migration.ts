/** What a plan consists of: migrations with names, and refusals with reasons. Data, and questions to it. */
import type { DatabaseName } from "../../base/ids.ts";
import { placementsOf, targetDatabases } from "../move.ts";
import type { PlannedMove } from "../move.ts";

export type MigrationKind =
  /** Tables leave for a database of their own. */
  | "vertical"
  /** Unsharded tables become a colocation's. */
  | "horizontal"
  /** A placement, whole, to another database or schema. */
  | "placement"
  | "split"
  | "merge"
  /** Several placements into several others; or every row anew, under another shard function. */
  | "reshard"
  /** Reference tables into databases that do not have them yet; they stay where they are, too. */
  | "reference"
  /** Several of these, in one switch. */
  | "several";

export interface PlannedMigration {
  /** Names its slots and publications; the same for the same two maps. */
  readonly name: string;
  readonly kind: MigrationKind;
  /** `colocation users`, `group billing`. */
  readonly object: string;
  /** One for each database that rows come from. */
  readonly moves: readonly PlannedMove[];
  /** Sentences that whoever runs it should know. */
  readonly notes: readonly string[];
}

export interface Refusal {
  readonly object: string;
  /** Why, and what would be possible instead. */
  readonly because: string;
}

export interface MigrationPlan {
  readonly from: number;
  readonly to: number;
  /** Undefined where no rows have to move. */
  readonly migration: PlannedMigration | undefined;
  /** Empty where everything that has to move can. */
  readonly refusals: readonly Refusal[];
  /** Changes that need no rows to move, as sentences: they come with the switch. */
  readonly atOnce: readonly string[];
}

/** What one rule of the plan finds. */
export interface Findings {
  readonly migrations: readonly Omit<PlannedMigration, "notes">[];
  readonly refusals: readonly Refusal[];
}

export function sourceDatabases({
  moves,
}: Pick<PlannedMigration, "moves">): readonly DatabaseName[] {
  return [...new Set(moves.map(({ source }) => source))];
}

export function targetDatabasesOf({
  moves,
}: Pick<PlannedMigration, "moves">): readonly DatabaseName[] {
  return [...new Set(moves.flatMap(targetDatabases))];
}

/** `database.schema.table`, on both sides: no two migrations may have one of these in common (R36). */
export function claimedObjects({ moves }: Pick<PlannedMigration, "moves">): readonly string[] {
  const objects = moves.flatMap(({ source, tables }) =>
    tables.flatMap(({ schema, name, destination }) => [
      `${source}.${schema}.${name}`,
      ...placementsOf(destination).map(
        (placement) => `${placement.database}.${placement.schema}.${name}`,
      ),
    ]),
  );
  return [...new Set(objects)].toSorted();
}
