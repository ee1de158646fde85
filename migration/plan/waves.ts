/**
 * In which order migrations may run. Those of a wave run side by side, as many as one database
 * has slots and strength for; a database has its reference tables before anything else moves in.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { WAVE_MIGRATIONS_PER_DATABASE_MAX } from "../../base/limits.ts";
import { sourceDatabases, targetDatabasesOf } from "./planned-migration.ts";
import type { PlannedMigration } from "./planned-migration.ts";

export function wavesOf(
  migrations: readonly PlannedMigration[],
): readonly (readonly PlannedMigration[])[] {
  const waves: PlannedMigration[][] = [];
  const references = migrations.filter(({ kind }) => kind === "reference");
  if (references.length > 0) waves.push(references);
  const filled = new Set(references.flatMap(targetDatabasesOf));
  for (const migration of migrations) {
    if (migration.kind === "reference") continue;
    const first = targetDatabasesOf(migration).some((database) => filled.has(database)) ? 1 : 0;
    let wave = first;
    while (!fits(waves[wave] ?? [], migration)) wave += 1;
    (waves[wave] ??= []).push(migration);
  }
  return waves;
}

function fits(wave: readonly PlannedMigration[], migration: PlannedMigration): boolean {
  return databasesOf(migration).every(
    (database) =>
      wave.filter((other) => databasesOf(other).includes(database)).length <
      WAVE_MIGRATIONS_PER_DATABASE_MAX,
  );
}

function databasesOf(migration: PlannedMigration): readonly DatabaseName[] {
  return [...new Set([...sourceDatabases(migration), ...targetDatabasesOf(migration)])];
}
