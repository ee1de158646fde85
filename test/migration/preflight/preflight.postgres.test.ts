/** Every finding that a server can be brought to show, and none where there is nothing to find. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { databaseName } from "../../../base/ids.ts";
import type { Destination } from "../../../migration/move.ts";
import { FINDINGS } from "../../../migration/preflight/findings.ts";
import type { Finding, FindingId } from "../../../migration/preflight/findings.ts";
import { preflight } from "../../../migration/preflight/preflight.ts";
import {
  pairFindings,
  readServerFacts,
  serverFindings,
} from "../../../migration/preflight/servers.ts";
import { BackendConnection } from "../../../proxy/backend/backend-connection.ts";
import { parseBackendAddress } from "../../../proxy/backend/backend-address.ts";
import { parseShardMap } from "../../../shardmap/schema.ts";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";

/** A server as migrations need it, and one that lacks everything. */
let rich: TestPostgres;
let poor: TestPostgres;

/** Every id that a test of this file has seen. */
const seen = new Set<FindingId>();

beforeAll(async () => {
  [rich, poor] = await Promise.all([
    startPostgres({
      databases: ["app", "target", "other"],
      settings: {
        wal_level: "logical",
        max_prepared_transactions: "5",
        autovacuum: "off",
        autovacuum_freeze_max_age: "100000",
      },
    }),
    startPostgres({
      databases: ["poor"],
      settings: {
        wal_level: "replica",
        max_replication_slots: "0",
        max_wal_senders: "0",
        max_active_replication_origins: "0",
        max_connections: "10",
        max_slot_wal_keep_size: "1MB",
        idle_replication_slot_timeout: "1h",
      },
    }),
  ]);
  await keepWal("1GB");
  await vi.waitFor(async () => {
    const { rows } = await rich.query("app", "SHOW max_slot_wal_keep_size");
    if (rows[0]?.["max_slot_wal_keep_size"] !== "1GB") throw new Error("it is not loaded yet");
  });
  await rich.query("app", "CREATE ROLE plain LOGIN; CREATE TABLE quiet (id bigint PRIMARY KEY)");
});

afterAll(async () => {
  await Promise.all([rich.stop(), poor.stop()]);
});

interface Places {
  readonly source?: string;
  readonly target?: string;
  readonly longTransactionMs?: number;
}

const USERS = shardedBy("user_id");

function shardedBy(column: string): Destination {
  const result = parseShardMap(
    `version: 1\ncatalog: target\ndatabases: { target: { primary: "postgres://x@127.0.0.1/x" } }\ncolocations: { users: { shard_key: bigint, function: hash, logical_shards: 4, tables: {}, placements: [ { shards: 0-3, database: target, schema: fresh } ] } }`,
    "map.yaml",
  );
  const shardFunction = "map" in result ? result.map.colocations.get("users")?.function : undefined;
  if (shardFunction === undefined) throw new Error(JSON.stringify(result));
  const placement = { database: databaseName("target"), schema: "fresh" };
  return {
    kind: "sharded",
    key: [{ column, type: "bigint" }],
    function: shardFunction,
    placementByShard: [placement, placement, placement, placement],
  };
}

const GROUP: Destination = {
  kind: "one",
  placement: { database: databaseName("target"), schema: "public" },
};

async function look(
  tables: Readonly<Record<string, Destination>>,
  { source = rich.url("app"), target = rich.url("target"), longTransactionMs }: Places = {},
): Promise<readonly Finding[]> {
  const { findings } = await preflight({
    migration: {
      moves: [
        {
          name: "one",
          source: databaseName("source"),
          tables: Object.entries(tables).map(([name, destination]) => ({
            schema: "public",
            name,
            destination,
          })),
        },
      ],
    },
    addresses: new Map([
      [databaseName("source"), parseBackendAddress(source)],
      [databaseName("target"), parseBackendAddress(target)],
    ]),
    referenceTables: new Set(["countries"]),
    longTransactionMs,
  });
  for (const { id } of findings) seen.add(id);
  return findings;
}

/** `id object`, of those about the table, or about anything unless one is named. */
async function ids(...asked: Parameters<typeof look>): Promise<readonly string[]> {
  return (await look(...asked)).map(({ id, object }) => `${id} ${object}`);
}

test("nothing is found where nothing is wrong, and nothing is left behind", async () => {
  expect(await look({ quiet: GROUP })).toEqual([]);
  const { rows } = await rich.query(
    "app",
    "SELECT (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication) AS count",
  );
  expect(rows).toEqual([{ count: "0" }]);
});

test("a server that has room for nothing", async () => {
  await poor.query(
    "poor",
    "CREATE TABLE quiet (id bigint PRIMARY KEY, fill text); INSERT INTO quiet SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i",
  );
  expect(await ids({ quiet: GROUP }, { source: poor.url("poor") })).toEqual(
    expect.arrayContaining([
      "wal_level wal_level",
      "slots_exhausted max_replication_slots",
      "walsenders_exhausted max_wal_senders",
      "origins_exhausted max_active_replication_origins",
      "connections_exhausted max_connections",
      "slot_wal_small max_slot_wal_keep_size",
      "idle_slot_timeout idle_replication_slot_timeout",
    ]),
  );
});

