/**
 * Event triggers that refuse to alter or drop what is moved, on both sides, while a migration
 * lasts. They need a superuser; without, preflight has warned, and a changed table stops the
 * stream before a row is applied under it. Sessions of a replica, as ours are, they let pass.
 *
 *     colonnade.guarded_table   one row a migration and table
 */
import type { DatabaseName } from "../../base/ids.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import { forgetObject, intendObject } from "../../control/migration-objects.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { CREATE_ENGINE_SCHEMA, hasEngineTable, LOCK_ENGINE_SCHEMA } from "../engine-schema.ts";
import { copiedFencesOf, fencesOf } from "./scene.ts";
import type { Scene, Sessions } from "./scene.ts";
import type { Side } from "../machine/life.ts";

const EVENT_TRIGGERS = ["colonnade_guard_ddl", "colonnade_guard_drop"] as const;

/**
 * Privileges may be given, comments made, and indexes rebuilt. An index is known by its table where it is
 * made, and by itself where it goes: one that CREATE INDEX CONCURRENTLY leaves behind when it is refused may be dropped.
 */
const CREATE_GUARD = `
${CREATE_ENGINE_SCHEMA}
CREATE TABLE IF NOT EXISTS colonnade.guarded_table (
  migration text NOT NULL,
  relid oid NOT NULL,
  PRIMARY KEY (migration, relid)
);
COMMENT ON TABLE colonnade.guarded_table IS 'tables and indexes that are not to be altered while a migration moves them';
CREATE OR REPLACE FUNCTION colonnade.guard_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE changed record;
BEGIN
  SELECT c.object_identity, g.migration INTO changed FROM pg_event_trigger_ddl_commands() c
  LEFT JOIN pg_trigger t ON c.classid = 'pg_trigger'::regclass AND t.oid = c.objid
  LEFT JOIN pg_rewrite r ON c.classid = 'pg_rewrite'::regclass AND r.oid = c.objid
  LEFT JOIN pg_policy p ON c.classid = 'pg_policy'::regclass AND p.oid = c.objid
  LEFT JOIN pg_index i ON c.command_tag = 'CREATE INDEX' AND c.classid = 'pg_class'::regclass AND i.indexrelid = c.objid
  JOIN colonnade.guarded_table g ON g.relid = CASE c.classid WHEN 'pg_class'::regclass THEN coalesce(i.indrelid, c.objid)
    ELSE coalesce(t.tgrelid, r.ev_class, p.polrelid) END
  WHERE c.command_tag IN ('ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER', 'ALTER TRIGGER', 'CREATE RULE', 'CREATE POLICY', 'ALTER POLICY') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'cannot change % while migration "%" moves it', changed.object_identity, changed.migration
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Complete or cancel the migration first: colonnade migrate status.';
  END IF;
END
$$;
CREATE OR REPLACE FUNCTION colonnade.guard_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE changed record;
BEGIN
  SELECT d.object_identity, g.migration INTO changed FROM pg_event_trigger_dropped_objects() d
  JOIN colonnade.guarded_table g ON d.classid = 'pg_class'::regclass AND g.relid = d.objid
    OR d.original AND d.object_type IN ('trigger', 'rule', 'policy') AND g.relid =
      (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = d.address_names[1] AND c.relname = d.address_names[2])
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'cannot drop % while migration "%" moves it', changed.object_identity, changed.migration
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Complete or cancel the migration first: colonnade migrate status.';
  END IF;
END
$$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'colonnade_guard_ddl') THEN
    CREATE EVENT TRIGGER colonnade_guard_ddl ON ddl_command_end EXECUTE FUNCTION colonnade.guard_ddl();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'colonnade_guard_drop') THEN
    CREATE EVENT TRIGGER colonnade_guard_drop ON sql_drop EXECUTE FUNCTION colonnade.guard_drop();
  END IF;
END
$$;
`;

const INSUFFICIENT_PRIVILEGE = "42501";

/** What the engine does itself it does in sessions of a replica. To be asked again once there are indexes that were not there. */
export async function guardDdl(scene: Scene, sessions: Sessions, side: Side): Promise<void> {
  const copied = side === "sources" ? copiedFencesOf(scene) : [];
  for (const [database, { migration, tables }] of [...fencesOf(scene, side), ...copied]) {
    const connection = await sessions.to(database);
    for (const name of EVENT_TRIGGERS)
      await intendObject(scene.control, {
        migration,
        database,
        kind: "event trigger",
        name,
        remove: "always",
      });
    try {
      await connection.query(CREATE_GUARD);
    } catch (error) {
      if (!(error instanceof BackendError) || error.fields.C !== INSUFFICIENT_PRIVILEGE)
        throw error;
      continue;
    }
    for (const { schema, name } of tables) {
      const table = quoteLiteral(quoteQualified(schema, name));
      await connection.query(
        `WITH tables AS (SELECT ${table}::regclass::oid AS relid UNION SELECT relid FROM pg_partition_tree(${table}))
INSERT INTO colonnade.guarded_table SELECT ${quoteLiteral(migration)}, relid
FROM (SELECT relid FROM tables UNION SELECT i.indexrelid FROM pg_index i JOIN tables t ON t.relid = i.indrelid WHERE i.indisvalid) t ON CONFLICT DO NOTHING`,
      );
    }
  }
}

/** The event triggers go with the last migration that needs them. */
export async function endDdlGuard(
  scene: Scene,
  connection: BackendConnection,
  database: DatabaseName,
): Promise<void> {
  const migration = scene.plan.name;
  if (await hasEngineTable(connection, "guarded_table"))
    await connection.query(`
${LOCK_ENGINE_SCHEMA}
DELETE FROM colonnade.guarded_table WHERE migration = ${quoteLiteral(migration)};
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM colonnade.guarded_table) THEN
${EVENT_TRIGGERS.map((name) => `    DROP EVENT TRIGGER IF EXISTS ${name};`).join("\n")}
  END IF;
END
$$`);
  for (const name of EVENT_TRIGGERS)
    await forgetObject(scene.control, { migration, database, kind: "event trigger", name });
}
