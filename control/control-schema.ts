/**
 * The control schema: tables in the catalog database through which a fleet of proxies agrees
 * on one shard map. SQL text only, by version; who runs it, and when, is the work of others.
 *
 * Every change of what proxies follow raises `control.revision` in its own transaction and
 * notifies them. A proxy tells in its row which revision it has applied: that is its
 * acknowledgement, of whatever the change was.
 */
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";

/** What this program reads and writes; `upgrade` brings an older one here. */
export const CONTROL_SCHEMA_VERSION = 5;

/** Heard by every proxy of the fleet; the payload is the revision. */
export const CONTROL_CHANNEL = "colonnade_control";

/** Makes whoever changes the schema wait for each other, and readers for nobody. */
export const LOCK_CONTROL_SCHEMA = "SELECT pg_catalog.pg_advisory_xact_lock(7523913460157215328)";

/** Whether there is a control schema, of whatever version. */
export const CONTROL_TABLE_EXISTS =
  "SELECT pg_catalog.to_regclass('colonnade.control') IS NOT NULL";

/** What SHOW MIGRATIONS tells of a migration: neither its plan nor what decides it. */
const MIGRATION_COLUMNS_SHOWN =
  "name, kind, state, parties, epoch, ticket, created_by, created_at, changed_at";

/** To tell of DDL, a proxy adds a row and counts the revision up; whoever knows that it is over takes the row away. */
const DDL_GRANTS = [
  "GRANT SELECT, INSERT, DELETE ON colonnade.ddl",
  "GRANT UPDATE (revision) ON colonnade.control",
] as const;

/** For roles that an older version has granted their rights to: see grantToProxies. */
function toEachProxyRole(...grants: readonly string[]): string {
  const statements = grants.map((grant) => `EXECUTE '${grant} TO ' || proxies;`);
  return `DO $$
DECLARE proxies pg_catalog.text;
BEGIN
  FOR proxies IN
    SELECT DISTINCT pg_catalog.quote_ident(r.rolname)
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) g, pg_catalog.pg_roles r
    WHERE c.oid = 'colonnade.proxy'::pg_catalog.regclass AND g.grantee = r.oid
      AND g.privilege_type = 'INSERT' AND g.grantee <> c.relowner
  LOOP
    ${statements.join("\n    ")}
  END LOOP;
END
$$;`;
}

