/**
 * The record that decides a transaction over several databases, and the names of its
 * prepared parts.
 *
 * One participant, the coordinator, commits in one phase; the row that it inserts into its
 * own `colonnade.commit_record` commits with it, so the row is the decision. Whoever finds
 * a prepared part asks for the row, and where it is missing inserts one that says "aborted":
 * the primary key lets only one of the two through, so the outcome cannot be read in two
 * ways. Rows that say "aborted" are kept for good: a proxy that was stopped for days may
 * still come back with its commit. (The presumed-abort variant of two-phase commit, Mohan and
 * Lindsay 1983, with the log record in a table.)
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

/** Idempotent, and safe when several proxies run it at once: the lock makes them wait for each other. */
export const CREATE_COMMIT_RECORD = `
BEGIN READ WRITE;
SELECT pg_catalog.pg_advisory_xact_lock(7523913460157215327);
CREATE SCHEMA IF NOT EXISTS colonnade;
CREATE TABLE IF NOT EXISTS colonnade.commit_record (
  transaction pg_catalog.text PRIMARY KEY,
  committed pg_catalog.bool NOT NULL,
  decided_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMIT`;

export const COMMIT_RECORD_EXISTS =
  "SELECT pg_catalog.to_regclass('colonnade.commit_record') IS NOT NULL";

/** Part of the coordinator's own transaction, sent with its COMMIT. */
export function insertCommitted(transaction: GlobalTransaction): string {
  return `INSERT INTO colonnade.commit_record (transaction, committed) VALUES (${quoteLiteral(transaction.id)}, true)`;
}

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
