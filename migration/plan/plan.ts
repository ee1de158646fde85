/**
 * From the difference of two shard maps to migrations: what each moves, out of which databases
 * into which, and in what order. What cannot be moved is refused with the reason; nothing is
 * planned halfway. Pure: it knows the maps and the catalog, and asks no database.
 *
 * Two rules make every plan safe. Where a table's rows come from, no row of it stays; where they
 * go, none of it is served yet. So no statement meets a row twice or on the way, and to give a
 * placement up needs no DELETE.
 */
import type { Catalog } from "../../shardmap/catalog.ts";
import { mapChanges, printChange } from "../../shardmap/map-changes.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { moveOfColocations } from "./colocations.ts";
import type { Findings, MigrationPlan, Refusal } from "./planned-migration.ts";
import { moveOfReferences } from "./references.ts";
import { catalogRefusals, notesOf } from "./table-rules.ts";
import { moveOfTables } from "./tables.ts";
import { wavesOf } from "./waves.ts";

export function planMigrations(before: ShardMap, next: ShardMap, catalog: Catalog): MigrationPlan {
  const found = [
    moveOfColocations(before, next),
    moveOfTables(before, next, catalog),
    moveOfReferences(before, next),
  ];
  const migrations = found.flatMap((each) => each.migrations);
  const refusals = [
    ...catalogMoved(before, next),
    ...found.flatMap((each) => each.refusals),
    ...migrations.flatMap((migration) => catalogRefusals(migration, next, catalog)),
    ...sameName(migrations),
  ];
  const atOnce = mapChanges(before, next).filter(({ needs }) => needs === "nothing");
  return {
    from: before.version,
    to: next.version,
    waves: wavesOf(
      migrations.map((migration) => ({ ...migration, notes: notesOf(migration, next, catalog) })),
    ),
    refusals,
    atOnce: atOnce.map(printChange),
  };
}

function catalogMoved(before: ShardMap, next: ShardMap): readonly Refusal[] {
  if (before.catalog === next.catalog && before.canonicalSchema === next.canonicalSchema) return [];
  const because = `the canonical tables, and the control schema with them, stay in ${before.catalog}.${before.canonicalSchema}: they are not moved by a migration. Keep \`catalog\` as it was`;
  return [{ object: "catalog", because }];
}

function sameName(migrations: Findings["migrations"]): readonly Refusal[] {
  const names = Map.groupBy(migrations, ({ name }) => name);
  return [...names.values()]
    .filter(({ length }) => length > 1)
    .map((same) => ({
      object: same.map(({ object }) => object).join(", "),
      because: `their migrations would both be called ${same[0]?.name}. Rename one of them`,
    }));
}
