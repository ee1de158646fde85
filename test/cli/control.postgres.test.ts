/** Who may use the control schema, and what those are told who may not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { packageFile } from "../../cli/package-root.ts";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const ROLES = ["owner", "second", "proxies", "stranger", "app"];

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

async function grantToTheOwner(): Promise<void> {
  await server.query("main", "GRANT CREATE ON DATABASE main TO owner");
  for (const database of ["main", "users0"])
    await server.query(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO app");
}

test("a database administrator who is no superuser makes the schema, publishes, rolls back and lets others", async () => {
  await grantToTheOwner();
  expect(await as("owner", "control", "init", "--proxy-role", "proxies")).toMatchObject({
    code: 0,
  });
  expect(await as("owner", "map", "publish", mapFile(1))).toMatchObject({ code: 0, stderr: "" });
  const refused = await as("second", "map", "publish", mapFile(2));
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain(
    `permission denied for schema colonnade. It is owner's: use that role in --control, or make this one its member: GRANT owner TO "second".`,
  );
  await server.query("main", `GRANT owner TO "second"`);
  const unchanged = await as("second", "map", "publish", mapFile(2));
  expect(unchanged).toMatchObject({ code: 0 });
  expect(unchanged.stdout).toContain("  nothing that matters to a proxy changes\n");
  expect(await as("second", "map", "rollback", "1")).toMatchObject({ code: 0 });
  expect((await as("proxies", "control", "status")).stdout).toContain("shard map version 3");
  const history = await as("proxies", "map", "history", "--json");
  expect(JSON.parse(history.stdout)).toMatchObject({
    maps: [
      {
        version: 3,
        publishedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        changes: ["rollback to version 1"],
      },
      { version: 2 },
      { version: 1 },
    ],
  });
});

test("the statements of docs/fleet.md make a fleet's roles, in their order", async () => {
  const page = readFileSync(packageFile("docs/fleet.md"), "utf8");
  const [ofCatalog, ofEach] = [...page.matchAll(/```sql\n(.*?)```/gs)].map(([, sql]) => sql ?? "");
  const [, ofAnother] = /`(GRANT dba TO ada;)`/.exec(page) ?? [];
  for (const database of ["main", "users0"])
    await server.query(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO app");
  await server.query("main", `CREATE ROLE ada LOGIN; ${ofCatalog}`);
  try {
    for (const database of ["main", "users0"]) await server.query(database, ofEach ?? "");
    const init = await as("dba", "control", "init", "--proxy-role", "fleet");
    expect(init).toMatchObject({ code: 0, stderr: "" });
    const first = await as("dba", "map", "publish", mapFile(1));
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).not.toContain("may not keep the record");
    await server.query("main", ofAnother ?? "");
    expect(await as("ada", "map", "publish", mapFile(2))).toMatchObject({ code: 0 });
    expect((await as("fleet", "control", "status")).stdout).toContain("shard map version 2");
    expect((await as("app", "map", "show")).code).toBe(2);
  } finally {
    await server.query("main", "DROP SCHEMA IF EXISTS colonnade CASCADE; DROP OWNED BY dba, fleet");
    await server.query("users0", "DROP SCHEMA IF EXISTS colonnade CASCADE");
    await server.query("main", "DROP ROLE dba, fleet, ada");
  }
});

test("what a member of its owner makes and upgrades is the owner's", async () => {
  await server.query(
    "main",
    `CREATE SCHEMA colonnade AUTHORIZATION owner; GRANT owner TO "second"`,
  );
  expect(await as("second", "control", "init", "--proxy-role", "proxies")).toMatchObject({
    code: 0,
    stderr: "",
  });
  expect((await as("owner", "control", "status")).code).toBe(0);
  await server.query("main", "DROP TABLE colonnade.ddl");
  await server.query("main", "UPDATE colonnade.control SET schema_version = 4");
  expect(await as("postgres", "control", "upgrade")).toMatchObject({ code: 0, stderr: "" });
  const { rows } = await server.query(
    "main",
    "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'colonnade'::regnamespace",
  );
  expect(rows).toEqual([{ relowner: "owner" }]);
  expect((await as("proxies", "control", "status")).code).toBe(0);
});

test("in a schema that keeps records for clients, a superuser's tables are not their role's", async () => {
  await server.query(
    "main",
    `CREATE SCHEMA colonnade AUTHORIZATION app; CREATE TABLE colonnade.commit_record ();
     ALTER TABLE colonnade.commit_record OWNER TO app`,
  );
  expect(await as("postgres", "control", "init")).toMatchObject({ code: 0, stderr: "" });
  expect((await as("app", "map", "history")).code).toBe(2);
});

test("a member that may not act as the owner makes nothing, and is told whom to be", async () => {
  await server.query(
    "main",
    `CREATE SCHEMA colonnade AUTHORIZATION owner; GRANT owner TO "second" WITH SET FALSE`,
  );
  const refused = await as("second", "control", "init");
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain(
    `permission denied to set role "owner". Its schema is there, and is owner's, and this role may not act as it (SET ROLE): use that role in --control.`,
  );
});

test("who cannot become a member of the owner is told of rights instead", async () => {
  await grantToTheOwner();
  await server.query("main", `GRANT owner TO "second"`);
  // The schema is the second's: it was not there, and the right to make it was inherited.
  expect((await as("second", "control", "init")).code).toBe(0);
  const path = mapFile(1);
  const refused = await as("owner", "map", "publish", path);
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).not.toContain("GRANT second");
  const [, grants] = /let this one publish: (GRANT .*)\.\n/.exec(refused.stderr) ?? [];
  await server.query("main", grants ?? "");
  expect(await as("owner", "map", "publish", path)).toMatchObject({ code: 0 });
});

test("proxies have a role of their own: neither the owner's nor one of the map's URLs", async () => {
  await grantToTheOwner();
  await server.query("main", `GRANT owner TO "second"`);
  for (const role of ["owner", "second", "postgres"]) {
    const refused = await as("owner", "control", "init", "--proxy-role", role);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain(
      `--proxy-role: "${role}" has all rights of "owner", whose the control schema is`,
    );
  }
  expect((await server.query("main", "SELECT to_regnamespace('colonnade')")).rows).toEqual([
    { to_regnamespace: null },
  ]);
  expect((await as("owner", "control", "init")).code).toBe(0);
  await as("owner", "map", "publish", mapFile(1));
  const app = await as("owner", "control", "init", "--proxy-role", "app");
  expect(app).toMatchObject({ code: 2 });
  expect(app.stderr).toContain(`--proxy-role: "app" is the role of a database's URL`);
  expect((await as("app", "map", "show")).code).toBe(2);
  // Who is in the wrong here is --control, whatever --proxy-role names.
  const wrong = await as("stranger", "control", "init", "--proxy-role", "stranger");
  expect(wrong).toMatchObject({ code: 2 });
  expect(wrong.stderr).toContain("It is owner's: use that role in --control");
  // Before the first map, its records tell.
  await server.query(
    "main",
    "CREATE TABLE colonnade.commit_record (); ALTER TABLE colonnade.commit_record OWNER TO stranger",
  );
  const records = await as("owner", "control", "init", "--proxy-role", "stranger");
  expect(records.stderr).toContain(`--proxy-role: "stranger" is the role of a database's URL`);
});

test("a role of the map's URLs that may read maps is told of by publish", async () => {
  await grantToTheOwner();
  // No map tells yet whose URLs it is in.
  expect((await as("owner", "control", "init", "--proxy-role", "app")).code).toBe(0);
  expect((await as("owner", "map", "publish", mapFile(1))).stdout).toContain(
    `warning: clients' statements run as role "app", which may read published maps, and the passwords in them: give the proxies a role of their own`,
  );
});

test("who may not read it is told how it may", async () => {
  await grantToTheOwner();
  await as("owner", "control", "init");
  const all = await Promise.all(
    [["control", "status"], ["map", "show"], ["serve"]].map((words) => as("stranger", ...words)),
  );
  for (const refused of all) {
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain(
      `permission denied for schema colonnade. Let the role read it, as owner, whose it is: colonnade control init --proxy-role "stranger" --control URL.`,
    );
    expect(refused.stderr).toContain("name another one in --control instead.");
    expect(refused.stderr).not.toContain("..");
  }
  expect((await as("owner", "control", "init", "--proxy-role", "stranger")).code).toBe(0);
  expect((await as("stranger", "control", "status")).code).toBe(0);
});

test("who may not make it is told what to grant, and may then", async () => {
  const refused = await as("owner", "control", "init");
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain('GRANT CREATE ON DATABASE "main" TO "owner"');
  // Made by somebody else, for the records of transactions.
  await server.query("main", "CREATE SCHEMA colonnade");
  const init = ["control", "init", "--proxy-role", "proxies"];
  const without = await as("owner", ...init);
  expect(without.stderr).toContain('ALTER SCHEMA colonnade OWNER TO "owner"');
  expect(without.stderr).toContain("where this is not the catalog database, correct --control.");
  // What may be done with the schema is not yet what may be granted to proxies.
  await server.query("main", "GRANT USAGE, CREATE ON SCHEMA colonnade TO owner");
  const ungranted = await as("owner", ...init);
  expect(ungranted).toMatchObject({ code: 2 });
  expect(ungranted.stderr).toContain("permission denied to grant rights on schema colonnade");
  expect(ungranted.stderr).toContain('ALTER SCHEMA colonnade OWNER TO "owner"');
  await server.query("main", "ALTER SCHEMA colonnade OWNER TO owner");
  expect(await as("owner", ...init)).toMatchObject({ code: 0 });
  expect((await as("proxies", "control", "status")).code).toBe(0);
});

test("of what a superuser has made nobody has to become one to publish", async () => {
  await grantToTheOwner();
  await as("postgres", "control", "init");
  const path = mapFile(1);
  const refused = await as("owner", "map", "publish", path);
  expect(refused.stderr).toContain("It is postgres's");
  expect(refused.stderr).not.toContain("GRANT postgres");
  const [, grants] = /let this one publish: (GRANT .*)\.\n/.exec(refused.stderr) ?? [];
  await server.query("main", grants ?? "");
  expect(await as("owner", "map", "publish", path)).toMatchObject({ code: 0 });
});

test("a URL of --control that leads nowhere is told as that, and not as a map's", async () => {
  const cases = [
    [urlOf("ghost"), "control status", 'role "ghost" does not exist', "Correct the user, password"],
    [
      urlOf("owner", "none"),
      "map show",
      'database "none" does not exist',
      "Correct the user, pass",
    ],
    ["postgres://owner@127.0.0.1:1/main", "serve", "ECONNREFUSED", "Check that --control names a"],
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
  await grantToTheOwner();
  await as("owner", "control", "init");
  expect((await as("owner", "map", "publish", mapFile(1))).code).toBe(0);
  const missing = await as("owner", "serve", "--map", join(directory, "none.yaml"));
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.stderr).toContain("none.yaml: there is no such file");
  const broken = join(directory, "broken.yaml");
  writeFileSync(broken, "version: one\n");
  const mistaken = await as("owner", "serve", "--map", broken);
  expect(mistaken).toMatchObject({ code: 2 });
  expect(mistaken.stderr).toContain("broken.yaml:1:10");
});

test("a proxy that is silent is shown with what to do about it", async () => {
  await grantToTheOwner();
  await as("postgres", "control", "init");
  const id = "3b8e2f60-0000-4000-8000-000000000001";
  await server.query(
    "main",
    `INSERT INTO colonnade.proxy (id, name, address, process_id, program_version, renewed_at, lease_ms, map_version, applied_revision)
     VALUES ('${id}', 'gone', '127.0.0.1:6432', 7, '1', now() - interval '1 minute', 30000, 1, 0)`,
  );
  const { stdout } = await as("postgres", "control", "status");
  expect(stdout).toContain("(dead?)");
  expect(stdout).toMatch(/ silent +6\d\.\d s \(dead\?\)/);
  expect(stdout).toContain("is forgotten after 24 hours");
  const published = await as("postgres", "map", "publish", mapFile(1));
  expect(published).toMatchObject({ code: 0 });
  expect(published.stdout).toMatch(
    /^gone \(127\.0\.0\.1:6432\) has been silent for 6\d s and was not waited for: it may be serving the old map$/m,
  );
  const again = await as("postgres", "map", "publish", mapFile(2), "--json");
  expect(JSON.parse(again.stdout)).toMatchObject({
    proxies: [{ name: "gone", follows: false, isAwaited: false, silentMs: expect.any(Number) }],
  });
  const [sql] = /DELETE FROM colonnade\.proxy .*;/.exec(stdout) ?? [];
  await server.query("main", sql ?? "");
  expect((await as("postgres", "control", "status")).stdout).toContain("no proxy follows it");
});

// hold_taken
test("a hold that another one stands in the way of ends as a cutover that is called off", async () => {
  await grantToTheOwner();
  await as("owner", "control", "init");
  await as("owner", "map", "publish", mapFile(1));
  await server.query(
    "main",
    `INSERT INTO colonnade.hold (name, attempt, placements, requested_by, deadline)
     VALUES ('other', 1, '{users0.public}', 'ada', now() + interval '1 minute')`,
  );
  const taken = await as("owner", "hold", "--placements", "users0.public", "--for", "100");
  expect(taken).toMatchObject({ code: 1 });
  expect(taken.stderr).toContain("Wait until it is over: a hold ends by itself at its deadline.\n");
  const { rows } = await server.query("main", "SELECT * FROM colonnade.leased");
  expect(rows).toEqual([]);
});
