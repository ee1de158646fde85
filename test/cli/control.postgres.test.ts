/** Who may use the control schema, and what those are told who may not. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const ROLES = ["dba", "second", "fleet", "stranger", "app"];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-control-"));
  server = await startPostgres({
    databases: ["main", "users0"],
    settings: { max_prepared_transactions: "10" },
  });
  for (const database of ["main", "users0"])
    await server.query(database, "CREATE TABLE users (id bigint PRIMARY KEY)");
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  await server.query("main", ROLES.map((role) => `CREATE ROLE ${role} LOGIN`).join(";"));
});

afterEach(async () => {
  await server.query("main", "DROP SCHEMA IF EXISTS colonnade CASCADE");
  for (const database of ["main", "users0"])
    await server.query(database, `DROP OWNED BY ${ROLES.join(", ")}`);
  await server.query("main", `DROP ROLE ${ROLES.join(", ")}`);
});

function urlOf(role: string, database = "main"): string {
  return server.url(database).replace("postgres@", `${role}@`);
}

async function as(role: string, ...words: readonly string[]): Promise<CommandResult> {
  return await runCommand(...words, "--control", urlOf(role));
}

function mapFile(version: number): string {
  const path = join(directory, `map-${version}.yaml`);
  writeFileSync(
    path,
    `version: ${version}
catalog: main
databases:
  main: { primary: "${urlOf("app")}" }
  users0: { primary: "${urlOf("app", "users0")}" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 4
    tables: { users: id }
    placements: [{ shards: 0-3, database: users0 }]
`,
  );
  return path;
}

/** What docs/fleet.md gives to paste for the roles of a fleet. */
async function grantToTheDba(): Promise<void> {
  await server.query("main", "GRANT CREATE ON DATABASE main TO dba");
  for (const database of ["main", "users0"])
    await server.query(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO app");
}

test("a database administrator who is no superuser makes the schema, publishes, rolls back and lets others", async () => {
  await grantToTheDba();
  expect(await as("dba", "control", "init", "--proxy-role", "fleet")).toMatchObject({ code: 0 });
  expect(await as("dba", "map", "publish", mapFile(1))).toMatchObject({ code: 0, stderr: "" });
  const refused = await as("second", "map", "publish", mapFile(2));
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain(
    `permission denied for schema colonnade. It is dba's: use that role in --control, or make this one its member: GRANT dba TO "second".`,
  );
  await server.query("main", `GRANT dba TO "second"`);
  expect(await as("second", "map", "publish", mapFile(2))).toMatchObject({ code: 0 });
  expect(await as("second", "map", "rollback", "1")).toMatchObject({ code: 0 });
  expect((await as("fleet", "control", "status")).stdout).toContain("shard map version 3");
  expect((await as("fleet", "map", "history")).code).toBe(0);
});

test("who may not read it is told how it may", async () => {
  await grantToTheDba();
  await as("dba", "control", "init");
  for (const words of [["control", "status"], ["map", "history"], ["map", "show"], ["serve"]]) {
    const refused = await as("stranger", ...words);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain(
      `permission denied for schema colonnade. Let the role read it, as dba, whose it is: colonnade control init --proxy-role "stranger" --control URL.`,
    );
    expect(refused.stderr).not.toContain("..");
  }
  expect((await as("dba", "control", "init", "--proxy-role", "stranger")).code).toBe(0);
  expect((await as("stranger", "control", "status")).code).toBe(0);
});

test("who may not make it is told what to grant, and may then", async () => {
  const refused = await as("dba", "control", "init");
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain('GRANT CREATE ON DATABASE "main" TO "dba"');
  // Made by somebody else, for the records of transactions.
  await server.query("main", "CREATE SCHEMA colonnade");
  const within = await as("dba", "control", "init");
  expect(within.stderr).toContain('GRANT USAGE, CREATE ON SCHEMA colonnade TO "dba"');
  await server.query("main", 'GRANT USAGE, CREATE ON SCHEMA colonnade TO "dba"');
  expect(await as("dba", "control", "init")).toMatchObject({ code: 0 });
});

test("of what a superuser has made nobody has to become one to publish", async () => {
  await grantToTheDba();
  await as("postgres", "control", "init");
  const path = mapFile(1);
  const refused = await as("dba", "map", "publish", path);
  expect(refused.stderr).toContain("It is postgres's");
  expect(refused.stderr).not.toContain("GRANT postgres");
  const [, grants] = /let this one publish: (GRANT .*)\.\n/.exec(refused.stderr) ?? [];
  await server.query("main", grants ?? "");
  expect(await as("dba", "map", "publish", path)).toMatchObject({ code: 0 });
});

test("a URL of --control that leads nowhere is told as that, and not as a map's", async () => {
  const cases = [
    [urlOf("ghost"), "control status", 'role "ghost" does not exist', "Correct the user, password"],
    [urlOf("dba", "none"), "map show", 'database "none" does not exist', "Correct the user, pass"],
    ["postgres://dba@127.0.0.1:1/main", "serve", "ECONNREFUSED", "Check that --control names a"],
  ] as const;
  for (const [url, words, reason, remedy] of cases) {
    const refused = await runCommand(...words.split(" "), "--control", url);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain(reason);
    expect(refused.stderr).toContain(remedy);
    expect(refused.stderr).not.toMatch(/shard map, or|\.\./);
  }
  const ghost = await as("postgres", "control", "init", "--proxy-role", "ghost");
  expect(ghost.stderr).toContain('role "ghost" does not exist. Create the role first');
});

test("a file that --map names beside --control is there and has no mistakes, or nothing starts", async () => {
  await grantToTheDba();
  await as("dba", "control", "init");
  expect((await as("dba", "map", "publish", mapFile(1))).code).toBe(0);
  const missing = await as("dba", "serve", "--map", join(directory, "none.yaml"));
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.stderr).toContain("none.yaml: there is no such file");
  const broken = join(directory, "broken.yaml");
  writeFileSync(broken, "version: one\n");
  const mistaken = await as("dba", "serve", "--map", broken);
  expect(mistaken).toMatchObject({ code: 2 });
  expect(mistaken.stderr).toContain("broken.yaml:1:10");
});

test("a proxy that is silent is shown with what to do about it", async () => {
  await as("postgres", "control", "init");
  const id = "3b8e2f60-0000-4000-8000-000000000001";
  await server.query(
    "main",
    `INSERT INTO colonnade.proxy (id, name, address, process_id, program_version, renewed_at, lease_ms, map_version, applied_revision)
     VALUES ('${id}', 'gone', '127.0.0.1:6432', 7, '1', now() - interval '1 minute', 30000, 1, 0)`,
  );
  const { stdout } = await as("postgres", "control", "status");
  expect(stdout).toContain("(dead?)");
  expect(stdout).toContain("is forgotten after 24 hours");
  const [sql] = /DELETE FROM colonnade\.proxy .*;/.exec(stdout) ?? [];
  await server.query("main", sql ?? "");
  expect((await as("postgres", "control", "status")).stdout).toContain("no proxy follows it");
});
