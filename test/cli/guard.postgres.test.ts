/** `colonnade guard`: the databases themselves refuse rows of another placement, whoever writes them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { requireMap } from "../../cli/input-files.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { publishMap } from "../../control/map-versions.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { guardsOf } from "../../proxy/topology/guards.ts";
import { countMisplacedRows } from "../../proxy/topology/misplaced-rows.ts";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";

const DATABASES = ["main", "users0", "users1"];
/** Of `CREATE TABLE`: main holds the canonical table alone, users1 two placements. */
const SCHEMAS: Readonly<Record<string, readonly string[]>> = {
  main: ["public"],
  users0: ["public"],
  users1: ["public", "far"],
};

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-guard-"));
  const settings = { max_prepared_transactions: "10" };
  server = await startPostgres({ databases: DATABASES, settings });
  await server.query("users1", "CREATE SCHEMA far");
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  for (const database of DATABASES)
    for (const schema of SCHEMAS[database] ?? [])
      await server.query(
        database,
        `DROP TABLE IF EXISTS ${schema}.users; CREATE TABLE ${schema}.users (id bigint PRIMARY KEY, name text)`,
      );
});

function mapFile(shards: readonly [string, string, string] = ["0-3", "4-5", "6-7"]): string {
  const path = join(directory, "map.yaml");
  const [first, second, third] = shards;
  writeFileSync(
    path,
    `version: 1
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
      - { shards: ${first}, database: users0 }
      - { shards: ${second}, database: users1 }
      - { shards: ${third}, database: users1, schema: far }
`,
  );
  return path;
}

async function guard(action: string, map = mapFile(), ...more: string[]): Promise<CommandResult> {
  return await runCommand("guard", action, "--map", map, ...more);
}

/** Where a row with the key can be written by hand, without the proxy. */
async function placesThatTake(id: number): Promise<readonly string[]> {
  const taken: string[] = [];
  for (const database of DATABASES) {
    const client = await server.connect(database);
    for (const schema of SCHEMAS[database] ?? []) {
      try {
        await client.query(`INSERT INTO ${schema}.users VALUES ($1, 'by hand')`, [id]);
        taken.push(`${database}.${schema}`);
      } catch (error) {
        const { code, constraint } = error as { code?: string; constraint?: string };
        if (code !== "23514" || constraint !== "colonnade_guard") throw error;
      }
    }
    await client.end();
  }
  return taken;
}

test("guards are put everywhere, are found right, and leave each key one home", async () => {
  const before = await guard("verify");
  expect(before.code).toBe(1);
  expect(before.stdout.match(/has no guard: colonnade guard install/g)).toHaveLength(4);
  const installed = await guard("install");
  expect(installed).toMatchObject({ code: 0, stderr: "" });
  expect(installed.stdout).toBe(
    ["users0: public.users", "users1: public.users", "users1: far.users", "main: public.users"]
      .map((place) => `${place}: is guarded\n`)
      .join(""),
  );
  expect(await guard("install")).toMatchObject({ code: 0 });
  expect(await guard("verify")).toMatchObject({ code: 0 });
  const homes = new Set<string>();
  for (let id = 1; id <= 40; id += 1) {
    const places = await placesThatTake(id);
    expect(places).toHaveLength(1);
    homes.add(places[0] ?? "");
  }
  expect(homes).toEqual(new Set(["users0.public", "users1.public", "users1.far"]));
});

test("a table made LIKE a guarded one takes rows", async () => {
  await guard("install");
  await using proxy = await startTestProxy(readFileSync(mapFile(), "utf8"));
  const client = await proxy.connect();
  for (const sql of ["CREATE TEMP TABLE stage", "CREATE TABLE archive"]) {
    await client.query(`${sql} (LIKE users INCLUDING ALL, CHECK (id > 0))`);
    const name = sql.split(" ").at(-1) ?? "";
    expect(await client.query(`INSERT INTO ${name} VALUES (1, 'a') RETURNING id`)).toEqual([["1"]]);
    await expect(client.query(`INSERT INTO ${name} VALUES (-1, 'a')`)).rejects.toThrow("check");
  }
  await client.query("DROP TABLE archive");
  await client.close();
  expect(await guard("verify")).toMatchObject({ code: 0 });
});

