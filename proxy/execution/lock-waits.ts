/** Asks one server who waits for a lock in one database, and for whom. */
import { DEADLOCK_WAITERS_MAX } from "../../base/limits.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { LockWait, ServerProcess } from "./wait-graph.ts";

/**
 * `state` is null for a process of another role, where this one may not see what it does
 * (manual 27.2.3); who blocks it may be seen by everybody. pg_blocking_pids is called last:
 * it stops the lock manager for a moment. A parallel worker speaks for its leader.
 */
const LOCK_WAITS = `
  SELECT coalesce(activity.leader_pid, activity.pid),
         (1000000 * EXTRACT(epoch FROM activity.query_start))::pg_catalog.int8,
         pg_catalog.array_to_string(blocking.pids, ',')
  FROM pg_catalog.pg_stat_activity AS activity
    CROSS JOIN LATERAL pg_catalog.pg_blocking_pids(activity.pid) AS blocking (pids)
  WHERE activity.datname = pg_catalog.current_database()
    AND (activity.wait_event_type = 'Lock' OR activity.state IS NULL)
    AND pg_catalog.cardinality(blocking.pids) > 0
  LIMIT ${DEADLOCK_WAITERS_MAX}`;

/** A prepared transaction has no process. */
const PREPARED_TRANSACTION = 0;

/** The connection is idle, and is so again afterwards; when the signal aborts it is destroyed. */
export async function readLockWaits(
  connection: BackendConnection,
  signal: AbortSignal,
): Promise<readonly LockWait[]> {
  const { rows } = await connection.query(LOCK_WAITS, signal);
  const process = (text: string): ServerProcess => serverProcess(connection, Number(text));
  return rows.map(([waiter, statementStart, blockers]) => ({
    waiter: process(waiter ?? ""),
    statementStart: statementStart ?? "",
    blockers: [...new Set((blockers ?? "").split(","))]
      .map(process)
      .filter(({ processId }) => processId !== PREPARED_TRANSACTION),
  }));
}

export function serverProcess(
  { address, database }: BackendConnection,
  processId: number,
): ServerProcess {
  return { server: serverName(address), database, processId };
}

function serverName({ server }: BackendAddress): string {
  return `${server.kind === "tcp" ? server.host : server.directory}:${server.port}`;
}