test("a server whose slots may keep WAL until the disk is full", async () => {
  await keepWal("-1");
  await expect
    .poll(async () => await ids({ quiet: GROUP }))
    .toContain("slot_wal_unlimited max_slot_wal_keep_size");
  await keepWal("1GB");
  await expect.poll(async () => await ids({ quiet: GROUP })).toEqual([]);
});

async function keepWal(size: string): Promise<void> {
  await rich.query("app", `ALTER SYSTEM SET max_slot_wal_keep_size = '${size}'`);
  await rich.query("app", "SELECT pg_reload_conf()");
}

test("a server that is away", async () => {
  expect(await ids({ quiet: GROUP }, { target: "postgres://x@127.0.0.1:1/x" })).toEqual([
    "server_away server",
  ]);
});

test("a role that may do nothing", async () => {
  await rich.query("app", "ALTER TABLE quiet ENABLE ROW LEVEL SECURITY");
  const found = await ids({ quiet: GROUP }, { source: rich.url("app", "plain") });
  await rich.query("app", "ALTER TABLE quiet DISABLE ROW LEVEL SECURITY");
  for (const id of [
    "no_replication_right",
    "no_replica_role",
    "no_origin_right",
    "no_create_right",
    "ddl_not_guarded",
  ])
    expect(found).toContain(`${id} role plain`);
  expect(found).toContain("row_security public.quiet");
  expect(found).toContain("not_owner public.quiet");
});

test.each<readonly [FindingId, string, Destination]>([
  ["table_missing", "", GROUP],
  ["not_a_table", "CREATE VIEW t AS SELECT 1 AS id", GROUP],
  ["unlogged", "CREATE UNLOGGED TABLE t (id int PRIMARY KEY)", GROUP],
  ["no_identity", "CREATE TABLE t (id int)", GROUP],
  [
    "identity_nothing",
    "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING",
    GROUP,
  ],
  [
    "identity_full",
    "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY FULL",
    GROUP,
  ],
  ["identity_without_key", "CREATE TABLE t (id int PRIMARY KEY, user_id bigint)", USERS],
  ["large_objects", "CREATE DOMAIN lo AS oid; CREATE TABLE t (id int PRIMARY KEY, o lo)", GROUP],
  ["inherited", "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child () INHERITS (t)", GROUP],
  [
    "trigger_in_replica",
    "CREATE TABLE t (id int PRIMARY KEY); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER g",
    GROUP,
  ],
  [
    "exclusion_constraint",
    "CREATE TABLE t (user_id bigint PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))",
    USERS,
  ],
  [
    "foreign_key_cut",
    "CREATE TABLE elsewhere (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY REFERENCES elsewhere)",
    GROUP,
  ],
  [
    "foreign_key_cut",
    "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE elsewhere (id int PRIMARY KEY REFERENCES t)",
    GROUP,
  ],
])("a table with %s", async (id, sql, destination) => {
  await rich.query("app", "CREATE SCHEMA IF NOT EXISTS public");
  await rich.query("app", sql === "" ? "SELECT" : sql);
  const found = await ids({ t: destination });
  await rich.query("app", "DROP SCHEMA public CASCADE");
  await rich.query("app", "CREATE SCHEMA public; CREATE TABLE quiet (id bigint PRIMARY KEY)");
  expect(found).toContain(`${id} public.t${id === "large_objects" ? ".o" : ""}`);
});

test("foreign keys to reference tables, and between tables that move together, are none", async () => {
  await rich.query(
    "app",
    "CREATE TABLE countries (id int PRIMARY KEY); CREATE TABLE one (id int PRIMARY KEY REFERENCES countries); CREATE TABLE two (id int PRIMARY KEY REFERENCES one)",
  );
  expect(await look({ one: GROUP, two: GROUP })).toEqual([]);
  await rich.query("app", "DROP TABLE two, one, countries");
});

test("rows where rows are to go", async () => {
  await rich.query("target", "CREATE TABLE quiet (id bigint); INSERT INTO quiet VALUES (1)");
  expect(await ids({ quiet: GROUP })).toEqual(["target_not_empty public.quiet"]);
  await rich.query("target", "DROP TABLE quiet");
});

test("rows of tables of two shapes in one", async () => {
  await rich.query(
    "app",
    "CREATE SCHEMA north; CREATE SCHEMA south; CREATE TABLE north.clients (user_id bigint PRIMARY KEY, name text); CREATE TABLE south.clients (name varchar(9), user_id bigint PRIMARY KEY)",
  );
  const home = USERS.kind === "sharded" ? USERS : undefined;
  const tables = ["north", "south"].map((schema) => ({
    schema,
    name: "clients",
    destination: USERS,
    home,
  }));
  const { findings } = await preflight({
    migration: { moves: [{ name: "one", source: databaseName("source"), tables }] },
    addresses: new Map([
      [databaseName("source"), parseBackendAddress(rich.url("app"))],
      [databaseName("target"), parseBackendAddress(rich.url("target"))],
    ]),
    referenceTables: new Set(),
  });
  for (const { id } of findings) seen.add(id);
  expect(findings).toMatchObject([
    {
      id: "sources_differ",
      object: "south.clients",
      message: expect.stringContaining("is (name character varying(9), user_id bigint not null"),
    },
  ]);
  await rich.query("app", "DROP SCHEMA north, south CASCADE");
});