/** `CONTROL_UPGRADES[n]` leads from version n to n + 1; run in one transaction, in order. */
export const CONTROL_UPGRADES: readonly string[] = [
  // CREATE SCHEMA asks for CREATE on the database even where the schema is there, made by who may.
  `
DO $$
BEGIN
  IF pg_catalog.to_regnamespace('colonnade') IS NULL THEN
    CREATE SCHEMA IF NOT EXISTS colonnade;
  END IF;
END
$$;
CREATE TABLE colonnade.map (
  version pg_catalog.int8 PRIMARY KEY CHECK (version > 0),
  yaml pg_catalog.text NOT NULL,
  author pg_catalog.text NOT NULL,
  published_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
  changes pg_catalog.jsonb NOT NULL,
  identities pg_catalog.jsonb NOT NULL
);
COMMENT ON TABLE colonnade.map IS 'published shard maps; rows never change';
CREATE TABLE colonnade.control (
  is_only pg_catalog.bool PRIMARY KEY DEFAULT true CHECK (is_only),
  schema_version pg_catalog.int4 NOT NULL,
  revision pg_catalog.int8 NOT NULL DEFAULT 0,
  map_version pg_catalog.int8 REFERENCES colonnade.map
);
COMMENT ON TABLE colonnade.control IS 'one row: the map in force, and the revision that proxies acknowledge';
CREATE TABLE colonnade.proxy (
  id pg_catalog.uuid PRIMARY KEY,
  name pg_catalog.text NOT NULL,
  address pg_catalog.text NOT NULL,
  process_id pg_catalog.int4 NOT NULL,
  program_version pg_catalog.text NOT NULL,
  started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  renewed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  lease_ms pg_catalog.int4 NOT NULL CHECK (lease_ms > 0),
  map_version pg_catalog.int8 NOT NULL,
  applied_revision pg_catalog.int8 NOT NULL,
  problem pg_catalog.text
);
COMMENT ON TABLE colonnade.proxy IS 'proxies of the fleet, each renewing its row while it serves';
CREATE FUNCTION colonnade.refuse_change() RETURNS pg_catalog.trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'a published shard map does not change' USING ERRCODE = '55000';
END
$$;
CREATE TRIGGER map_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON colonnade.map
  FOR EACH STATEMENT EXECUTE FUNCTION colonnade.refuse_change();
INSERT INTO colonnade.control (schema_version) VALUES (0);
`,
  `
ALTER TABLE colonnade.proxy
  ADD COLUMN renewal pg_catalog.int8 NOT NULL DEFAULT 0,
  ADD COLUMN holds pg_catalog.jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN colonnade.proxy.renewal IS 'counts renewals of its lease: the same number seen twice, lease_ms apart, is a lease that has run out';
COMMENT ON COLUMN colonnade.proxy.holds IS 'the holds it obeys: of each, how many transactions are still open on its placements';
CREATE TABLE colonnade.leased (
  placement pg_catalog.text NOT NULL,
  owner pg_catalog.text NOT NULL,
  since pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (placement, owner)
);
COMMENT ON TABLE colonnade.leased IS 'placements that a proxy serves only while its lease lasts, and what for';
CREATE TABLE colonnade.hold (
  name pg_catalog.text NOT NULL,
  attempt pg_catalog.int4 NOT NULL CHECK (attempt > 0),
  placements pg_catalog.text[] NOT NULL CHECK (pg_catalog.cardinality(placements) > 0),
  requested_by pg_catalog.text NOT NULL,
  requested_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  started_at pg_catalog.timestamptz,
  deadline pg_catalog.timestamptz NOT NULL,
  ended_at pg_catalog.timestamptz,
  ended_by pg_catalog.text,
  PRIMARY KEY (name, attempt)
);
COMMENT ON TABLE colonnade.hold IS 'placements whose new statements proxies hold back: announced, started, ended by who asked or, after its deadline, by anybody';
CREATE UNIQUE INDEX hold_is_one ON colonnade.hold (name) WHERE ended_at IS NULL;
${toEachProxyRole(
  "GRANT SELECT ON colonnade.leased, colonnade.hold",
  "GRANT UPDATE (ended_at, ended_by) ON colonnade.hold",
)}
`,
  `
CREATE TABLE colonnade.migration (
  name pg_catalog.text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
  state pg_catalog.text NOT NULL,
  epoch pg_catalog.int8 NOT NULL,
  ticket pg_catalog.int8 NOT NULL,
  version pg_catalog.int8 NOT NULL DEFAULT 1,
  revision pg_catalog.int8,
  document pg_catalog.jsonb NOT NULL,
  plan pg_catalog.jsonb NOT NULL,
  created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  changed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  created_by pg_catalog.text NOT NULL
);
COMMENT ON TABLE colonnade.migration IS 'one row a migration, replaced by compare-and-set of version and epoch; document is what decides';
COMMENT ON COLUMN colonnade.migration.revision IS 'what proxies have to follow, as of the last change that they follow';
CREATE TABLE colonnade.migration_event (
  number pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration pg_catalog.text NOT NULL REFERENCES colonnade.migration ON DELETE CASCADE,
  at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  state pg_catalog.text NOT NULL,
  epoch pg_catalog.int8 NOT NULL,
  ticket pg_catalog.int8 NOT NULL,
  what pg_catalog.text NOT NULL
);
CREATE INDEX migration_event_of ON colonnade.migration_event (migration, number);
COMMENT ON TABLE colonnade.migration_event IS 'what led each migration from state to state; rows are only added';
CREATE TABLE colonnade.migration_claim (
  object pg_catalog.text PRIMARY KEY,
  migration pg_catalog.text NOT NULL REFERENCES colonnade.migration ON DELETE CASCADE
);
COMMENT ON TABLE colonnade.migration_claim IS 'tables in their databases, each of one migration at most while it is under way';
CREATE TABLE colonnade.migration_object (
  migration pg_catalog.text NOT NULL REFERENCES colonnade.migration ON DELETE CASCADE,
  database pg_catalog.text NOT NULL,
  kind pg_catalog.text NOT NULL,
  name pg_catalog.text NOT NULL,
  remove pg_catalog.text NOT NULL CHECK (remove IN ('always', 'on cancel', 'on completion')),
  intended_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (migration, database, kind, name)
);
COMMENT ON TABLE colonnade.migration_object IS 'what a migration is about to make in a database, written before it does, gone once it is removed';
`,
  `
ALTER TABLE colonnade.migration
  ADD COLUMN kind pg_catalog.text GENERATED ALWAYS AS (plan ->> 'kind') STORED,
  ADD COLUMN parties pg_catalog.jsonb GENERATED ALWAYS AS (document -> 'parties') STORED;
${toEachProxyRole(`GRANT SELECT (${MIGRATION_COLUMNS_SHOWN}) ON colonnade.migration`)}
`,
  `
CREATE TABLE colonnade.ddl (
  id pg_catalog.uuid PRIMARY KEY,
  proxy pg_catalog.uuid NOT NULL,
  transaction pg_catalog.text CHECK (transaction ~ '^[0-9]+$'),
  announced_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE colonnade.ddl IS 'DDL that a proxy is about to commit: from when they have seen the row, proxies ask the catalog database before they use what they know of tables';
COMMENT ON COLUMN colonnade.ddl.transaction IS 'in the catalog database, which says whether it is over; NULL: it is';
${toEachProxyRole(...DDL_GRANTS)}
`,
];

