/** `colonnade guard`: the databases themselves refuse rows of another placement, whoever writes them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
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
  server = await startPostgres({ databases: DATABASES });
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

async function guard(action: string, map = mapFile()): Promise<CommandResult> {
  return await runCommand("guard", action, "--map", map);
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
  expect(installed.stdout).toContain(
    "users0: public.users: holds rows that belong to another placement",
  );
  expect((await guard("verify")).stdout).toContain(
    "users0: public.users: its guard was never checked",
  );
  await expect(
    server.query("users0", "INSERT INTO users SELECT n FROM generate_series(21, 40) n"),
  ).rejects.toMatchObject({ code: "23514" });
  await server.query("users0", "DELETE FROM users");
  expect(await guard("install")).toMatchObject({ code: 0 });
});

test("a table that somebody keeps locked is left for another time", async () => {
  const holder = await server.connect("users0");
  await holder.query("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE");
  const installed = await guard("install");
  expect(installed.code).toBe(1);
  expect(installed.stdout).toContain("users0: public.users: is locked by somebody");
  expect(installed.stdout).toContain("users1: far.users: is guarded");
  await holder.query("ROLLBACK");
  await holder.end();
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