test("a guard that was dumped and restored is the same one", async () => {
  await guard("install");
  // What pg_dump writes of a constraint.
  const { rows } = await server.query(
    "users0",
    "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'colonnade_guard'",
  );
  await server.query(
    "users0",
    `DROP TABLE users; CREATE TABLE users (id bigint PRIMARY KEY, name text);
     ALTER TABLE users ADD CONSTRAINT colonnade_guard ${String(rows[0]?.["text"])}`,
  );
  expect(await guard("verify")).toMatchObject({ code: 0 });
  expect(await placesThatTake(1)).toHaveLength(1);
});

test("a guard that lets rows past, by NO INHERIT or NOT ENFORCED, is no guard, and is replaced", async () => {
  await guard("install");
  const read = async (sql: string): Promise<string> =>
    String((await server.query("users0", sql)).rows[0]?.["text"]);
  const definition = await read(
    "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'colonnade_guard'",
  );
  // NOT ENFORCED of a CHECK is of PostgreSQL 18 and later.
  const isEnforcedOptional =
    Number(await read("SELECT current_setting('server_version_num') AS text")) >= 180_000;
  for (const weakness of ["NO INHERIT", ...(isEnforcedOptional ? ["NOT ENFORCED"] : [])]) {
    await server.query(
      "users0",
      `ALTER TABLE users DROP CONSTRAINT colonnade_guard;
       ALTER TABLE users ADD CONSTRAINT colonnade_guard ${definition} ${weakness}`,
    );
    const { stdout, code } = await guard("verify");
    expect(code).toBe(1);
    expect(stdout).toContain("users0: public.users: its guard is another one than the shard map");
    expect((await runCommand("check", mapFile(), "--live")).stdout).toContain(
      "warning: users0: public.users: has a guard that is NO INHERIT or NOT ENFORCED",
    );
    expect(await guard("install")).toMatchObject({ code: 0 });
    expect(await guard("verify")).toMatchObject({ code: 0 });
    expect(
      await read(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'colonnade_guard'",
      ),
    ).toBe(definition);
  }
});

test("a guard of another map is told from the right one, and replaced", async () => {
  await guard("install", mapFile(["0-4", "5", "6-7"]));
  const { stdout, code } = await guard("verify");
  expect(code).toBe(1);
  expect(stdout.match(/another one than the shard map asks for/g)).toHaveLength(2);
  expect(await guard("install")).toMatchObject({ code: 0 });
  expect(await guard("verify")).toMatchObject({ code: 0 });
});

test("rows that are in the wrong place already are told of, and new ones refused", async () => {
  await server.query("users0", "INSERT INTO users SELECT n FROM generate_series(1, 20) n");
  const installed = await guard("install");
  expect(installed.code).toBe(1);
  const [, count, query] =
    /^users0: public\.users: holds (\d+) rows of another placement; .* by: (SELECT .*);$/m.exec(
      installed.stdout,
    ) ?? [];
  const found = await server.query("users0", query ?? "");
  expect(found.rows).toHaveLength(Number(count));
  const everything = await server.query("users0", "SELECT id FROM users");
  expect(found.rows.length).toBeGreaterThan(0);
  expect(found.rows.length).toBeLessThan(everything.rows.length);
  expect((await guard("verify")).stdout).toContain(
    "users0: public.users: its guard was never checked",
  );
  const checked = await runCommand("check", mapFile(), "--live");
  expect(checked).toMatchObject({ code: 0, stderr: "" });
  expect(checked.stdout).toContain("users0: public.users: has a guard that is NOT VALID");
  expect(checked.stdout).toContain("no row was read: colonnade guard install proves");
  await expect(
    server.query("users0", "INSERT INTO users SELECT n FROM generate_series(21, 40) n"),
  ).rejects.toMatchObject({ code: "23514" });
  await server.query("users0", (query ?? "").replace("SELECT *", "DELETE"));
  expect(await guard("install")).toMatchObject({ code: 0 });
});

