/** `colonnade guard` and groups: the catalog database's empty table of a group elsewhere takes no row, and a group's own table any. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";

const DATABASES = ["main", "books"];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-guard-groups-"));
  const settings = { max_prepared_transactions: "10" };
  server = await startPostgres({ databases: DATABASES, settings });
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  for (const database of DATABASES)
    await server.query(
      database,
      `DROP TABLE IF EXISTS invoices; CREATE TABLE invoices (id bigint PRIMARY KEY, amount numeric);
       CREATE SCHEMA IF NOT EXISTS away; DROP TABLE IF EXISTS away.invoices; CREATE TABLE away.invoices (LIKE invoices INCLUDING ALL)`,
    );
});

const ELSEWHERE = "groups: { billing: { database: books, tables: [invoices] } }";

function mapFile(groups = ELSEWHERE): string {
  const path = join(directory, "map.yaml");
  const databases = DATABASES.map((name) => `  ${name}: { primary: "${server.url(name)}" }`);
  writeFileSync(
    path,
    `version: 1\ncatalog: main\ndatabases:\n${databases.join("\n")}\n${groups}\n`,
  );
  return path;
}

async function guard(action: string, map = mapFile()): Promise<CommandResult> {
  return await runCommand("guard", action, "--map", map);
}

async function check(map = mapFile()): Promise<string> {
  return (await runCommand("check", map, "--live")).stdout;
}

const INSERT = "INSERT INTO public.invoices VALUES (1, 10)";

/** Of the guard, and of nothing else. */
const REFUSED = { code: "23514", constraint: "colonnade_guard" };

test("the empty table of a group elsewhere takes no row, and the group's own does", async () => {
  expect(await guard("verify")).toMatchObject({
    code: 1,
    stdout: "main: public.invoices: has no guard: colonnade guard install\n",
  });
  expect(await check()).toContain("warning: main: public.invoices: has no guard");
  expect(await guard("install")).toMatchObject({
    code: 0,
    stdout: "main: public.invoices: is guarded\n",
    stderr: "",
  });
  expect(await guard("verify")).toMatchObject({ code: 0 });
  expect(await check()).not.toContain("guard,");
  await expect(server.query("main", INSERT)).rejects.toMatchObject(REFUSED);
  await server.query("books", INSERT);
  expect(await guard("remove")).toMatchObject({ code: 0 });
  await server.query("main", INSERT);
  const found = await guard("install");
  expect(found.code).toBe(1);
  expect(found.stdout).toContain("main: public.invoices: holds 1 row of another placement");
  await expect(server.query("main", "INSERT INTO invoices VALUES (2)")).rejects.toMatchObject(
    REFUSED,
  );
});

test("a schema of its own in the catalog database is elsewhere, too; the catalog's own schema is not", async () => {
  const away = "groups: { billing: { database: main, schema: away, tables: [invoices] } }";
  expect(await guard("install", mapFile(away))).toMatchObject({
    code: 0,
    stdout: "main: public.invoices: is guarded\n",
  });
  await expect(server.query("main", INSERT)).rejects.toMatchObject(REFUSED);
  await server.query("main", "INSERT INTO away.invoices VALUES (1)");
  await guard("remove", mapFile(away));
  const here = mapFile("groups: { billing: { database: main, tables: [invoices] } }");
  expect(await guard("install", here)).toMatchObject({ code: 0, stdout: "" });
  await server.query("main", INSERT);
});

test("through the proxy, what is guarded is read, written, altered and copied as ever", async () => {
  await guard("install");
  await using proxy = await startTestProxy(readFileSync(mapFile(), "utf8"));
  const client = await proxy.connect();
  await client.query(INSERT);
  await client.query("ALTER TABLE invoices ADD COLUMN paid boolean NOT NULL DEFAULT false");
  await client.query("UPDATE invoices SET paid = true");
  expect(await client.query("SELECT * FROM invoices")).toEqual([["1", "10", "t"]]);
  for (const sql of ["CREATE TEMP TABLE stage", "CREATE TABLE archive"]) {
    await client.query(`${sql} (LIKE invoices INCLUDING ALL)`);
    const name = sql.split(" ").at(-1) ?? "";
    expect(await client.query(`INSERT INTO ${name} VALUES (1) RETURNING id`)).toEqual([["1"]]);
  }
  await client.query("DROP TABLE archive; TRUNCATE invoices");
  await client.close();
  expect(await guard("verify")).toMatchObject({ code: 0 });
  await expect(server.query("main", INSERT)).rejects.toMatchObject(REFUSED);
});

test.each([
  [
    "a group in the catalog database",
    "groups: { billing: { database: main, tables: [invoices] } }",
    /^error: main: public\.invoices: has a guard, which refuses rows that belong here.*DROP CONSTRAINT IF EXISTS colonnade_guard;$/m,
  ],
  // What the map does not list, check --live does not look at.
  ["unlisted", "unlisted_tables: catalog", /^(?!.*which refuses)/s],
])(
  "a guard whose table has rows again, as %s, is told of and taken away",
  async (_, groups, live) => {
    await guard("install");
    const map = mapFile(groups);
    expect(await guard("verify", map)).toMatchObject({
      code: 1,
      stdout:
        "main: public.invoices: has a guard, which refuses rows that belong here, and the shard map asks for none: colonnade guard install\n",
    });
    expect(await check(map)).toMatch(live);
    expect(await guard("install", map)).toMatchObject({
      code: 0,
      stdout: "main: public.invoices: has no guard any more\n",
    });
    expect(await guard("verify", map)).toMatchObject({ code: 0, stdout: "" });
    await server.query("main", INSERT);
  },
);

test("a partition has its parent's guard, whichever the map names first", async () => {
  for (const database of DATABASES)
    await server.query(
      database,
      "DROP TABLE IF EXISTS logs; CREATE TABLE logs (id bigint) PARTITION BY RANGE (id); CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (100)",
    );
  const map = mapFile("groups: { logging: { database: books, tables: [logs_1, logs] } }");
  expect(await guard("install", map)).toMatchObject({ code: 0 });
  for (const table of ["logs", "logs_1"])
    await expect(server.query("main", `INSERT INTO ${table} VALUES (1)`)).rejects.toMatchObject(
      REFUSED,
    );
  expect(await guard("verify", map)).toMatchObject({ code: 0 });
  expect(await guard("remove", map)).toMatchObject({ code: 0 });
  await server.query("main", "INSERT INTO logs_1 VALUES (1)");
});
