/**
 * The README is run: its session against `npm start`, its map, and its commands.
 * `REWRITE=1` writes the session's answers into it; the diff is what is reviewed.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../cli/dev/free-port.ts";
import { parseConfig } from "../../proxy/config/config.ts";
import { type RunningCommand, runCommand, startCommand } from "../support/command.ts";
import { formatError, formatResult } from "../support/psql-format.ts";
import { ROOT } from "../tidy/sources.ts";

const README = join(ROOT, "README.md");
const text = readFileSync(README, "utf8");

interface Block {
  readonly language: string;
  readonly body: string;
}

const blocks: readonly Block[] = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = "", body = ""]) => ({ language, body }),
);

/** As psql prompts a superuser, and asks for the rest of a statement. */
const PROMPT = /^main[=-]# /;
const sessions = blocks.filter(({ language }) => language === "console").map(({ body }) => body);

let directory: string;
let dev: RunningCommand;
let client: pg.Client;
let address: { readonly host: string; readonly port: number };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-readme-"));
  execFileSync("chmod", ["755", directory]);
  const port = await freePort();
  const ports = ["--port", String(port), "--admin-port", String(await freePort())];
  dev = startCommand("dev", "--data", join(directory, "data"), ...ports);
  await dev.untilPrinted("Ctrl-C stops everything");
  address = { host: "127.0.0.1", port };
  client = new pg.Client({
    ...address,
    user: "postgres",
    database: "main",
    // As psql does: every value is the text that the server sent.
    types: { getTypeParser: () => (value: string) => value },
  });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  dev.child.kill("SIGINT");
  await dev.finished;
  rmSync(directory, { recursive: true, force: true });
});

async function answer(sql: string): Promise<string> {
  try {
    return formatResult(await client.query<(string | null)[]>({ text: sql, rowMode: "array" }));
  } catch (error) {
    if (error instanceof pg.DatabaseError) return formatError(error, sql);
    throw error;
  }
}

test("the README has a session, a map and commands", () => {
  expect(sessions.length).toBeGreaterThanOrEqual(4);
  expect(blocks.map(({ language }) => language)).toEqual(expect.arrayContaining(["yaml", "sh"]));
});

test.each(sessions)("%s", async (session) => {
  const typed = session.split("\n").filter((line) => PROMPT.test(line));
  expect(session.startsWith(typed.join("\n"))).toBe(true);
  const sql = typed.map((line) => line.replace(PROMPT, "")).join("\n");
  expect(sql.endsWith(";")).toBe(true);
  const actual = `${typed.join("\n")}\n${await answer(sql)}\n`;
  if (process.env["REWRITE"] === "1") {
    writeFileSync(
      README,
      readFileSync(README, "utf8").replace(session, () => actual),
    );
  }
  expect(process.env["REWRITE"] === "1" ? actual : session).toBe(actual);
});

/** The tables of what is refused, as statements. */
const REFUSED = [
  "SELECT 1 FROM orders o JOIN invoices i ON i.id = o.id",
  "SELECT (SELECT count(*) FROM orders)",
  "SELECT name, (SELECT count(*) FROM orders) FROM users WHERE id = 1",
  "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id = u.id)",
  "SELECT 1 FROM users WHERE id NOT IN (SELECT user_id FROM orders)",
  "SELECT 1 FROM users WHERE id IN (SELECT user_id FROM orders LIMIT 3)",
  "SELECT status FROM orders GROUP BY status HAVING count(*) > 1",
  "SELECT string_agg(name, ',') FROM users",
  "SELECT country FROM users GROUP BY ROLLUP (country)",
  "SELECT DISTINCT ON (country) country FROM users ORDER BY country, id",
  "SELECT 1 FROM users u FULL JOIN orders o ON o.user_id = u.id",
  "SELECT id FROM orders FOR UPDATE",
  "SELECT id FROM orders FOR SHARE",
  "EXPLAIN SELECT * FROM orders",
  "INSERT INTO orders SELECT * FROM orders WHERE user_id = 1",
  "INSERT INTO countries SELECT * FROM countries",
  "INSERT INTO orders (user_id, total) VALUES (1, (SELECT sum(total) FROM orders))",
  "MERGE INTO countries c USING countries d ON c.code = d.code WHEN MATCHED THEN DO NOTHING",
  "COPY orders TO STDOUT",
  "FETCH c",
  "PREPARE p AS SELECT 1",
  "EXECUTE p",
  "CREATE VIEW v AS SELECT * FROM users",
  "CREATE TABLE t AS SELECT * FROM orders",
  "SELECT 1 AS a INTO t",
  "DO $$ BEGIN END $$",
  "CALL p()",
  "NOTIFY news",
  "SELECT currval('orders_id_seq')",
  "SELECT set_config('a.b', 'c', false)",
  "LOCK TABLE orders",
  "SET ROLE postgres",
  "ALTER TABLE orders RENAME TO purchases",
  "CREATE INDEX CONCURRENTLY i ON orders (status)",
  "CREATE UNIQUE INDEX i ON users (name)",
  "UPDATE orders SET user_id = 2 WHERE user_id = 1",
  "SELECT 1 FROM documents d JOIN orders o ON o.id = d.number",
  "SELECT 1 FROM users u JOIN orders o ON o.id = u.id",
  "SELECT rank() OVER (ORDER BY total) FROM orders",
  "SELECT array_agg(id) FROM orders",
  "SELECT stddev(total) FROM orders",
  "SELECT count(DISTINCT status) FROM orders",
  "SELECT count(*)::int FROM orders",
  "SELECT id FROM users UNION SELECT user_id FROM orders",
  "LISTEN news",
  "CREATE TEMPORARY TABLE t (n int)",
  "DECLARE c CURSOR FOR SELECT 1",
  "SELECT pg_advisory_lock(1)",
  "ALTER TABLE documents ADD CONSTRAINT d FOREIGN KEY (number) REFERENCES users (id)",
  "COPY orders FROM STDIN",
  "MERGE INTO users u USING countries c ON c.code = u.country WHEN MATCHED THEN DELETE",
];

