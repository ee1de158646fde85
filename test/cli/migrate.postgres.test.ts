/** `colonnade migrate`: from two maps to planned migrations, what preflight says of them, and their end. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CommandResult, runCommand, startCommand } from "../support/command.ts";
import { ROOT } from "../tidy/sources.ts";
import { CREATE_FENCE_STATE, raiseFence } from "../../migration/fence.ts";
import { openTarget } from "../../migration/sessions.ts";
import { CREATE_TARGET_STATE } from "../../migration/target-state.ts";
import { moveDatabase } from "../migration/rig.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const DATABASES = ["main", "users0", "users1"];

/** What it shows of the commands' output is what they print here. */
const DOCUMENT = readFileSync(join(ROOT, "docs", "migrations-plan.md"), "utf8");

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-migrate-"));
  server = await startPostgres({
    databases: DATABASES,
    settings: { wal_level: "logical", max_prepared_transactions: "10" },
  });
  for (const database of ["main", "users0"])
    await server.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
  await server.query(
    "users0",
    "INSERT INTO users SELECT i, 'name' FROM generate_series(1, 1000) i; ANALYZE users",
  );
  const first = mapFile(1, "shards: 0-7, database: users0");
  expectDone(await run("control", "init"));
  expectDone(await run("map", "publish", first, "--no-wait"));
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function mapFile(version: number, ...placements: readonly string[]): string {
  const path = join(directory, `map-${version}-${placements.length}-${placements[0]?.length}.yaml`);
  writeFileSync(
    path,
    `version: ${version}
catalog: main
databases:
${DATABASES.map((name) => `  ${name}: { primary: "${server.url(name)}" }`).join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id }
    placements:
${placements.map((each) => `      - { ${each} }`).join("\n")}
`,
  );
  return path;
}

async function run(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand(...words, "--control", server.url("main"));
}

async function migrate(...words: readonly string[]): Promise<CommandResult> {
  return await run("migrate", ...words);
}

function expectDone({ code, stderr }: CommandResult): void {
  if (code !== 0) throw new Error(stderr);
}

test("what cannot be moved is refused, and nothing is stored", async () => {
  const next = mapFile(2, "shards: 0-3, database: users0", "shards: 4-7, database: users1");
  const refused = await migrate("plan", "--to", next);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain(
    "colocation users: placement users0.public would give rows up or take others while it serves",
  );
  expect((await migrate("list", "--json")).stdout).toBe("[]\n");
  const wrong = await migrate("plan", "--to", mapFile(7, "shards: 0-7, database: users0"));
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("the next one is 2")]);
});

test("another carrier than the log is refused by name, with why and what to do", async () => {
  const next = mapFile(2, "shards: 0-7, database: users1");
  const refused = async (carrier: string): Promise<string> => {
    const { code, stdout, stderr } = await migrate("plan", "--to", next, "--carrier", carrier);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    return stderr;
  };
  const doubleWrite = await refused("double-write");
  expect(doubleWrite).toContain("carrier double-write is refused, wal is the only one: proxies");
  expect(doubleWrite).toContain("Set wal_level = logical on each server");
  expect(await refused("dual-writes")).toBe(doubleWrite);
  const triggerLog = await refused("trigger-log");
  expect(triggerLog).toContain("carrier trigger-log is refused, wal is the only one: triggers");
  expect(await refused("triggers")).toBe(triggerLog);
  expect((await migrate("list", "--json")).stdout).toBe("[]\n");

  const unknown = await migrate("plan", "--to", next, "--carrier", "pigeon");
  expect([unknown.code, unknown.stderr]).toEqual([
    2,
    'colonnade: there is no carrier "pigeon": wal is the only one\n',
  ]);
  const asked = await migrate("plan", "--to", next, "--carrier", "wal", "--dry-run");
  expect(asked.code).toBe(0);
  expect(asked.stdout).toBe((await migrate("plan", "--to", next, "--dry-run")).stdout);
});

test("planned, looked at, found wanting, and given up", async () => {
  const next = mapFile(
    2,
    "shards: 0-3, database: users1",
    "shards: 4-7, database: users0, schema: late",
  );
  const dry = await migrate("plan", "--to", next, "--dry-run", "--json");
  expect(JSON.parse(dry.stdout)).toMatchObject({
    from: 1,
    to: 2,
    refusals: [],
    migrations: [
      {
        name: "split_users_users0_public",
        kind: "split",
        state: "new",
        sources: ["users0"],
        targets: ["users1", "users0"],
        tables: ["users0.public.users"],
        rows: 1000,
      },
    ],
  });
  const planned = await migrate("plan", "--to", next);
  expect(planned.code).toBe(0);
  expect(DOCUMENT).toContain(planned.stdout);
  expect((await migrate("plan", "--to", next)).stdout).toContain("planned before");
  const other = await migrate(
    "plan",
    "--to",
    mapFile(2, "shards: 0-3, database: users1", "shards: 4-7, database: users1, schema: late"),
  );
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("was planned otherwise")]);
  expect((await migrate("list")).stdout).toMatch(/split_users_users0_public +split +planned/);

  await server.query(
    "users1",
    "CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (1)",
  );
  await server.query(
    "main",
    "INSERT INTO colonnade.proxy (id, name, address, process_id, program_version, lease_ms, map_version, applied_revision, renewed_at) VALUES (gen_random_uuid(), 'gone', 'h:1', 1, '0', 1000, 1, 1, now() - interval '1 hour')",
  );
  const report = await migrate("preflight");
  await server.query("users1", "DROP TABLE users");
  await server.query("main", "DELETE FROM colonnade.proxy");
  expect(report.code).toBe(1);
  const found = /error target_not_empty: .*\n/.exec(report.stdout)?.[0] ?? "it is not found";
  expect(DOCUMENT).toContain(found);
  expect(report.stdout).toMatch(/error proxy_silent: main: proxy gone \(h:1\) has been silent for/);
  const clean = await migrate("preflight", "split_users_users0_public", "--json");
  expect(JSON.parse(clean.stdout)).toMatchObject([
    { rows: 1000, findings: [{ id: "slot_wal_unlimited" }, { id: "slot_wal_unlimited" }] },
  ]);
  expect(clean.code).toBe(0);

  const watching = startCommand(
    "migrate",
    "status",
    "split_users_users0_public",
    "--watch",
    "--control",
    server.url("main"),
  );
  await watching.untilPrinted("split_users_users0_public: planned");
  const dryCancel = await migrate("cancel", "split_users_users0_public", "--dry-run");
  expect(dryCancel.stdout).toBe("split_users_users0_public would be cancelled\n");
  expect((await migrate("cancel", "split_users_users0_public")).code).toBe(0);
  const watched = await watching.finished;
  expect([watched.code, watched.stdout]).toEqual([0, expect.stringContaining(": cancelled\n")]);
  const again = await migrate("cancel", "split_users_users0_public");
  expect([again.code, again.stdout]).toEqual([
    0,
    "split_users_users0_public is cancelled already\n",
  ]);
  const started = await migrate("start", "split_users_users0_public");
  expect([started.code, started.stderr]).toEqual([1, expect.stringContaining("plan it again")]);
  const replanned = await migrate("plan", "--to", next);
  expect(replanned.stdout).toContain("split_users_users0_public_2");
});

