/**
 * What preflight can find, as data: each with its severity and the remedy. An error stands in a
 * migration's way; a warning is a risk that somebody may take. docs/migration-findings.md is
 * generated from here.
 */
import type { DatabaseName } from "../../base/ids.ts";

export interface Finding {
  readonly id: FindingId;
  readonly severity: "error" | "warning";
  readonly database: DatabaseName;
  /** `schema.table`, `schema.table.column`, a setting, a role, or the server. */
  readonly object: string;
  readonly message: string;
  readonly remedy: string;
}

interface FindingKind {
  readonly severity: Finding["severity"];
  /** A sentence. */
  readonly remedy: string;
}

/** Ids are public, so never reused. */
export const FINDINGS = {
  server_away: { severity: "error", remedy: "Check the database's URL in the shard map." },
  wal_level: {
    severity: "error",
    remedy: "Set wal_level = logical and restart the server.",
  },
  is_standby: { severity: "error", remedy: "Name the primary in the shard map." },
  pooled_connection: {
    severity: "error",
    remedy: "Give the server's own address: snapshots and slots need one session each.",
  },
  version_too_old: { severity: "error", remedy: "Upgrade to PostgreSQL 15 or later first." },
  minor_version: {
    severity: "warning",
    remedy:
      "Install the latest minor version: before it, a publication made while writers are open may miss rows.",
  },
  slots_exhausted: { severity: "error", remedy: "Raise max_replication_slots, or drop slots." },
  walsenders_exhausted: { severity: "error", remedy: "Raise max_wal_senders." },
  origins_exhausted: {
    severity: "error",
    remedy:
      "Raise the setting, or drop replication origins: colonnade migrate doctor finds those that nobody needs.",
  },
  connections_exhausted: {
    severity: "error",
    remedy: "Raise max_connections, or lower the pools of the proxies.",
  },
  slot_wal_unlimited: {
    severity: "warning",
    remedy:
      "Set max_slot_wal_keep_size to what the disk can spare, so that a stuck migration is lost and not the server.",
  },
  slot_wal_small: {
    severity: "warning",
    remedy:
      "Raise max_slot_wal_keep_size above the size of the moved tables, or the slot may be lost while they are copied.",
  },
  idle_slot_timeout: {
    severity: "warning",
    remedy: "Set idle_replication_slot_timeout = 0 while the migration lasts.",
  },
  encoding_differs: {
    severity: "error",
    remedy: "Create the target database in the source's encoding.",
  },
  collation_differs: {
    severity: "error",
    remedy:
      "Create the target database with the same LOCALE_PROVIDER and LOCALE, or text sorts and compares differently there.",
  },
  collation_version_differs: {
    severity: "warning",
    remedy:
      "Run servers with the same version of ICU or the C library: versions may order text differently.",
  },
  target_older: {
    severity: "warning",
    remedy:
      "Prefer a target of the same or a later major version: a way back to it is tested less.",
  },
  extension_missing: { severity: "error", remedy: "CREATE EXTENSION in the target database." },
  no_replication_right: { severity: "error", remedy: "ALTER ROLE ... REPLICATION." },
  no_replica_role: {
    severity: "error",
    remedy: "GRANT SET ON PARAMETER session_replication_role TO the role, or use a superuser.",
  },
  no_origin_right: {
    severity: "error",
    remedy:
      "GRANT EXECUTE ON FUNCTION of each of them TO the role, in this database, or use a superuser.",
  },
  no_create_right: { severity: "error", remedy: "GRANT CREATE ON DATABASE ... TO the role." },
  ddl_not_guarded: {
    severity: "warning",
    remedy:
      "Use a superuser, or tell everybody not to change the moved tables: a change stops the migration.",
  },
  not_owner: {
    severity: "error",
    remedy: "GRANT the owner's role to the role of the database's URL.",
  },
  table_missing: { severity: "error", remedy: "Create it, or correct the shard map." },
  not_a_table: {
    severity: "error",
    remedy: "Take it out of the shard map: only tables have rows of their own.",
  },
  unlogged: { severity: "error", remedy: "ALTER TABLE ... SET LOGGED." },
  no_identity: {
    severity: "error",
    remedy: "Add a primary key, or name a unique index as its replica identity.",
  },
  identity_nothing: { severity: "error", remedy: "ALTER TABLE ... REPLICA IDENTITY DEFAULT." },
  identity_without_key: {
    severity: "error",
    remedy: "Put the shard key into the primary key, or ALTER TABLE ... REPLICA IDENTITY FULL.",
  },
  identity_full: {
    severity: "warning",
    remedy: "Every update writes the whole old row to WAL: expect up to twice as much of it.",
  },
  large_objects: {
    severity: "error",
    remedy: "Move large objects into bytea columns first: their changes are in no stream.",
  },
  inherited: { severity: "error", remedy: "Make the children partitions, or tables of their own." },
  row_security: { severity: "error", remedy: "ALTER ROLE ... BYPASSRLS, or rows would be missed." },
  trigger_in_replica: {
    severity: "error",
    remedy:
      "ALTER TABLE ... ENABLE TRIGGER: one that fires for replicated rows would do so a second time.",
  },
  exclusion_constraint: {
    severity: "error",
    remedy: "Drop it: over several placements no database can hold it.",
  },
  foreign_key_cut: {
    severity: "error",
    remedy: "Move both tables together, make the other a reference table, or drop the foreign key.",
  },
  subscribed: {
    severity: "error",
    remedy: "Drop the subscription: its writes would pass the fence.",
  },
  sources_differ: {
    severity: "error",
    remedy: "Give all tables whose rows come together the same columns and primary key.",
  },
  target_not_empty: { severity: "error", remedy: "Empty the table, or name another schema." },
  prepared_transaction: {
    severity: "error",
    remedy: "COMMIT PREPARED or ROLLBACK PREPARED it: slot and fence would wait for it.",
  },
  long_transaction: {
    severity: "warning",
    remedy:
      "End it before the start: the slot cannot be made before it is over, and neither can a cutover.",
  },
  wraparound_near: {
    severity: "warning",
    remedy:
      "VACUUM (FREEZE) the table: autovacuum against wraparound would stand in the fence's way.",
  },
  other_sessions: {
    severity: "warning",
    remedy: "Lead them through the proxy, or expect their writes to fail at the switch.",
  },
  proxy_silent: {
    severity: "error",
    remedy:
      "Restart the proxy, or wait until it is forgotten: while it may serve unseen, nothing is cut over.",
  },
} as const satisfies Readonly<Record<string, FindingKind>>;

export type FindingId = keyof typeof FINDINGS;

export function finding(
  id: FindingId,
  database: DatabaseName,
  object: string,
  message: string,
): Finding {
  return { id, database, object, message, ...FINDINGS[id] };
}