test("databases that write texts otherwise, or lack an extension", async () => {
  await rich.query(
    "postgres",
    "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
  );
  await rich.query(
    "postgres",
    "CREATE DATABASE builtin LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' TEMPLATE template0",
  );
  await rich.query("app", "CREATE TABLE named (name text PRIMARY KEY)");
  expect(await ids({ named: GROUP }, { target: rich.url("ascii") })).toContain(
    "encoding_differs encoding",
  );
  expect(await ids({ named: GROUP }, { target: rich.url("builtin") })).toEqual([
    "collation_differs default collation",
  ]);
  expect(await ids({ quiet: GROUP }, { target: rich.url("builtin") })).toEqual([
    "collation_differs default collation",
  ]);
  await rich.query(
    "app",
    "CREATE EXTENSION citext; CREATE TABLE mixed (id bigint PRIMARY KEY, names citext[])",
  );
  expect(await ids({ mixed: GROUP })).toEqual(["extension_missing extension citext"]);
  await rich.query("app", "DROP TABLE mixed, named; DROP EXTENSION citext");
});

test("somebody else's transactions and sessions", async () => {
  const open = await rich.connect("app");
  const direct = await rich.connect("app", { user: "plain", application_name: "cron" });
  await open.query("BEGIN; SELECT pg_current_xact_id()");
  await rich.query("app", "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'left behind'");
  const found = await look({ quiet: GROUP }, { longTransactionMs: 0 });
  await rich.query("app", "ROLLBACK PREPARED 'left behind'");
  await Promise.all([open.end(), direct.end()]);
  expect(found.map(({ id, object }) => `${id} ${object.replace(/\d+/, "N")}`)).toEqual([
    "prepared_transaction transaction 'left behind'",
    "long_transaction process N",
    "other_sessions role plain",
  ]);
  expect(found[2]?.message).toBe("has 1 sessions (cron), which may go past the proxy");
});

test("a table that a subscription writes to", async () => {
  await rich.query("other", "CREATE TABLE quiet (id bigint PRIMARY KEY)");
  await rich.query("other", "CREATE PUBLICATION p FOR TABLE quiet");
  await rich.query("other", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
  await rich.query(
    "app",
    `CREATE SUBSCRIPTION s CONNECTION '${rich.url("other")}' PUBLICATION p WITH (create_slot = false, enabled = false, copy_data = false)`,
  );
  const found = await ids({ quiet: GROUP });
  await rich.query("app", "ALTER SUBSCRIPTION s SET (slot_name = NONE)");
  await rich.query("app", "DROP SUBSCRIPTION s");
  await rich.query("other", "SELECT pg_drop_replication_slot('s')");
  expect(found).toContain("subscribed public.quiet");
});

test("a table that autovacuum will soon freeze by force", async () => {
  // A block that writes and has a handler is a transaction with a number of its own.
  await rich.query(
    "app",
    "CREATE TABLE scratch (id int); DO $$ BEGIN FOR i IN 1..95000 LOOP BEGIN INSERT INTO scratch VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$",
  );
  expect(await ids({ quiet: GROUP })).toContain("wraparound_near public.quiet");
});

test("versions, by what a server of another one would say of itself", async () => {
  const connection = await BackendConnection.open(parseBackendAddress(rich.url("app")), {
    database: databaseName("source"),
    connectTimeoutMs: 5_000,
  });
  const facts = await readServerFacts(connection);
  const of = async (version: number): Promise<readonly FindingId[]> =>
    (
      await serverFindings(
        connection,
        { ...facts, version },
        { slots: 1, origins: 1, movedBytes: 0 },
      )
    ).map(({ id }) => id);
  expect(await of(140018)).toEqual(["version_too_old"]);
  expect(await of(170004)).toEqual(["minor_version"]);
  expect(await of(170005)).toEqual([]);
  connection.close();
  const older = { ...facts, database: databaseName("target"), version: 150013 };
  expect(pairFindings(facts, older).map(({ id }) => id)).toEqual(["target_older"]);
  const otherLibrary = { ...facts, collationVersion: "153.120" };
  const differing = pairFindings(facts, otherLibrary).map(({ id }) => id);
  expect(differing).toEqual(["collation_version_differs"]);
  for (const id of ["version_too_old", "minor_version", "target_older", ...differing] as const)
    seen.add(id);
});

test("of all findings, these alone are not provoked here", () => {
  expect(Object.keys(FINDINGS).filter((id) => !seen.has(id as FindingId))).toEqual([
    // A standby, and a pooler between, are brought up by no test of this file.
    "is_standby",
    "pooled_connection",
    // Of the fleet, and found by the command: see migrate.postgres.test.ts.
    "proxy_silent",
  ]);
});