test("rows of a table that is to be empty are all found, and one is one", async () => {
  await server.query("main", "INSERT INTO users VALUES (7)");
  const { stdout } = await guard("install");
  expect(stdout).toContain(
    `main: public.users: holds 1 row of another placement; its guard refuses new ones. Move or delete them, then install again. They are found, in this database, by: SELECT * FROM "public"."users" WHERE NOT (false);\n`,
  );
});

test("rows that are not counted in time are not waited for", async () => {
  const holder = await server.connect("main");
  await holder.query("BEGIN; LOCK TABLE users");
  const place = guardsOf(requireMap(mapFile())).find(({ database }) => database === "main");
  const address = parseBackendAddress(server.url("main"));
  const connection = await BackendConnection.open(address, {
    database: databaseName("main"),
    connectTimeoutMs: 5_000,
  });
  if (place === undefined) throw new Error("the empty table has a guard");
  expect(await countMisplacedRows(connection, place)).toBeUndefined();
  await holder.end();
  expect(await countMisplacedRows(connection, place)).toBe("0");
  connection.close();
});

test("a table that somebody keeps locked is left for another time", async () => {
  const holder = await server.connect("users0");
  await holder.query("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE");
  const installed = await guard("install");
  expect(installed.code).toBe(1);
  expect(installed.stdout).toContain(
    "users0: public.users: is locked by somebody, and was left as it is: install again",
  );
  expect(installed.stdout).toContain("users1: far.users: is guarded");
  const removed = await guard("remove");
  expect(removed.code).toBe(1);
  expect(removed.stdout).toContain(
    "users0: public.users: is locked by somebody, and was left as it is: remove again",
  );
  await holder.query("ROLLBACK");
  await holder.end();
});

test("a role that does not own a table is told whose it is, and the others get their guards", async () => {
  await server.query("users1", "DROP ROLE IF EXISTS owner_of_users; CREATE ROLE owner_of_users");
  await server.query("users1", "CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA far TO app");
  await server.query(
    "users1",
    "ALTER TABLE public.users OWNER TO app; GRANT SELECT ON far.users TO app",
  );
  await server.query("users1", "GRANT CREATE ON SCHEMA public TO app");
  await server.query("users1", "ALTER TABLE far.users OWNER TO owner_of_users");
  const path = mapFile();
  const text = readFileSync(path, "utf8");
  const url = server.url("users1");
  const asApp = new URL(url);
  asApp.username = "app";
  writeFileSync(path, text.replace(url, asApp.href));
  const refusal =
    'users1: far.users: belongs to role "owner_of_users", and the URL\'s role "app" may not change it: ' +
    'give the URL in a map of --map that role, or GRANT "owner_of_users" TO "app"';
  const installed = await guard("install", path);
  expect(installed.stdout).toContain(refusal);
  expect(installed.stdout).toContain("users1: public.users: is guarded");
  expect(installed.code).toBe(1);
  const removed = await guard("remove", path);
  expect(removed.stdout).toContain("users1: public.users: has no guard any more");
  expect(removed.stdout).toContain(refusal);
});

test("what only the server can say is said as its words", async () => {
  await server.query("users1", "ALTER TABLE far.users RENAME COLUMN id TO number");
  const installed = await guard("install");
  expect(installed.code).toBe(1);
  expect(installed.stdout).toContain(
    'users1: far.users: the server says: column "id" does not exist',
  );
  expect(installed.stdout).toContain("main: public.users: is guarded");
});

