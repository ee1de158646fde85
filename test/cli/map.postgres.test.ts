/** `colonnade control` and `colonnade map`: what is published, what is not, and why. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CONTROL_SCHEMA_VERSION } from "../../control/control-schema.ts";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const DATABASES = ["main", "users0", "users1"];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-map-"));
  server = await startPostgres({
    databases: [...DATABASES, "elsewhere"],
    settings: { max_prepared_transactions: "10" },
  });
  for (const database of [...DATABASES, "elsewhere"])
    await server.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  await server.query("main", "DROP SCHEMA IF EXISTS colonnade CASCADE");
});

interface MapParts {
  readonly version: number;
  readonly placements?: string;
  readonly databases?: Readonly<Record<string, string>>;
  readonly tables?: string;
}

const PLACEMENTS =
  "      - { shards: 0-3, database: users0 }\n      - { shards: 4-7, database: users1 }";
const COMMENT = "# nobody touches this but the on-call DBA";

function mapFile({
  version,
  placements = PLACEMENTS,
  databases,
  tables = "users: id",
}: MapParts): string {
  const named = databases ?? Object.fromEntries(DATABASES.map((name) => [name, server.url(name)]));
  const path = join(directory, `map-${version}.yaml`);
  writeFileSync(
    path,
    `${COMMENT}
version: ${version}   # counts up
catalog: main
databases:
${Object.entries(named)
  .map(([name, url]) => `  ${name}: { primary: "${url}" }`)
  .join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { ${tables} }
    placements:
${placements}
`,
  );
  return path;
}

function control(): readonly string[] {
  return ["--control", server.url("main")];
}

async function run(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand(...words, ...control());
}

async function initialized(): Promise<void> {
  expect(await run("control", "init")).toMatchObject({ code: 0 });
}

test("the control schema is made once, and says so", async () => {
  expect(await run("control", "status")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("make it with colonnade control init"),
  });
  expect((await run("control", "upgrade")).code).toBe(1);
  expect((await run("control", "init")).stdout).toBe(
    `the control schema is of version ${CONTROL_SCHEMA_VERSION}\n`,
  );
  expect((await run("control", "init")).stdout).toContain(
    `of version ${CONTROL_SCHEMA_VERSION} already`,
  );
  expect((await run("control", "status")).stdout).toBe(
    `control schema version ${CONTROL_SCHEMA_VERSION}, shard map not published yet\nno proxy follows it\n`,
  );
});

test("several who make it at once make one", async () => {
  const made = await Promise.all([1, 2, 3].map(() => run("control", "init")));
  expect(made.map(({ code }) => code)).toEqual([0, 0, 0]);
});

test("a role of proxies may read maps and write nothing but its row", async () => {
  await server.query("main", "DROP ROLE IF EXISTS proxies; CREATE ROLE proxies LOGIN");
  expect((await run("control", "init", "--proxy-role", "proxies")).code).toBe(0);
  const client = await server.connect("main", { user: "proxies" });
  try {
    await client.query("SELECT * FROM colonnade.map; SELECT * FROM colonnade.control");
    await client.query("SELECT name, kind, state, parties FROM colonnade.migration");
    for (const sql of [
      "SELECT plan FROM colonnade.migration",
      "UPDATE colonnade.control SET map_version = NULL",
      "UPDATE colonnade.ddl SET transaction = '1'",
      "INSERT INTO colonnade.map VALUES (1, '', '', now(), '[]', '{}')",
      "CREATE TABLE colonnade.mine (id int)",
    ])
      await expect(client.query(sql)).rejects.toMatchObject({ code: "42501" });
  } finally {
    await client.end();
    await server.query("main", "DROP SCHEMA colonnade CASCADE; DROP ROLE proxies");
  }
});

test("a map is published, shown as it was written, and listed with what it changed", async () => {
  await initialized();
  const published = await run("map", "publish", mapFile({ version: 3 }), "--author", "ada");
  expect(published).toMatchObject({ code: 0, stderr: "" });
  // What check --live warns of is no secret of its.
  expect(published.stdout).toMatch(
    /^version 3 of the shard map is published\nwarning: main: public\.users: has no guard, .*\nwarning: users0: public\.users: has no guard, .*\nwarning: users1: public\.users: has no guard, .*\n$/,
  );
  await run("map", "publish", mapFile({ version: 4, tables: "users: id, orders: user_id" }));
  const shown = await run("map", "show", "3");
  expect(shown.stdout).toContain(`${COMMENT}\nversion: 3   # counts up\n`);
  const { stdout } = await run("map", "history");
  expect(stdout).toMatch(
    /^version 4, \d{4}-\d\d-\d\d .* UTC, by \S+ \(in force\)\n {2}table orders is listed in colocation users by user_id\nversion 3, .* by ada\n$/,
  );
});

test("an older version comes back under the next number, its comments with it", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  await run("map", "publish", mapFile({ version: 2, tables: "users: id, orders: user_id" }));
  expect((await run("map", "rollback", "2")).stderr).toContain(
    "version 2 of the shard map is in force",
  );
  await server.query("main", "CREATE TABLE orders (user_id bigint)");
  try {
    // The table that it lists no longer would be looked for in the catalog database.
    const refused = await run("map", "rollback", "1");
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain(
      "table orders is no longer listed in colocation users by user_id: its rows would be looked for in the catalog database. Keep it listed, or DROP TABLE it through a proxy first\n",
    );
  } finally {
    await server.query("main", "DROP TABLE orders");
  }
  // The catalog database does not have it any more, past the proxies; where its rows are, it is.
  await server.query("users1", "CREATE TABLE orders (user_id bigint)");
  try {
    const refused = await run("map", "rollback", "1");
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain(
      'table "orders" is no longer listed, and is gone from the catalog database alone: its rows are in users1.public still. Drop it there, too, or keep it listed\n',
    );
  } finally {
    await server.query("users1", "DROP TABLE orders");
  }
  // It is nowhere now, and so are its rows.
  expect(await run("map", "rollback", "1")).toMatchObject({ code: 0 });
  const stricter = mapFile({ version: 4 });
  appendFileSync(stricter, "unlisted_tables: error\n");
  await server.query("main", "CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)");
  const dark = "tables that have rows, and that no map lists: notes. List them in a group";
  expect((await run("map", "publish", stricter)).stderr).toContain(dark);
  await server.query("main", "TRUNCATE notes");
  const warned = await run("map", "publish", stricter);
  await server.query("main", "DROP TABLE notes");
  expect(warned.stdout).toContain("unlisted_tables is error from now on, and these are there: ");
  const { stdout } = await run("map", "show", "3");
  expect(stdout).toContain(`${COMMENT}\nversion: 3   # counts up\n`);
  expect(stdout).not.toContain("orders");
  expect((await run("map", "rollback", "9")).stderr).toContain("no shard map of version 9");
});

test("a version that is not the next is refused, and told what the next is", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  expect((await run("map", "publish", mapFile({ version: 3 }))).stderr).toContain(
    "the next one is 2: write version: 2 in it\n",
  );
  const again = await run("map", "publish", mapFile({ version: 1 }), "--json");
  expect(again).toMatchObject({ code: 1 });
  expect(again.stderr).toMatch(
    /version 1 was published by \S+ on \S+ \S+ UTC\. Put your change on top of it \(colonnade map show 1 --control URL\), write version: 2 in it/,
  );
});

test("of several who publish the same version at once, one does", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  const path = mapFile({ version: 2, tables: "users: id, orders: user_id" });
  const authors = ["ada", "bob", "eve"];
  const published = await Promise.all(
    authors.map((author) => run("map", "publish", path, "--author", author)),
  );
  const winner = authors[published.findIndex(({ code }) => code === 0)];
  const losers = published.filter(({ code }) => code !== 0);
  expect(losers.map(({ code }) => code)).toEqual([1, 1]);
  for (const { stderr } of losers) {
    expect(stderr).toContain(`version 2 was published by ${winner} on `);
    expect(stderr).toContain("write version: 3 in it");
  }
  expect((await run("map", "show", "2")).code).toBe(0);
});

const SWAPPED =
  "      - { shards: 0-3, database: users1 }\n      - { shards: 4-7, database: users0 }";

test("rows that would have to move keep a map from being published", async () => {
  await initialized();
  const old = mapFile({ version: 1 });
  await run("map", "publish", old);
  await server.query(
    "users0",
    "INSERT INTO users SELECT n FROM generate_series(1, 1000) n; ANALYZE users",
  );
  const next = mapFile({ version: 2, placements: SWAPPED });
  const refused = await run("map", "publish", next);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    "colocation users has logical shards 0-3 (4 of 8) in users1.public instead of users0.public: rows would have to move first\n",
  );
  expect(refused.stderr).toContain(`colonnade migrate plan --to ${next} --control URL\n`);
  const diff = await runCommand("map", "diff", old, next, "--live");
  expect(diff.code).toBe(1);
  expect(diff.stderr).toContain(`colonnade migrate plan --to ${next} --control URL\n`);
  expect(diff.stdout).toMatch(/users +users0\.public +users1\.public +1000 +\d+/);
  await server.query("users0", "TRUNCATE users");
});

test("a database that is another one, or one named twice, keeps a map from being published", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  const urls = Object.fromEntries(DATABASES.map((name) => [name, server.url(name)]));
  const other = await run(
    "map",
    "publish",
    mapFile({ version: 2, databases: { ...urls, users1: server.url("elsewhere") } }),
  );
  expect(other.stderr).toContain("database users1 is another one than before");
  const twice = await run(
    "map",
    "publish",
    mapFile({
      version: 2,
      databases: { ...urls, more: server.url("users1").replace("127.0.0.1", "localhost") },
    }),
  );
  expect(twice.stderr).toContain("databases users1 and more are one and the same");
});

test("a role that may not do with tables what clients may, or is under policies, keeps a map from being published", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  await server.query(
    "users1",
    "CREATE ROLE stranger LOGIN; ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON users USING (id > 1)",
  );
  const urls = Object.fromEntries(DATABASES.map((name) => [name, server.url(name)]));
  const strange = server.url("users1").replace("postgres@", "stranger@");
  const next = mapFile({ version: 2, databases: { ...urls, users1: strange } });
  try {
    const stranger = await run("map", "publish", next);
    expect(stranger).toMatchObject({ code: 1 });
    expect(stranger.stderr).toContain(
      "users1: public.users: the role of the database's URL has no SELECT, INSERT, UPDATE, DELETE on the table. GRANT it",
    );
    await server.query("users1", "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO stranger");
    const filtered = await run("map", "publish", next);
    expect(filtered).toMatchObject({ code: 1 });
    expect(filtered.stderr).toContain(
      "users1: public.users: row-level security hides rows from the role of the database's URL. ALTER TABLE",
    );
    await server.query("users1", "ALTER TABLE users DISABLE ROW LEVEL SECURITY");
    const unrecorded = await run("map", "publish", next);
    expect(unrecorded).toMatchObject({ code: 1 });
    expect(unrecorded.stderr).toContain(
      "users1: schema colonnade: the role of the database's URL may not keep the record",
    );
    await server.query("users1", "GRANT CREATE ON DATABASE users1 TO stranger");
    expect(await run("map", "publish", next)).toMatchObject({ code: 0, stderr: "" });
  } finally {
    await server.query(
      "users1",
      "ALTER TABLE users DISABLE ROW LEVEL SECURITY; DROP POLICY mine ON users; DROP OWNED BY stranger; DROP ROLE stranger",
    );
  }
});

test("a table that a proxy is making is waited for, and then keeps a map from being published", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  const maker = await server.connect("main");
  const next = mapFile({ version: 2, tables: "users: id, late: user_id" });
  try {
    await maker.query("BEGIN; CREATE TABLE late (user_id bigint PRIMARY KEY)");
    const { rows } = await maker.query("SELECT pg_current_xact_id()::text AS id");
    await server.query(
      "main",
      `INSERT INTO colonnade.ddl (id, proxy, transaction) VALUES (gen_random_uuid(), gen_random_uuid(), '${rows[0]?.id}')`,
    );
    const waiting = run("map", "publish", next);
    await sleep(1_500);
    await maker.query("COMMIT");
    const made = await waiting;
    expect(made).toMatchObject({ code: 1 });
    expect(made.stderr).toContain(
      `table late is listed in colocation users by user_id, and is in the catalog database already: rows would have to move first\n  to move the rows: colonnade migrate plan --to ${next}`,
    );
    await server.query("main", "DROP TABLE late");
    // What is left of DDL that is over stands in nobody's way.
    expect(await run("map", "publish", next)).toMatchObject({ code: 0 });
  } finally {
    await maker.end();
    await server.query("main", "DROP TABLE IF EXISTS late");
  }
});

test("a standby is its primary under another name until it is promoted; then it is a database of its own", async () => {
  await initialized();
  // Made from the same template as `server`, as by copying its files.
  await using copy = await startPostgres({ databases: DATABASES });
  for (const database of DATABASES)
    await copy.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
  const identity = `SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = 'users1'`;
  expect((await copy.query("users1", identity)).rows).toEqual(
    (await server.query("users1", identity)).rows,
  );
  const urls = Object.fromEntries(DATABASES.map((name) => [name, server.url(name)]));
  const map = mapFile({ version: 1, databases: { ...urls, copied: copy.url("users1") } });
  const { rows } = await copy.query("postgres", "SHOW data_directory");
  writeFileSync(join(String(rows[0]?.["data_directory"]), "standby.signal"), "");
  await copy.restart();
  const standby = await run("map", "publish", map);
  expect(standby.stderr).toContain("databases users1 and copied are one and the same");
  await copy.query("postgres", "SELECT pg_promote()");
  expect(await run("map", "publish", map)).toMatchObject({ code: 0, stderr: "" });
});

test("what was published does not change, not even by hand", async () => {
  await initialized();
  await run("map", "publish", mapFile({ version: 1 }));
  for (const sql of [
    "UPDATE colonnade.map SET yaml = ''",
    "DELETE FROM colonnade.map",
    "TRUNCATE colonnade.map CASCADE",
  ])
    await expect(server.query("main", sql)).rejects.toMatchObject({ code: "55000" });
});

test("what cannot be read or reached is told with its remedy", async () => {
  const missing = await run("map", "publish", mapFile({ version: 1 }));
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.stderr).toContain("colonnade control init");
  await initialized();
  const path = join(directory, "broken.yaml");
  writeFileSync(path, "version: one\n");
  const broken = await run("map", "publish", path);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain("broken.yaml:1:10");
  const away = await runCommand(
    "map",
    "history",
    "--control",
    "postgres://nobody@127.0.0.1:1/main",
  );
  expect(away).toMatchObject({ code: 2 });
  const bad = await runCommand("map", "history", "--control", "nothing");
  expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining("--control") });
  expect((await runCommand("map", "show", "0", ...control())).stderr).toContain("from 1 on");
  await server.query("main", "UPDATE colonnade.control SET schema_version = 99");
  const newer = await run("map", "history");
  expect(newer.stderr).toContain("the control schema is of version 99");
});

test("of a map that changes nothing, nothing is told", async () => {
  const same = await runCommand("map", "diff", mapFile({ version: 1 }), mapFile({ version: 2 }));
  expect(same).toMatchObject({ code: 0 });
  expect(same.stdout).toContain("nothing that matters to a proxy changes");
});