test.each(REFUSED)("refused: %s", async (sql) => {
  await expect(client.query(sql)).rejects.toMatchObject({ code: "0A000" });
});

test("refused: a view, a function of one's own, a second database at REPEATABLE READ", async () => {
  await client.query("CREATE VIEW of_countries AS SELECT * FROM countries");
  await client.query("CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'");
  const repeatableRead = "BEGIN ISOLATION LEVEL REPEATABLE READ";
  for (const sql of ["SELECT * FROM of_countries", "SELECT one()", "SELECT id FROM users"]) {
    await client.query(repeatableRead);
    await expect(client.query(sql)).rejects.toMatchObject({ code: "0A000" });
    await client.query("ROLLBACK");
  }
  await client.query("DROP VIEW of_countries; DROP FUNCTION one()");
});

test("any database name is taken; the catalog's name and role are what SQL sees", async () => {
  const elsewhere = new pg.Client({ ...address, user: "somebody", database: "anything" });
  await elsewhere.connect();
  const { rows } = await elsewhere.query("SELECT current_database() AS d, current_user AS u");
  await elsewhere.end();
  expect(rows).toEqual([{ d: "main", u: "postgres" }]);
});

/** What works over one placement, or with the shard key. */
const WORKING = [
  "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)",
  "SELECT 1 FROM users WHERE id IN (SELECT user_id FROM orders)",
  "SELECT (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u",
  "SELECT user_id, array_agg(id), max(total) - min(total) FROM orders GROUP BY user_id HAVING count(*) > 1",
  "SELECT rank() OVER (PARTITION BY user_id ORDER BY total) FROM orders",
  "SELECT DISTINCT ON (user_id) user_id, id FROM orders ORDER BY user_id, id",
  "SELECT id FROM orders WHERE user_id = 1 FOR UPDATE",
  "EXPLAIN SELECT * FROM orders WHERE user_id = 1",
  "SELECT rank() OVER (ORDER BY total) FROM orders WHERE user_id = 1",
  "SELECT array_agg(id ORDER BY id), count(DISTINCT status)::int, stddev(total) FROM orders WHERE user_id = 1",
  "SELECT id FROM users WHERE id = 1 UNION SELECT user_id FROM orders WHERE user_id = 1",
];

test.each(WORKING)("works: %s", async (sql) => {
  expect((await client.query(sql)).rows).not.toEqual([]);
});

test("the map is a map, and the commands that need no server do what is said", async () => {
  const map = join(directory, "map.yaml");
  writeFileSync(map, blocks.find(({ language }) => language === "yaml")?.body ?? "");
  expect(await runCommand("check", map)).toMatchObject({ code: 0, stderr: "" });
  const [, sql = ""] = /explain --map map\.yaml "(.*)"/.exec(text) ?? [];
  const schema = join(directory, "schema.sql");
  writeFileSync(
    schema,
    "CREATE TABLE orders (user_id bigint, id bigint, PRIMARY KEY (user_id, id));",
  );
  const config = /^ {3}```yaml\n([\s\S]*?)^ {3}```$/m.exec(text)?.[1] ?? "";
  expect(config).not.toBe("");
  expect(parseConfig(config, "config.yaml")).toHaveProperty("config");
  const explained = await runCommand("explain", sql, "--map", map, "--schema", schema);
  expect(explained).toMatchObject({ code: 0, stderr: "" });
  expect(explained.stdout).toContain(sql);
});
