/**
 * From the difference of two shard maps to migrations: what each moves, out of which databases
 * into which. What cannot be moved is refused with the reason; nothing is planned halfway. Pure: it knows the maps and the catalog, and asks no database.
 *
 * Two rules make every plan safe. Where a table's rows come from, no row of it stays; where they
 * go, none of it is served yet. So no statement meets a row twice or on the way, and to give a
 * placement up needs no DELETE.
 */
import type { Catalog } from "../../shardmap/catalog.ts";
import { mapChanges, printChange } from "../../shardmap/map-changes.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { moveOfColocations } from "./colocations.ts";
import type { Findings, MigrationPlan, PlannedMigration, Refusal } from "./planned-migration.ts";
import { migrationName, movesOf } from "./names.ts";
import { moveOfReferences } from "./references.ts";
import { catalogRefusals, notesOf } from "./table-rules.ts";
import { moveOfTables } from "./tables.ts";

export function planMigrations(before: ShardMap, next: ShardMap, catalog: Catalog): MigrationPlan {
  // Reference tables first, as others refer to them: made in this order, dropped in the other.
  const found = [
    moveOfReferences(before, next),
    moveOfColocations(before, next),
    moveOfTables(before, next, catalog),
  ];
  const migrations = found.flatMap((each) => each.migrations);
  const refusals = [
    ...catalogMoved(before, next),
    ...(migrations.length > 0 ? referencesLeft(before, next) : []),
    ...found.flatMap((each) => each.refusals),
    ...migrations.flatMap((migration) => catalogRefusals(migration, next, catalog)),
  ];
  const canonical = catalog.relations.get(before.canonicalSchema);
  const exists = (table: string): boolean => canonical?.has(table) === true;
  const atOnce = mapChanges(before, next, exists).filter(({ needs }) => needs === "nothing");
  return {
    from: before.version,
    to: next.version,
    migration: joined(migrations, next, catalog),
    refusals,
    atOnce: atOnce.map(printChange),
  };
}

function catalogMoved(before: ShardMap, next: ShardMap): readonly Refusal[] {
  if (before.catalog === next.catalog && before.canonicalSchema === next.canonicalSchema) return [];
  const because = `the canonical tables, and the control schema with them, stay in ${before.catalog}.${before.canonicalSchema}: they are not moved by a migration. Keep \`catalog\` as it was`;
  return [{ object: "catalog", because }];
}

/** Nobody writes to its reference tables from the switch on, and a rollback would serve them as they were. */
function referencesLeft(before: ShardMap, next: ShardMap): readonly Refusal[] {
  if (before.referenceTables.size === 0) return [];
  return [...before.databases.keys()]
    .filter((name) => !next.databases.has(name))
    .map((name) => ({
      object: `database ${name}`,
      because:
        "its reference tables would miss what is written after the switch, and a rollback would bring it back. Keep it listed, and take it out by the map after this one",
    }));
}

/**
 * A map is put in force whole, so all that it moves switches at once: one migration. Copies of
 * reference tables go with whatever else moves, and are what it is called by only where nothing does.
 */
function joined(
  migrations: Findings["migrations"],
  next: ShardMap,
  catalog: Catalog,
): PlannedMigration | undefined {
  const [first] = migrations;
  if (first === undefined) return undefined;
  const notes = migrations.flatMap((migration) => notesOf(migration, next, catalog));
  const [other, another] = migrations.filter(({ kind }) => kind !== "reference");
  const named = another === undefined ? (other ?? first) : severalOf(migrations, next);
  const tables = migrations.flatMap(({ moves }) =>
    moves.flatMap(({ source, tables: own }) => own.map((table) => ({ ...table, source }))),
  );
  return { ...named, moves: movesOf(named.name, tables), notes };
}

function severalOf(
  migrations: Findings["migrations"],
  { version }: ShardMap,
): Findings["migrations"][number] {
  const object = migrations.map((migration) => migration.object).join(", ");
  return { name: migrationName("map", String(version)), kind: "several", object, moves: [] };
}
