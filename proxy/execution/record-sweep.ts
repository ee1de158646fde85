/**
 * Which commit records nobody can ask for any more.
 *
 * One that says "committed" is asked for while a part of its transaction is prepared. All parts
 * were when the row was committed, so once none is found, none will ever be. It names its
 * participants, since the shard map may name other databases by now; while one of them cannot be
 * asked, the row stays.
 *
 * One that says "aborted" keeps a coordinator from committing, which may have been stopped for
 * days. It is needed while a transaction is open in the database that began before the decision.
 * What this connection may not see of others (their state is null to it) counts as one.
 */
import { databaseName } from "../../base/ids.ts";
import type { DatabaseName } from "../../base/ids.ts";
import {
  ABORTED_RECORD_MARGIN_MS,
  COMMIT_RECORDS_FORGOTTEN_AT_ONCE,
  COMMITTED_RECORD_AGE_MS,
} from "../../base/limits.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { COMMIT_RECORD_EXISTS, forgetCommitted } from "./commit-record.ts";

export interface CommittedRecord {
  readonly id: string;
  readonly participants: readonly DatabaseName[];
}

/** A name may hold any character but a zero byte, which no text has. */
const READ_FINISHABLE = `
  SELECT record.transaction, participant.name
  FROM (SELECT transaction, participants FROM colonnade.commit_record
        WHERE committed AND decided_at < pg_catalog.clock_timestamp() - interval '${COMMITTED_RECORD_AGE_MS} ms'
        LIMIT ${COMMIT_RECORDS_FORGOTTEN_AT_ONCE}) AS record,
    pg_catalog.unnest(record.participants) AS participant (name)`;

/** Undefined where the database has never been a coordinator. */
export async function readFinishable(
  connection: BackendConnection,
  signal: AbortSignal,
): Promise<readonly CommittedRecord[] | undefined> {
  const exists = await connection.query(COMMIT_RECORD_EXISTS, signal);
  if (exists.rows[0]?.[0] !== "t") return undefined;
  const { rows } = await connection.query(READ_FINISHABLE, signal);
  const byId = Map.groupBy(rows, ([id]) => id ?? "");
  return [...byId].map(([id, parts]) => ({
    id,
    participants: parts.map(([, name]) => databaseName(name ?? "")),
  }));
}

/** The margin is for a server's clock that was set back meanwhile. */
const DELETE_ABORTED = `
  DELETE FROM colonnade.commit_record AS record
  WHERE NOT committed AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS activity
    WHERE activity.datname = pg_catalog.current_database()
      AND activity.pid <> pg_catalog.pg_backend_pid()
      AND (activity.backend_type IS NULL OR activity.backend_type = 'client backend')
      AND (activity.state IS NULL OR activity.state = 'disabled'
        OR activity.xact_start < record.decided_at + interval '${ABORTED_RECORD_MARGIN_MS} ms'))
    AND decided_at < pg_catalog.clock_timestamp() - interval '${ABORTED_RECORD_MARGIN_MS} ms'`;

export async function deleteRecords(
  connection: BackendConnection,
  committed: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (committed.length > 0) await connection.query(forgetCommitted(committed), signal);
  await connection.query(DELETE_ABORTED, signal);
}
