/** How far a migration is, as its databases have stored it: rows, bytes, log, and how long copying will take. */
import { MOVE_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import type { Direction } from "../../migration/machine/life.ts";
import { targetDatabases } from "../../migration/move.ts";
import { databasesOf } from "../../migration/orchestrator/run-migration.ts";
import { movesOf, Sessions } from "../../migration/orchestrator/scene.ts";
import { streamNames } from "../../migration/stream-setup.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import type { KnownMigration } from "./stored-migrations.ts";

/** Of one stream into one target. */
export interface StreamProgress {
  readonly move: string;
  readonly direction: Direction;
  readonly target: string;
  readonly copiedRows: number;
  readonly copiedBytes: number;
  /** Of the log of where the rows come from; they may have nothing to do with the migration. */
  readonly behindBytes: number;
  /** Of that log, what its slot keeps from being removed. */
  readonly heldBytes: number;
}

export interface CopyProgress {
  readonly rows: number;
  /** Estimated; never less than what is copied. */
  readonly ofRows: number;
  readonly bytes: number;
  /** Since the last look, or since copying began. */
  readonly rowsPerSecond: number;
  /** Undefined where nobody can tell: nothing is copied yet, or the tables were never analyzed. */
  readonly secondsLeft: number | undefined;
}

/** What the targets have stored of both directions, of streams that have a slot. None where a server is away, or nothing has begun. */
export async function progressOf(
  database: ControlDatabase,
  { plan }: KnownMigration,
): Promise<readonly StreamProgress[]> {
  const found: StreamProgress[] = [];
  try {
    const { databases } = await databasesOf(backendAddresses, database, plan);
    using sessions = new Sessions({ databases }, AbortSignal.timeout(MOVE_CONNECT_TIMEOUT_MS));
    for (const direction of ["forward", "back"] as const)
      for (const move of movesOf({ plan }, direction)) {
        const source = await sessions.to(move.source);
        const { rows: slots } = await source.query(
          `SELECT pg_current_wal_lsn(), coalesce(pg_current_wal_lsn() - restart_lsn, 0) FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(streamNames(move).slot)}`,
        );
        const [end, held] = slots[0] ?? [];
        if (end === undefined) continue;
        for (const target of targetDatabases(move)) {
          const stored = await (await sessions.to(target)).query(storedBy(move.name, end ?? "0/0"));
          for (const [behind, copiedRows, copiedBytes] of stored.rows)
            found.push({
              move: move.name,
              direction,
              target,
              copiedRows: Number(copiedRows),
              copiedBytes: Number(copiedBytes),
              behindBytes: Math.max(0, Number(behind)),
              heldBytes: Number(held),
            });
        }
      }
    return found;
  } catch (error) {
    if (error instanceof SqlError || error instanceof BackendError) return found;
    throw error;
  }
}

function storedBy(move: string, end: string): string {
  return `SELECT ${quoteLiteral(end)}::pg_lsn - p.position, (SELECT coalesce(sum(row_count), 0) FROM colonnade.move_chunk c WHERE c.move = p.move),
  (SELECT coalesce(sum(byte_count), 0) FROM colonnade.move_chunk c WHERE c.move = p.move)
FROM colonnade.move_progress p WHERE p.move = ${quoteLiteral(move)}`;
}

/** For which of them rows are copied, and how long for. */
const COPYING = "('copying', 'resync')";

/** Seconds since the last time that copying began, by the control schema's clock. */
async function copyingFor(database: ControlDatabase, name: string): Promise<number> {
  const own = `migration = ${quoteLiteral(name)}`;
  const [row] = await database.query(
    `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0) FROM colonnade.migration_event WHERE ${own} AND state IN ${COPYING}
     AND number > (SELECT coalesce(max(number), 0) FROM colonnade.migration_event WHERE ${own} AND state NOT IN ${COPYING} AND state <> 'stopped')`,
  );
  return Number(row?.[0] ?? 0);
}

export interface Look {
  readonly rows: number;
  readonly seconds: number;
}

/** Undefined unless rows are being copied. `before`: an earlier look, whose clock is the caller's own. */
export async function copyProgressOf(
  database: ControlDatabase,
  { plan, stored }: KnownMigration,
  streams: readonly StreamProgress[],
  { before, nowSeconds }: { readonly before: Look | undefined; readonly nowSeconds: number },
): Promise<CopyProgress | undefined> {
  const { state } = stored.document.life;
  if (state !== "copying" && state !== "resync") return undefined;
  const own = streams.filter(({ direction }) => direction === "forward");
  const rows = own.reduce((sum, { copiedRows }) => sum + copiedRows, 0);
  const bytes = own.reduce((sum, { copiedBytes }) => sum + copiedBytes, 0);
  const ofRows = Math.max(plan.rows, rows);
  const since = before ?? {
    rows: 0,
    seconds: nowSeconds - (await copyingFor(database, plan.name)),
  };
  const seconds = nowSeconds - since.seconds;
  const rowsPerSecond = seconds > 0 ? Math.round(Math.max(0, rows - since.rows) / seconds) : 0;
  const isKnown = rowsPerSecond > 0 && plan.rows > rows;
  const secondsLeft = isKnown ? Math.ceil((ofRows - rows) / rowsPerSecond) : undefined;
  return { rows, ofRows, bytes, rowsPerSecond, secondsLeft };
}

const BAR_WIDTH = 30;

export function copyLine({
  rows,
  ofRows,
  bytes,
  rowsPerSecond,
  secondsLeft,
}: CopyProgress): string {
  const part = ofRows === 0 ? 0 : rows / ofRows;
  const done = Math.floor(BAR_WIDTH * part);
  const bar = `[${"#".repeat(done)}${".".repeat(BAR_WIDTH - done)}] ${Math.floor(100 * part)} %`;
  const left = secondsLeft === undefined ? "" : `, ${duration(secondsLeft)} left`;
  return `  ${bar}  ${rows} of about ${ofRows} rows, ${amount(bytes)}, ${rowsPerSecond} rows/s${left}`;
}

export function streamLine({ move, direction, target, ...each }: StreamProgress): string {
  const copied =
    direction === "forward"
      ? `${each.copiedRows} rows copied (${amount(each.copiedBytes)}), `
      : "on the way back ";
  return `  ${move} into ${target}: ${copied}${amount(each.behindBytes)} of log behind, ${amount(each.heldBytes)} of it held`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** As PostgreSQL's pg_size_pretty, in powers of 1,024. */
function amount(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 10_240 && unit < UNITS.length - 1) [value, unit] = [value / 1_024, unit + 1];
  return `${Math.round(value)} ${UNITS[unit] ?? ""}`;
}

function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