test("where a fleet has a map in force, guards are of that map alone", async () => {
  const control = server.url("main");
  const inForce = mapFile();
  expect(await runCommand("control", "init", "--control", control)).toMatchObject({ code: 0 });
  try {
    // Nothing published yet: the file is all there is.
    expect(await guard("install", inForce)).toMatchObject({ code: 0 });
    expect(await runCommand("guard", "install", "--control", control)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no shard map is published"),
    });
    const published = await runCommand("map", "publish", inForce, "--control", control);
    expect(published).toMatchObject({ code: 0, stderr: "" });
    expect(await guard("verify", inForce)).toMatchObject({ code: 0 });
    expect(await runCommand("guard", "verify", "--control", control)).toMatchObject({ code: 0 });

    const stale = mapFile(["0-4", "5", "6-7"]);
    for (const action of ["install", "verify", "remove"]) {
      const refused = await guard(action, stale);
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(refused.stderr).toContain(
        "is not the map in force, which is version 1 of the control schema: users0: public.users has another guard, and 1 more",
      );
      expect(refused.stderr).toContain("--control");
      expect(await guard(action, stale, "--control", control)).toMatchObject({ code: 2 });
    }
    expect(await runCommand("guard", "verify", "--control", control)).toMatchObject({ code: 0 });

    const swapped = mapFile();
    const text = readFileSync(swapped, "utf8");
    const [one, two] = [server.url("users0"), server.url("users1")];
    writeFileSync(swapped, text.replace(one, "?").replace(two, one).replace("?", two));
    const other = await guard("install", swapped);
    expect(other).toMatchObject({ code: 2, stdout: "" });
    expect(other.stderr).toContain("database users0 of the file is another one");

    expect(await guard("install", mapFile(["0-4", "5", "6-7"]), "--unpublished")).toMatchObject({
      code: 0,
    });
    expect(await runCommand("guard", "install", "--control", control)).toMatchObject({ code: 0 });
    expect(await guard("verify")).toMatchObject({ code: 0 });
  } finally {
    await server.query("main", "DROP SCHEMA colonnade CASCADE");
  }
  expect(await runCommand("guard", "verify")).toMatchObject({ code: 2 });
});

test("a map with other guards that is published while guards are looked at is told of", async () => {
  const control = server.url("main");
  await runCommand("control", "init", "--control", control);
  using database = await ControlDatabase.open(parseBackendAddress(control));
  const holder = await server.connect("users0");
  try {
    await runCommand("map", "publish", mapFile(), "--control", control);
    expect(await guard("install")).toMatchObject({ code: 0 });
    await holder.query("BEGIN; LOCK TABLE users");
    const installing = runCommand("guard", "install", "--control", control);
    const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'relation'";
    await expect
      .poll(async () => (await server.query("users0", waiting)).rows, { timeout: 20_000 })
      .toEqual([{ n: 1 }]);
    const yaml = readFileSync(mapFile(["0-4", "5", "6-7"]), "utf8").replace(
      "version: 1",
      "version: 2",
    );
    const map = { version: 2, yaml, author: "ada", changes: [], identities: {} };
    await publishMap(database, map, 1);
    await holder.query("ROLLBACK");
    expect(await installing).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("users0: public.users: is guarded"),
      stderr:
        "colonnade: version 2 of the shard map was published meanwhile, and asks for other guards: run it again, with that map\n",
    });
  } finally {
    await holder.end();
    await server.query("main", "DROP SCHEMA colonnade CASCADE");
  }
});

test("guards are removed, and a table that is not there is told of", async () => {
  await guard("install");
  expect(await guard("remove")).toMatchObject({ code: 0 });
  await server.query("users0", "INSERT INTO users SELECT n FROM generate_series(1, 20) n");
  await server.query("users1", "DROP TABLE far.users");
  const { code, stdout } = await guard("verify");
  expect(code).toBe(1);
  expect(stdout).toContain("users1: far.users: does not exist");
  expect(await guard("remove")).toMatchObject({ code: 0 });
});
