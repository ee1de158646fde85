/** How much a change of the map would move: the servers' own estimates, which ANALYZE keeps. */
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { MapChange, ShardMove } from "../shardmap/map-changes.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { askDatabases } from "./live-databases.ts";

export interface MovedRows {
  readonly table: string;
  readonly from: string;
  readonly to: string;
  /** The placement's rows, divided by its logical shards: shards of one placement are taken to be alike. */
  readonly rows: number;
  readonly bytes: number;
}

export async function movedRows(
  before: ShardMap,
  changes: readonly MapChange[],
): Promise<readonly MovedRows[]> {
  const moves = changes.flatMap(({ move }) => (move === undefined ? [] : [move]));
  const found = await askDatabases(before, moves, ({ from }) => from.database, rowsOf);
  return found.flat();
}

async function rowsOf(
  connection: BackendConnection,
  { colocation, from, to, shards }: ShardMove,
): Promise<readonly MovedRows[]> {
  const share = shards.length / from.shards.length;
  const found: MovedRows[] = [];
  for (const table of colocation.tables.keys()) {
    const name = quoteQualified(from.schema, table);
    const { rows } = await connection.query(
      `SELECT greatest(reltuples, 0), pg_catalog.pg_total_relation_size(oid) FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(${quoteLiteral(name)})`,
    );
    const [row] = rows;
    if (row === undefined) continue;
    found.push({
      table,
      from: from.id,
      to: to.id,
      rows: Math.round(Number(row[0]) * share),
      bytes: Math.round(Number(row[1]) * share),
    });
  }
  return found;
}
