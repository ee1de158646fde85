/**
 * What a target database stores of the moves into it: how far each is, and which chunks are
 * done, in the same transactions as their rows. So a process that is killed loses nothing but
 * what it was doing, and another goes on from what is here.
 *
 *     colonnade.move_progress   one row a move: position in the source's log, epoch
 *     colonnade.move_chunk      one row a finished chunk: its range, its snapshot
 *
 * The epoch is the fence against a second writer: a row that another epoch has taken is not
 * updated, and the transaction ends.
 */
import type { DatabaseName } from "../base/ids.ts";
import { parseLsn, printLsn, type Lsn } from "../base/lsn.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { DoneChunk, KeyRange } from "./chunk-map.ts";
import { CREATE_ENGINE_SCHEMA } from "./engine-schema.ts";
import type { KeyText } from "./key-order.ts";
import { tableName, type MovedTable } from "./move.ts";
import { parseSnapshot, printSnapshot, type Snapshot } from "./snapshot.ts";
import type { Marker } from "./target-queue.ts";

/** Made where it is missing, by however many at once. */
export const CREATE_TARGET_STATE = `
${CREATE_ENGINE_SCHEMA}
CREATE TABLE IF NOT EXISTS colonnade.move_progress (
  move text PRIMARY KEY,
  epoch int8 NOT NULL,
  position pg_lsn NOT NULL,
  marker text,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE colonnade.move_progress IS 'how far the changes of a source are applied here';
CREATE TABLE IF NOT EXISTS colonnade.move_chunk (
  move text NOT NULL,
  source_table text NOT NULL,
  range_from jsonb NOT NULL,
  range_to jsonb NOT NULL,
  snapshot text NOT NULL,
  row_count int8 NOT NULL,
  byte_count int8 NOT NULL,
  done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (move, source_table, range_from)
);
COMMENT ON TABLE colonnade.move_chunk IS 'ranges of keys whose rows are copied, and the snapshot they were copied under';
`;

/** Which move writes, and as which of its orchestrators. */
export interface Holder {
  readonly move: string;
  readonly epoch: bigint;
}

/**
 * Takes the move over for this epoch; an older one can commit nothing afterwards. `begin` is
 * the slot's position, for a target that has no row yet. Throws `migration_epoch_lost`.
 */
export async function takeOver(
  target: BackendConnection,
  { move, epoch }: Holder,
  begin: Lsn,
): Promise<Lsn> {
  const { rows } = await target.query(`
INSERT INTO colonnade.move_progress (move, epoch, position)
VALUES (${quoteLiteral(move)}, ${epoch}, ${quoteLiteral(printLsn(begin))})
ON CONFLICT (move) DO UPDATE SET epoch = EXCLUDED.epoch
WHERE move_progress.epoch <= EXCLUDED.epoch RETURNING position`);
  const position = parseLsn(rows[0]?.[0] ?? "");
  if (position === undefined) throw epochLost(target.database, { move, epoch });
  return position;
}

/** Within the transaction whose changes it stands for; it must update one row. */
export function updateProgress({ move, epoch }: Holder, position: Lsn, marker?: Marker): string {
  const set = marker === undefined ? "" : `, marker = ${quoteLiteral(printMarker(marker))}`;
  return `UPDATE colonnade.move_progress SET position = ${quoteLiteral(printLsn(position))}${set}, updated_at = clock_timestamp() WHERE move = ${quoteLiteral(move)} AND epoch = ${epoch}`;
}

export function printMarker({ prefix, content }: Marker): string {
  return `${prefix} ${content}`;
}

export function epochLost(database: DatabaseName, { move, epoch }: Holder): SqlError {
  return new SqlError(
    "migration_epoch_lost",
    `another orchestrator has taken over move "${move}" in database "${database}" from epoch ${epoch}`,
  );
}

export interface ChunkRecord extends KeyRange {
  readonly move: string;
  readonly table: MovedTable;
  readonly snapshot: Snapshot;
  readonly rowCount: number;
  readonly byteCount: number;
}

export function recordChunk(chunk: ChunkRecord): string {
  const { move, table, snapshot, from, to } = chunk;
  const values = [
    quoteLiteral(move),
    quoteLiteral(tableName(table)),
    bound(from),
    bound(to),
    quoteLiteral(printSnapshot(snapshot)),
    String(chunk.rowCount),
    String(chunk.byteCount),
  ];
  return `INSERT INTO colonnade.move_chunk (move, source_table, range_from, range_to, snapshot, row_count, byte_count) VALUES (${values.join(", ")})`;
}

function bound(key: KeyText | undefined): string {
  return quoteLiteral(JSON.stringify(key ?? null));
}

/** Of one table of a move. */
export async function readChunks(
  target: BackendConnection,
  move: string,
  table: MovedTable,
): Promise<readonly DoneChunk[]> {
  const { rows } = await target.query(`
SELECT range_from, range_to, snapshot FROM colonnade.move_chunk
WHERE move = ${quoteLiteral(move)} AND source_table = ${quoteLiteral(tableName(table))}`);
  return rows.map(([from, to, snapshot]) => ({
    database: target.database,
    from: parseBound(from),
    to: parseBound(to),
    snapshot: parseSnapshot(snapshot ?? ""),
  }));
}

function parseBound(json: string | null | undefined): KeyText | undefined {
  return (JSON.parse(json ?? "null") as KeyText | null) ?? undefined;
}