export function setSchemaVersion(version: number): string {
  return `UPDATE colonnade.control SET schema_version = ${version}`;
}

/**
 * What a role needs to run proxies: to read maps and holds, to tell which migrations there are, to keep a row of its own, and to tell of DDL. A map
 * holds its databases' URLs, passwords among them, so nobody else is given anything.
 */
export function grantToProxies(role: string): string {
  const to = quoteIdentifier(role);
  return [
    `GRANT USAGE ON SCHEMA colonnade TO ${to}`,
    `GRANT SELECT ON colonnade.control, colonnade.map, colonnade.leased, colonnade.hold TO ${to}`,
    `GRANT SELECT (${MIGRATION_COLUMNS_SHOWN}) ON colonnade.migration TO ${to}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON colonnade.proxy TO ${to}`,
    // A hold that nobody ends in time is ended by whoever notices.
    `GRANT UPDATE (ended_at, ended_by) ON colonnade.hold TO ${to}`,
    ...DDL_GRANTS.map((grant) => `${grant} TO ${to}`),
    refuseUngranted(role),
  ].join("; ");
}

/** Who may not grant a right is only warned, and a proxy would find out. */
function refuseUngranted(role: string): string {
  const name = quoteLiteral(role);
  return `DO $$
BEGIN
  IF NOT (pg_catalog.has_schema_privilege(${name}, 'colonnade', 'USAGE')
      AND pg_catalog.has_table_privilege(${name}, 'colonnade.map', 'SELECT')
      AND pg_catalog.has_table_privilege(${name}, 'colonnade.proxy', 'INSERT')) THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to grant rights on schema colonnade';
  END IF;
END
$$`;
}

/**
 * Begins a change that proxies have to follow: serialises with others, tells the new revision.
 * No renewal is under way meanwhile: each proxy has its row before the change, and is waited
 * for, or reads the change when it makes its row. So the transaction has to be a short one.
 */
export function raiseRevision(): string {
  return "LOCK TABLE colonnade.proxy IN SHARE MODE; UPDATE colonnade.control SET revision = revision + 1 RETURNING revision";
}

/** In the same transaction, so that nobody hears of what was rolled back. */
export function announceRevision(revision: string): string {
  return `SELECT pg_catalog.pg_notify(${quoteLiteral(CONTROL_CHANNEL)}, ${quoteLiteral(revision)})`;
}

/** The same of the revision that this very transaction has raised. */
export const ANNOUNCE_RAISED = `SELECT pg_catalog.pg_notify(${quoteLiteral(CONTROL_CHANNEL)}, revision::text) FROM colonnade.control`;
