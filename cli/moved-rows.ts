/** How much a change of the map would move: the servers' own estimates, which ANALYZE keeps. */
import { BACKEND_CONNECT_TIMEOUT_MS } from "../base/limits.ts";
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import type { MapChange, ShardMove } from "../shardmap/map-changes.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";

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
  const addresses = backendAddresses(before);
  const found: MovedRows[] = [];
  for (const [database, own] of Map.groupBy(moves, ({ from }) => from.database)) {
    const address = addresses.get(database);
    if (address === undefined)
      throw new CommandFailure(`database "${database}" is embedded: it cannot be asked`);
    try {
      const connection = await BackendConnection.open(address, {
        database,
        connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
      });
      try {
        for (const move of own) found.push(...(await rowsOf(connection, move)));
      } finally {
        connection.close();
      }
    } catch (cause) {
      throw new CommandFailure(reasonAndRemedy(cause), 2, { cause });
    }
  }
  return found;
}

async function rowsOf(
  connection: BackendConnection,
  { colocation, from, to, shards }: ShardMove,
): Promise<readonly MovedRows[]> {
  const share = shards.length / from.shards.length;
  const found: MovedRows[] = [];
  for (const table of colocation.tables.keys()) {
    const name = `${quoteIdentifier(from.schema)}.${quoteIdentifier(table)}`;
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
