/** What the catalog says against moving a table into several placements, and what should be known of it. */
import type { Catalog, CatalogRelation } from "../../shardmap/catalog.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import type { Findings, Refusal } from "./planned-migration.ts";

type Planned = Findings["migrations"][number];

export function catalogRefusals(
  migration: Planned,
  next: ShardMap,
  catalog: Catalog,
): readonly Refusal[] {
  return relationsOf(migration, next, catalog).flatMap(({ name, relation, table }) => {
    const object = `table ${name}`;
    const reasons = [
      ...(table.kind === "sharded" && migration.kind === "horizontal"
        ? [...keyReasons(relation, table.keyColumns)]
        : []),
      ...foreignKeyReasons(relation, table, next),
    ];
    return reasons.map((because) => ({ object, because }));
  });
}

interface MovedRelation {
  readonly name: string;
  readonly relation: CatalogRelation;
  readonly table: MapTable;
}

/** Of the tables that the catalog database has: each once. */
function relationsOf(
  { moves }: Planned,
  next: ShardMap,
  catalog: Catalog,
): readonly MovedRelation[] {
  const names = new Set(moves.flatMap(({ tables }) => tables.map(({ name }) => name)));
  return [...names].flatMap((name) => {
    const relation = catalog.relations.get(next.canonicalSchema)?.get(name);
    const table = next.tables.get(name);
    return relation === undefined || table === undefined ? [] : [{ name, relation, table }];
  });
}

function* keyReasons(relation: CatalogRelation, key: readonly string[]): Generator<string> {
  for (const column of key) {
    const found = relation.columns.find(({ name }) => name === column);
    if (found === undefined) yield `it has no column "${column}", which would be its shard key`;
    else if (!found.notNull)
      yield `its shard key "${column}" may be NULL, and such a row would have no placement. ALTER COLUMN ${column} SET NOT NULL`;
  }
  if (relation.primaryKey.length === 0)
    yield "it has no primary key, so that its changes cannot be followed. Add one";
  for (const { name, columns } of relation.uniqueKeys)
    if (columns === undefined || !key.every((column) => columns.includes(column)))
      yield `its unique key "${name}" does not contain the shard key (${key.join(", ")}), so that no database could enforce it alone. Add the column to the key, or drop the key`;
}

/** A foreign key holds only where the two rows are in one database for certain. */
function* foreignKeyReasons(
  { foreignKeys, schema }: CatalogRelation,
  table: MapTable,
  next: ShardMap,
): Generator<string> {
  for (const {
    name,
    columns,
    referencedSchema,
    referencedTable,
    referencedColumns,
  } of foreignKeys) {
    const other = referencedSchema === schema ? next.tables.get(referencedTable) : undefined;
    if (other?.kind === "reference") continue;
    if (table.kind === "group" && other?.kind === "group" && other.group.name === table.group.name)
      continue;
    const isTied =
      table.kind === "sharded" &&
      other?.kind === "sharded" &&
      other.colocation.name === table.colocation.name &&
      table.keyColumns.every(
        (column, index) =>
          referencedColumns[columns.indexOf(column)] === other.keyColumns[index] &&
          columns.includes(column),
      );
    if (!isTied)
      yield `its foreign key "${name}" refers to ${referencedTable}, which would be in another database. Move both together, or drop the foreign key`;
  }
}

export function notesOf(migration: Planned, next: ShardMap, catalog: Catalog): readonly string[] {
  if (migration.kind === "reference") return ["the tables stay in the databases that have them"];
  if (migration.kind !== "horizontal") return [];
  return relationsOf(migration, next, catalog).flatMap(({ name, relation }) =>
    relation.columns.flatMap(({ name: column, fill }) =>
      fill.kind === "sequence" || fill.kind === "identity"
        ? [
            `${name}.${column} is numbered by ${fill.schema}.${fill.sequence}: it stays in ${next.catalog}, and proxies draw from it in blocks, so that numbers stay unique and no longer come in the order of rows`,
          ]
        : [],
    ),
  );
}
