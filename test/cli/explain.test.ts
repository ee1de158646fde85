import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";

const SAMPLE = ["--map", "deploy/dev/map.yaml", "--schema", "deploy/dev/schema.sql"];

async function explain(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand("explain", ...SAMPLE, ...words);
}

test("a pinned statement: its rule, its key and its one placement", async () => {
  const { code, stdout } = await explain(
    "SELECT total FROM orders WHERE user_id = $1",
    "--param",
    "7",
  );
  expect(code).toBe(0);
  expect(stdout).toContain("pinByShardKey");
  expect(stdout).toMatch(/fragment users1\.public: SELECT total FROM orders/);
});

test("without a parameter's value, the logical plan alone", async () => {
  const { code, stdout } = await explain("SELECT total FROM orders WHERE user_id = $1");
  expect(code).toBe(0);
  expect(stdout).not.toContain("fragment");
  expect(stdout).toContain("give --param once for each");
});

test("--json: colocations by name, fragments with their databases", async () => {
  const { stdout } = await explain("--json", "SELECT count(*) FROM orders");
  const { logical, physical } = JSON.parse(stdout) as {
    readonly logical: { readonly routing: object };
    readonly physical: {
      readonly fragments: readonly { readonly placementIds: readonly string[] }[];
    };
  };
  expect(logical.routing).toMatchObject({ kind: "allShards", colocation: "users" });
  expect(physical.fragments.flatMap(({ placementIds }) => placementIds)).toEqual([
    "main.public",
    "users0.public",
    "users1.public",
    "users2.public",
    "users2.users_b",
  ]);
});

test("a refusal: exit code 1, the place under a caret, and the hint", async () => {
  const sql = "SELECT 1\nFROM users u JOIN workspaces w ON w.name = u.name";
  const { code, stdout, stderr } = await explain(sql);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  const [first, line, caret] = stderr.split("\n");
  expect(first).toContain("refused with 0A000 (join_across_colocations)");
  expect(line).toBe("LINE 2: FROM users u JOIN workspaces w ON w.name = u.name");
  expect(line?.slice(caret?.indexOf("^"))).toMatch(/^workspaces w/);
  const json = await explain("--json", sql);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ error: { id: "join_across_colocations" } });
});

test.each([
  ["SELECT * FROM nope", "nope", 15],
  [" SELECT 1 FROM users u, s.nope n WHERE u.id = 1", "s.nope", 24],
  ["INSERT INTO nope VALUES (1)", "nope", 13],
  ["UPDATE nope SET a = 1", "nope", 8],
])("a table that is nowhere: %s", async (sql, name, position) => {
  const { code, stdout, stderr } = await explain(sql);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`refuse it with 42P01: relation "${name}" does not exist\n`);
  expect(stderr).toContain("DETAIL:  The table is in neither the shard map nor the schema.\n");
  const json = await explain("--json", sql);
  expect(JSON.parse(json.stdout)).toMatchObject({ error: { sqlstate: "42P01", position } });
});

test("names that are no tables of the map are found all the same", async () => {
  const own = "WITH nope AS (SELECT 1 AS one) SELECT one FROM nope, pg_class";
  expect((await explain(own)).code).toBe(0);
});

test.each([
  ["SELECT * FROM users WHERE id = 'abc'", []],
  ["SELECT * FROM users WHERE id = $1", ["--param", "abc"]],
  ["INSERT INTO users (id, name) VALUES ('abc', 'x')", []],
])("a key that is none of its type: %s", async (sql, more) => {
  const { code, stdout, stderr } = await explain(sql, ...more);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain('PostgreSQL would refuse it: invalid input for type bigint: "abc"\n');
});

test("a number beyond the key's type is compared, and matches no row", async () => {
  const sql = "SELECT * FROM users WHERE id = 99999999999999999999";
  expect((await explain(sql)).code).toBe(0);
});

test.each([
  ["several statements", "SELECT 1; SELECT 2", 2, "explain takes one statement, and was given 2"],
  ["no statement", "/* nothing */", 2, "explain takes one statement, and was given none"],
  ["no text", "", 2, "explain takes one statement, and was given none"],
  ["no SQL", "SELEC 1", 1, 'syntax error at or near "SELEC" (at character 1)'],
])("%s", async (_, sql, code, expected) => {
  const result = await explain(sql);
  expect(result.code).toBe(code);
  expect(result.stderr).toContain(expected);
});

test("a schema file that is no SQL is told with its line, and no stack", async () => {
  const words = ["--map", "deploy/dev/map.yaml", "--schema", "package.json", "SELECT 1"];
  const { code, stdout, stderr } = await runCommand("explain", ...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toBe('colonnade: package.json:1: syntax error at or near "{"\n');
});

test("a statement too deep to be parsed is refused as by the proxy", async () => {
  const { code, stderr } = await explain(`SELECT ${"(".repeat(1_001)}1${")".repeat(1_001)}`);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^colonnade: refused with 54001 \(statement_too_complex\): /);
  expect(stderr).toContain("HINT:  ");
});

test("an embedded database cannot be asked: what can be done is told", async () => {
  const { code, stderr } = await runCommand("explain", "--map", "deploy/dev/map.yaml", "SELECT 1");
  expect(code).toBe(2);
  expect(stderr).toBe(
    'colonnade: database "main" is embedded: where its server listens, colonnade dev alone knows. Name a file of CREATE TABLE statements with --schema instead.\n',
  );
});

test("a catalog database that is away is told, with exit code 2", async () => {
  const directory = mkdtempSync(join(tmpdir(), "colonnade-explain-"));
  const map = join(directory, "map.yaml");
  writeFileSync(
    map,
    'version: 1\ncatalog: main\ndatabases: { main: { primary: "postgres://a@127.0.0.1:1/a" } }\n',
  );
  const { code, stderr } = await runCommand("explain", "--map", map, "SELECT 1");
  rmSync(directory, { recursive: true });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^colonnade: .*main.*\n$/);
});
