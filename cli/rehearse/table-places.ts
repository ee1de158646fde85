/** Where a map has the rows of a table. */
import { quoteQualified } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

export interface TablePlace {
  readonly database: string;
  /** As SQL names it. */
  readonly place: string;
}

export function placesOfTable(map: ShardMap, table: string): readonly TablePlace[] {
  const entry = map.tables.get(table);
  const places = (
    list: readonly { readonly database: string; readonly schema: string }[],
  ): TablePlace[] =>
    list.map(({ database, schema }) => ({ database, place: quoteQualified(schema, table) }));
  switch (entry?.kind) {
    case "sharded":
      return places(entry.colocation.placements);
    case "group":
      return places([entry.group]);
    default:
      return [
        {
          database: map.catalog,
          place: quoteQualified(map.canonicalSchema, table),
        },
      ];
  }
}
