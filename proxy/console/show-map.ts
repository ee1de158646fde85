/** SHOW MAP and SHOW PLACEMENTS: the shard map in use, and where it puts what. */
import type { LogicalShard } from "../../base/ids.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { textWithoutPasswords } from "./map-text.ts";
import { column, show } from "./show.ts";

export const SHOW_MAP = show<ShardMap>({
  name: "map",
  help: "The shard map in use.",
  rows: ({ map }) => [map()],
  columns: [
    column("version", "integer", "Its number.", ({ version }) => version),
    column("catalog", "text", "The catalog database.", ({ catalog }) => catalog),
    column(
      "yaml",
      "text",
      "The file as it was read, with its comments; `***` stands for passwords. NULL where one stands so strangely (in a URL over several lines) that it could not be hidden.",
      (map) => textWithoutPasswords(map) ?? null,
    ),
  ],
});

interface PlacementRow {
  readonly kind: "colocation" | "group" | "reference" | "unlisted";
  readonly name: string | null;
  readonly database: string;
  readonly schema: string;
  readonly shards: readonly LogicalShard[] | undefined;
  readonly tables: Iterable<string>;
}

export const SHOW_PLACEMENTS = show<PlacementRow>({
  name: "placements",
  help: "Where the map puts which tables: one row for each place.",
  rows: ({ map }) => placementRows(map()),
  columns: [
    column(
      "kind",
      "text",
      "`colocation`, `group`, `reference` (whole in every database), `unlisted` (what the map does not name).",
      ({ kind }) => kind,
    ),
    column("name", "text", "The colocation's or group's name.", ({ name }) => name),
    column(
      "placement",
      "text",
      "Database and schema, as EXPLAIN and errors name it.",
      ({ database, schema }) => `${database}.${schema}`,
    ),
    column("database", "text", "The database.", ({ database }) => database),
    column("schema", "text", "The schema in it.", ({ schema }) => schema),
    column(
      "shards",
      "integer",
      "How many logical shards it holds; none but of a colocation.",
      ({ shards }) => shards?.length ?? null,
    ),
    column("shard_ranges", "text", "Which: `0-239, 300`.", ({ shards }) =>
      shards === undefined ? null : ranges(shards),
    ),
    column("tables", "text", "The tables there; empty for unlisted ones.", ({ tables }) =>
      [...tables].join(", "),
    ),
  ],
});

function* placementRows(map: ShardMap): Iterable<PlacementRow> {
  for (const { name, placements, tables } of map.colocations.values())
    for (const { database, schema, shards } of placements)
      yield { kind: "colocation", name, database, schema, shards, tables: tables.keys() };
  for (const { name, database, schema, tables } of map.groups.values())
    yield { kind: "group", name, database, schema, shards: undefined, tables };
  const everywhere = map.referenceTables.size > 0 ? [...map.databases.keys()] : [];
  const schema = map.canonicalSchema;
  const rest = { name: null, schema, shards: undefined };
  for (const database of everywhere)
    yield { ...rest, kind: "reference", database, tables: map.referenceTables };
  if (map.unlistedTables === "catalog")
    yield { ...rest, kind: "unlisted", database: map.catalog, tables: [] };
}

/** `0-239, 300`: neighbours joined, in the order of their numbers. */
function ranges(shards: readonly LogicalShard[]): string {
  const found: { readonly from: number; to: number }[] = [];
  for (const shard of shards.toSorted((left, right) => left - right)) {
    const last = found.at(-1);
    if (last !== undefined && last.to === shard - 1) last.to = shard;
    else found.push({ from: shard, to: shard });
  }
  return found.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}
