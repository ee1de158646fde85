/**
 * The record that decides a transaction over several databases, and the names of its
 * prepared parts.
 *
 * One participant, the coordinator, commits in one phase; the row that it inserts into its
 * own `colonnade.commit_record` commits with it, so the row is the decision. Whoever finds
 * a prepared part asks for the row, and where it is missing inserts one that says "aborted":
 * the primary key lets only one of the two through, so the outcome cannot be read in two
 * ways. (The presumed-abort variant of two-phase commit, Mohan and Lindsay 1983, with the log
 * record in a table.) record-sweep.ts says how long a row is kept.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { databaseName } from "../../base/ids.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";

/** Identifies a transaction of several databases; the same for all its parts. */
export interface GlobalTransaction {
  /** Unique over all proxies and their restarts: made from random bits and a counter. */
  readonly id: string;
  readonly coordinator: DatabaseName;
}

const PREFIX = "colonnade";

/** Names of prepared transactions are unique in a whole server, so each part names its database. PostgreSQL allows 200 bytes. */
export function preparedName(transaction: GlobalTransaction, participant: DatabaseName): string {
  return [
    PREFIX,
    transaction.id,
    encodeURIComponent(transaction.coordinator),
    encodeURIComponent(participant),
  ].join(":");
}

/** Undefined for a name that is none of ours. */
export function parsePreparedName(
  name: string,
): { readonly transaction: GlobalTransaction; readonly participant: DatabaseName } | undefined {
  const [prefix, id, coordinator, participant, ...more] = name.split(":");
  if (
    prefix !== PREFIX ||
    id === undefined ||
    coordinator === undefined ||
    participant === undefined ||
    more.length > 0
  ) {
    return undefined;
  }
  try {
    return {
      transaction: { id, coordinator: databaseName(decodeURIComponent(coordinator)) },
      participant: databaseName(decodeURIComponent(participant)),
    };
  } catch {
    // Somebody else's, that only begins like ours.
    return undefined;
  }
}

/** CREATE SCHEMA asks for CREATE on the database even where the schema is there, made by who may. */
export const CREATE_RECORDS_SCHEMA = `DO $$
BEGIN
  IF pg_catalog.to_regnamespace('colonnade') IS NULL THEN
    CREATE SCHEMA IF NOT EXISTS colonnade;
  END IF;
END
$$`;

/** Idempotent, and safe when several proxies run it at once: the lock makes them wait for each other. */
export const CREATE_COMMIT_RECORD = `
BEGIN READ WRITE;
SELECT pg_catalog.pg_advisory_xact_lock(7523913460157215327);
${CREATE_RECORDS_SCHEMA};
CREATE TABLE IF NOT EXISTS colonnade.commit_record (
  transaction pg_catalog.text PRIMARY KEY,
  committed pg_catalog.bool NOT NULL,
  decided_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
  participants pg_catalog.text[] NOT NULL DEFAULT '{}'
);
COMMIT`;

export const COMMIT_RECORD_EXISTS =
  "SELECT pg_catalog.to_regclass('colonnade.commit_record') IS NOT NULL";

/**
 * Part of the coordinator's own transaction, sent with its COMMIT.
 *
 * Deferred constraints are checked before the row is there: they may wait for locks, and while the
 * row is inserted and not committed, nobody can decide against it. A transaction that one of its
 * prepared parts keeps waiting, and that keeps this one waiting, would then never end.
 *
 * The commit is on disk before it is answered, whatever the client wants of its own commits: a row
 * that a crash takes away after the others have committed leaves them alone.
 */
export function insertCommitted(
  transaction: GlobalTransaction,
  participants: readonly DatabaseName[],
): string {
  const names = participants.map(quoteLiteral).join(", ");
  return `SET CONSTRAINTS ALL IMMEDIATE; ${COMMIT_DURABLY};
    INSERT INTO colonnade.commit_record (transaction, committed, participants)
    VALUES (${quoteLiteral(transaction.id)}, true, ARRAY[${names}]::pg_catalog.text[])`;
}

/** Stricter ones than `on` stay: they are the client's wish to be read elsewhere. */
export const COMMIT_DURABLY = `SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
  WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) ANY ('{off,local}')`;

/** Waits for a coordinator that is committing just now, then tells what was decided, deciding "aborted" where nothing was. */
export function decide(transaction: GlobalTransaction): readonly string[] {
  const id = quoteLiteral(transaction.id);
  return [
    `INSERT INTO colonnade.commit_record (transaction, committed) VALUES (${id}, false) ON CONFLICT DO NOTHING`,
    `SELECT committed FROM colonnade.commit_record WHERE transaction = ${id}`,
  ];
}

/** Once every part has committed, nobody will ask again. */
export function forgetCommitted(ids: readonly string[]): string {
  return `DELETE FROM colonnade.commit_record WHERE committed AND transaction IN (${ids.map(quoteLiteral).join(", ")})`;
}
