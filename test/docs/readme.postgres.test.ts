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

const PROMPT = "main=> ";
const sessions = blocks.filter(({ language }) => language === "console").map(({ body }) => body);

let directory: string;
let dev: RunningCommand;
let client: pg.Client;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-readme-"));
  execFileSync("chmod", ["755", directory]);
  const port = await freePort();
  const ports = ["--port", String(port), "--admin-port", String(await freePort())];
  dev = startCommand("dev", "--data", join(directory, "data"), ...ports);
  await dev.untilPrinted("Ctrl-C stops everything");
  client = new pg.Client({
    host: "127.0.0.1",
    port,
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
  const line = session.split("\n")[0] ?? "";
  expect(line.startsWith(PROMPT)).toBe(true);
  const sql = line.slice(PROMPT.length);
  const actual = `${line}\n${await answer(sql)}\n`;
  if (process.env["REWRITE"] === "1") {
    writeFileSync(
      README,
      readFileSync(README, "utf8").replace(session, () => actual),
    );
  }
  expect(process.env["REWRITE"] === "1" ? actual : session).toBe(actual);
});

/** The table of what is refused, as statements. */
const REFUSED = [
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

/** What the table says of one placement. */
const PINNED = [
  "SELECT rank() OVER (ORDER BY total) FROM orders WHERE user_id = 1",
  "SELECT array_agg(id ORDER BY id), count(DISTINCT status)::int, stddev(total) FROM orders WHERE user_id = 1",
  "SELECT id FROM users WHERE id = 1 UNION SELECT user_id FROM orders WHERE user_id = 1",
];

test.each(PINNED)("works: %s", async (sql) => {
  expect((await client.query(sql)).rowCount).toBeGreaterThan(0);
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
  const explained = await runCommand("explain", sql, "--map", map, "--schema", schema);
  expect(explained).toMatchObject({ code: 0, stderr: "" });
  expect(explained.stdout).toContain(sql);
});
