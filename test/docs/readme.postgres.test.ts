/** The README is run: its session against `npm start`, its map, its commands, and its lists of what works and what is refused. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseConfig } from "../../proxy/config/config.ts";
import { runCommand } from "../support/command.ts";
import { checkSession, readDocument, sessionsOf } from "./examples.ts";
import { startSample } from "./sample.ts";
import type { Sample } from "./sample.ts";

const document = readDocument("README.md");
const { text, blocks } = document;
const sessions = sessionsOf(document);

let sample: Sample;

beforeAll(async () => {
  sample = await startSample();
});

afterAll(() => sample[Symbol.asyncDispose]());

test("the README has a session, a map and commands", () => {
  expect(sessions.length).toBeGreaterThanOrEqual(4);
  expect(blocks.map(({ language }) => language)).toEqual(expect.arrayContaining(["yaml", "sh"]));
});

test.each(sessions)("%s", (session) =>
  checkSession(document, session, (sql, data) => sample.answer(sql, data)),
);

/** The tables of what is refused, as statements. */
const REFUSED = [
  "SELECT 1 FROM documents d JOIN orders o ON o.id = d.number",
  "SELECT 1 FROM orders o JOIN invoices i ON i.id = o.id",
  "SELECT 1 FROM users u JOIN orders o ON o.id = u.id",
  "SELECT 1 FROM workspaces w WHERE EXISTS (SELECT 1 FROM users u WHERE u.name = w.name)",
  "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM invoices i WHERE i.user_id = u.id)",
  "SELECT id FROM orders ORDER BY id LIMIT 1 FOR UPDATE",
  "SELECT DISTINCT status FROM orders FOR SHARE",
  "SELECT setseed(count(*) / 1000.0) FROM orders",
  "UPDATE orders SET user_id = 2 WHERE user_id = 1",
  "INSERT INTO orders (user_id, total) VALUES (1, (SELECT sum(total) FROM orders))",
  "MERGE INTO orders o USING users u ON o.id = u.id WHEN MATCHED THEN DELETE",
  "COPY orders TO '/tmp/orders'",
  "PREPARE TRANSACTION 'mine'",
  "COMMIT PREPARED 'mine'",
  "COPY orders FROM PROGRAM 'cat orders'",
  "DO $$ BEGIN END $$",
  "CALL p()",
  "SELECT 1 AS a, id INTO t FROM users",
  "CREATE TABLE t AS SELECT * FROM orders",
  "CREATE MATERIALIZED VIEW v AS SELECT * FROM users",
  "SELECT currval('orders_id_seq'), 1",
  "SELECT set_config('a.b', 'c', false), 1",
  "ALTER TABLE orders RENAME TO purchases",
  "CREATE UNIQUE INDEX i ON users (name)",
  "ALTER TABLE documents ADD CONSTRAINT d FOREIGN KEY (number) REFERENCES users (id)",
];

test.each(REFUSED)("refused: %s", async (sql) => {
  await expect(sample.client.query(sql)).rejects.toMatchObject({ code: "0A000" });
});

test("refused: a function of one's own, a second database at REPEATABLE READ", async () => {
  const { client } = sample;
  await client.query("CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'");
  for (const sql of ["SELECT one()", "SELECT id FROM users"]) {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await expect(client.query(sql)).rejects.toMatchObject({ code: "0A000" });
    await client.query("ROLLBACK");
  }
  await client.query("DROP FUNCTION one()");
});

test("any database name is taken; the catalog's name and role are what SQL sees", async () => {
  const elsewhere = new pg.Client({ ...sample.address, user: "somebody", database: "anything" });
  await elsewhere.connect();
  const { rows } = await elsewhere.query("SELECT current_database() AS d, current_user AS u");
  await elsewhere.end();
  expect(rows).toEqual([{ d: "main", u: "postgres" }]);
});

/** What works over several placements, streamed or gathered. */
const WORKING = [
  "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)",
  "SELECT DISTINCT status FROM orders ORDER BY status LIMIT 2 OFFSET 1",
  "SELECT rank() OVER (PARTITION BY user_id ORDER BY total) FROM orders",
  "SELECT status FROM orders GROUP BY status HAVING count(*) > 1",
  "SELECT rank() OVER (ORDER BY total) FROM orders",
  "SELECT id FROM users UNION SELECT user_id FROM orders",
  "SELECT count(DISTINCT status)::int, stddev(total), array_agg(id ORDER BY id) FROM orders",
  "SELECT country, count(*) FROM users GROUP BY ROLLUP (country)",
  "WITH RECURSIVE r AS (SELECT min(id) AS id FROM users UNION ALL SELECT id + 1 FROM r WHERE id < (SELECT max(id) FROM users)) SELECT id FROM r",
  "SELECT name, (SELECT count(*) FROM orders) FROM users",
  "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id = u.id)",
  "SELECT 1 FROM users u FULL JOIN orders o ON o.user_id = u.id",
  "SELECT id FROM orders WHERE total > 300 FOR UPDATE",
  "EXPLAIN SELECT * FROM orders",
  "SELECT lo_from_bytea(0, 'x')",
  "MERGE INTO user_preferences p USING users u ON p.user_id = u.id WHEN MATCHED THEN UPDATE SET theme = 'dark' RETURNING 1",
  "INSERT INTO orders (user_id, total) SELECT id, 1 FROM users RETURNING id",
];

test.each(WORKING)("works: %s", async (sql) => {
  expect((await sample.client.query(sql)).rows).not.toEqual([]);
});

test("works: LISTEN and NOTIFY", async () => {
  const { client } = sample;
  const notified = once(client, "notification");
  await client.query("LISTEN news");
  await client.query("NOTIFY news, 'good'");
  expect(await notified).toMatchObject([{ channel: "news", payload: "good" }]);
});

test("works: a cursor over several placements, a temporary table, an advisory lock", async () => {
  const { client } = sample;
  await client.query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM users ORDER BY id");
  expect((await client.query("FETCH 2 FROM c")).rows).toHaveLength(2);
  await client.query("COMMIT; CREATE TEMPORARY TABLE kept (n int); INSERT INTO kept VALUES (1)");
  expect((await client.query("SELECT n FROM kept")).rows).toEqual([{ n: "1" }]);
  await client.query("SELECT pg_advisory_lock(1)");
  expect((await client.query("SELECT pg_advisory_unlock(1) AS had")).rows).toEqual([{ had: "t" }]);
  await client.query("DROP TABLE kept");
});

test("works: SET ROLE", async () => {
  const { client } = sample;
  await client.query("SET ROLE pg_monitor");
  const { rows } = await client.query("SELECT current_user AS name");
  expect(rows).toEqual([{ name: "pg_monitor" }]);
  await client.query("RESET ROLE");
});

test("works: a view, PREPARE and EXECUTE", async () => {
  const { client } = sample;
  await client.query(
    "CREATE VIEW spending AS SELECT user_id, sum(total) FROM orders GROUP BY user_id",
  );
  await client.query("PREPARE spent AS SELECT sum FROM spending WHERE user_id = $1");
  expect((await client.query("EXECUTE spent (7)")).rows).toHaveLength(1);
  await client.query("DROP VIEW spending");
});

test("the map is a map, and the commands that need no server do what is said", async () => {
  const map = join(sample.directory, "map.yaml");
  writeFileSync(map, blocks.find(({ language }) => language === "yaml")?.body ?? "");
  expect(await runCommand("check", map)).toMatchObject({ code: 0, stderr: "" });
  const [, sql = ""] = /explain --map map\.yaml "(.*)"/.exec(text) ?? [];
  const schema = join(sample.directory, "schema.sql");
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