test("names nobody knows, and no database at all", async () => {
  const unknown = await migrate("status", "nobody");
  expect([unknown.code, unknown.stderr]).toEqual([
    2,
    expect.stringContaining('no migration "nobody"'),
  ]);
  const away = await runCommand("migrate", "list", "--control", "postgres://x@127.0.0.1:1/x");
  expect(away.code).toBe(2);
});

test("what is left behind is found, and taken away", async () => {
  await server.query("users1", "CREATE PUBLICATION colonnade_gone");
  await server.query(
    "users1",
    "SELECT pg_create_logical_replication_slot('colonnade_gone', 'pgoutput')",
  );
  await server.query(
    "users1",
    "SELECT pg_create_logical_replication_slot('colonnade_split_users_users0_public_2', 'pgoutput')",
  );
  const found = await migrate("doctor");
  expect([found.code, found.stdout]).toEqual([
    1,
    "users1: slot colonnade_gone belongs to no migration that is under way\nusers1: publication colonnade_gone belongs to no migration that is under way\n",
  ]);
  const cleaned = await migrate("doctor", "--clean");
  expect([cleaned.code, cleaned.stdout]).toEqual([
    0,
    "users1: slot colonnade_gone is removed\nusers1: publication colonnade_gone is removed\n",
  ]);
  await isCleaned();
  const { rows } = await server.query("users1", "SELECT slot_name FROM pg_replication_slots");
  expect(rows).toEqual([{ slot_name: "colonnade_split_users_users0_public_2" }]);
  await server.query(
    "users1",
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
  );
});

/** Of a migration that nobody knows: what it would have made in a database, but for slot and publication. */
async function isCleaned(): Promise<void> {
  const connection = await openTarget(moveDatabase("users1", server.url("users1")));
  await connection.query(
    "CREATE TABLE public.left_table (id int); CREATE ROLE dead_reader; GRANT SELECT ON public.left_table TO dead_reader",
  );
  await connection.query(CREATE_FENCE_STATE);
  await connection.query(CREATE_TARGET_STATE);
  const fence = {
    migration: "dead",
    side: "sources",
    tables: [{ schema: "public", name: "left_table" }],
  } as const;
  await raiseFence(connection, fence, 1, { markers: [], lockTimeoutMs: 1_000, refusesReads: true });
  await connection.query(`
INSERT INTO colonnade.move_progress (move, epoch, position) VALUES ('dead', 1, '0/1'), ('split_users_users0_public_2_b1', 1, '0/1');
CREATE TABLE colonnade.guarded_table (migration text, relid oid); INSERT INTO colonnade.guarded_table VALUES ('dead', 0);
CREATE FUNCTION colonnade.guard_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER colonnade_guard_ddl ON ddl_command_end EXECUTE FUNCTION colonnade.guard_ddl();
SELECT pg_replication_origin_create('colonnade_dead@users1'), pg_replication_origin_create('colonnade_dead@elsewhere')`);
  await connection.query(
    "CREATE SCHEMA colonnade_retired; CREATE TABLE colonnade_retired.kept (id int); CREATE TRIGGER colonnade_fence BEFORE INSERT ON colonnade_retired.kept FOR EACH STATEMENT EXECUTE FUNCTION colonnade.refuse_write('dead')",
  );
  const lines = (what: string): string =>
    [
      "origin colonnade_dead@users1",
      "fence on public.left_table",
      "revoked rights of dead",
      "guard of dead",
      "event trigger colonnade_guard_ddl",
      "progress of dead in move_progress",
    ]
      .map((each) => `users1: ${each} ${what}\n`)
      .join("");
  expect((await migrate("doctor")).stdout).toBe(lines("belongs to no migration that is under way"));
  const cleaned = await migrate("doctor", "--clean");
  expect(cleaned.stdout).toBe(lines("is removed"));
  expect((await migrate("doctor")).stdout).toBe("nothing is left behind\n");
  await connection.query("SET ROLE dead_reader; SELECT FROM public.left_table; RESET ROLE");
  await connection.query("INSERT INTO public.left_table VALUES (1); DROP TABLE public.left_table");
  await connection.query("SELECT pg_replication_origin_drop('colonnade_dead@elsewhere')");
  connection.close();
}
