/**
 * Marks what an applier writes as its own, by a replication origin: the stream of a move in the
 * other direction passes such transactions over, so no change comes back to where it is from.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_SLOT_BUSY_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";

const PREFIX = "colonnade_";

export function isOwnOrigin(origin: string): boolean {
  return origin.startsWith(PREFIX);
}

/** Origins are of the whole server, which may have several targets of one move. */
function originName(move: string, database: DatabaseName): string {
  return `${PREFIX}${move}@${database}`;
}

const OBJECT_IN_USE = "55006";

/** What a role has to be allowed to execute for all of this: only superusers are by themselves. */
export const ORIGIN_FUNCTIONS = [
  "pg_replication_origin_create(text)",
  "pg_replication_origin_drop(text)",
  "pg_replication_origin_oid(text)",
  "pg_replication_origin_session_setup(text)",
] as const;

/** For the rest of the session. An origin that a killed process's backend still holds is waited for. */
export async function tagSession(target: BackendConnection, move: string): Promise<void> {
  const name = quoteLiteral(originName(move, target.database));
  await target.query(
    `SELECT pg_replication_origin_create(${name}) WHERE pg_replication_origin_oid(${name}) IS NULL`,
  );
  const deadlineMs = performance.now() + MOVE_SLOT_BUSY_MS;
  for (;;) {
    try {
      await target.query(`SELECT pg_replication_origin_session_setup(${name})`);
      return;
    } catch (error) {
      const isBusy = error instanceof BackendError && error.fields.C === OBJECT_IN_USE;
      if (!isBusy || performance.now() > deadlineMs) throw error;
    }
    await sleep(50);
  }
}

/** What is left in a target of a move that is over; no session may use it. */
export function dropOrigin(move: string, database: DatabaseName): string {
  const name = quoteLiteral(originName(move, database));
  return `SELECT pg_replication_origin_drop(${name}) WHERE pg_replication_origin_oid(${name}) IS NOT NULL`;
}
