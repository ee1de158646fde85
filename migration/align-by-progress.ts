/**
 * Snapshots of both sides that see the same, taken by another process than the one that applies
 * the streams: each giving side is looked at, and then each taking side, once its stored position
 * is past all that was seen there. Its rows of progress are locked for that moment, so that no
 * further transaction is committed there meanwhile.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_SNAPSHOT_POLL_MS } from "../base/limits.ts";
import { LSN_ZERO, parseLsn } from "../base/lsn.ts";
import type { Lsn } from "../base/lsn.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { Direction } from "./machine/life.ts";
import { targetDatabases } from "./move.ts";
import type { PlannedMove } from "./move.ts";
import type { Align } from "./verify-sessions.ts";

/** `streamed`: the moves whose streams run, in `direction`. `open`: a session, closed by its owner. */
export function alignByProgress(
  streamed: readonly PlannedMove[],
  direction: Direction,
  open: (database: DatabaseName) => Promise<BackendConnection>,
): Align {
  return async (looks, signal) => {
    const isForward = direction === "forward";
    const due = new Map<PlannedMove, Lsn>();
    for (const move of streamed) {
      await (isForward ? looks.source() : looks.target(move.source));
      due.set(move, await endOfLog(await open(move.source)));
    }
    const takers = new Set(streamed.flatMap(targetDatabases));
    for (const taker of takers) {
      const own = streamed.filter((move) => targetDatabases(move).includes(taker));
      const connection = await open(taker);
      await lockedAt(connection, own, due, signal);
      await (isForward ? looks.target(taker) : looks.source());
      await connection.query("ROLLBACK");
    }
  };
}

/** Of an id's commit, which is flushed, and behind everything that was seen before. */
async function endOfLog(connection: BackendConnection): Promise<Lsn> {
  await connection.query("SELECT pg_current_xact_id()");
  const { rows } = await connection.query("SELECT pg_current_wal_insert_lsn()");
  return parseLsn(rows[0]?.[0] ?? "") ?? LSN_ZERO;
}

/** In a transaction that is left open. */
async function lockedAt(
  connection: BackendConnection,
  moves: readonly PlannedMove[],
  due: ReadonlyMap<PlannedMove, Lsn>,
  signal: AbortSignal,
): Promise<void> {
  const names = moves.map(({ name }) => quoteLiteral(name)).join(", ");
  for (;;) {
    signal.throwIfAborted();
    await connection.query("BEGIN");
    const { rows } = await connection.query(
      `SELECT move, position FROM colonnade.move_progress WHERE move IN (${names}) ORDER BY move FOR UPDATE`,
    );
    const reached = new Map(rows.map(([move, position]) => [move, parseLsn(position ?? "")]));
    const isThere = moves.every(
      (move) => (reached.get(move.name) ?? LSN_ZERO) >= (due.get(move) ?? LSN_ZERO),
    );
    if (isThere) return;
    await connection.query("ROLLBACK");
    await sleep(MOVE_SNAPSHOT_POLL_MS, undefined, { signal });
  }
}
