/**
 * Drivers as applications use them, against the sample of `colonnade dev`: what each does
 * beyond plain queries (type look-ups, pipelines, prepared statements, binary, cursors).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { freePort } from "../../cli/dev/free-port.ts";
import { loadSql, readSql } from "../../cli/dev/load-sql.ts";
import { requireMap } from "../../cli/input-files.ts";
import { DEFAULT_CONFIG } from "../../proxy/config/config.ts";
import { startProxy } from "../../proxy/main.ts";
import type { RunningProxy } from "../../proxy/running-proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ROOT } from "../tidy/sources.ts";

const DATABASES = ["main", "users0", "users1", "users2"];
const SAMPLE = join(ROOT, "deploy", "dev");

let server: TestPostgres;
let proxy: RunningProxy;
let url: string;

beforeAll(async () => {
  server = await startPostgres({ databases: DATABASES });
  await server.query("users2", "CREATE SCHEMA users_b");
  proxy = await startProxy({
    version: "0.0.0",
    map: requireMap(join(SAMPLE, "map.yaml")),
    config: DEFAULT_CONFIG,
    embedded: new Map(DATABASES.map((name) => [databaseName(name), server.url(name)])),
    port: await freePort(),
    adminPort: await freePort(),
    log: createLog("fatal"),
    metrics: new Metrics(),
  });
  url = `postgres://postgres@127.0.0.1:${proxy.port}/main`;
  const statements = await readSql([join(SAMPLE, "schema.sql"), join(SAMPLE, "data.sql")]);
  await loadSql({ statements, url, signal: AbortSignal.timeout(60_000) });
});

afterAll(async () => {
  await proxy.close();
  await server.stop();
});

test("the sample's file has the rows that are there", async () => {
  const written = readFileSync(join(SAMPLE, "data.sql"), "utf8").match(/^ {2}\(/gm)?.length;
  const client = new pg.Client(url);
  await client.connect();
  let total = 0;
  for (const table of requireMap(join(SAMPLE, "map.yaml")).tables.keys()) {
    const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
    total += Number(rows[0]?.count);
  }
  await client.end();
  expect(total).toBe(written);
});

test("postgres.js: parameters by type, arrays, pipelined queries, transactions, cursors", async () => {
  const sql = postgres(url, { max: 3, onnotice: () => undefined });
  try {
    const [user] = await sql`SELECT id, name FROM users WHERE id = ${7}`;
    expect(user).toMatchObject({ id: "7" });
    const ids = ["3", "11", "42"];
    const some = await sql`SELECT id FROM users WHERE id = ANY(${ids}::bigint[]) ORDER BY id`;
    expect(some.map((row): unknown => row["id"])).toEqual(ids);
    const many = await Promise.all(
      Array.from(
        { length: 40 },
        async (_, n) => await sql`SELECT id FROM users WHERE id = ${n + 1}`,
      ),
    );
    expect(many.map(([row]): unknown => row?.["id"])).toEqual(
      Array.from({ length: 40 }, (_, n) => String(n + 1)),
    );
    await sql.begin(async (inside) => {
      await inside`INSERT INTO users (id, name, email, country) VALUES (${5001}, 'P', 'p@x', 'DE')`;
      await inside`INSERT INTO user_preferences (user_id) VALUES (${5001})`;
    });
    const [theme] = await sql`SELECT theme FROM user_preferences WHERE user_id = 5001`;
    expect(theme).toEqual({ theme: "light" });
    const rolledBack = sql.begin(async (inside) => {
      await inside`DELETE FROM user_preferences WHERE user_id = 5001`;
      throw new Error("undo");
    });
    await expect(rolledBack).rejects.toThrow("undo");
    expect(await sql`SELECT FROM user_preferences WHERE user_id = 5001`).toHaveLength(1);
    let read = 0;
    await sql`SELECT id FROM orders`.cursor(50, (rows) => void (read += rows.length));
    expect(read).toBe(400);
  } finally {
    await sql.end();
  }
});

test("node-postgres: a pool, named statements, binary results, bytes and dates", async () => {
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  try {
    const named = { name: "one-user", text: "SELECT name FROM users WHERE id = $1" };
    const runs = Array.from({ length: 20 }, async (_, n) => await pool.query(named, [n + 1]));
    expect((await Promise.all(runs)).every(({ rowCount }) => rowCount === 1)).toBe(true);
    const binary = { text: "SELECT id FROM users WHERE id = $1", binary: true };
    expect((await pool.query<{ id: unknown }>(binary, [9])).rows).toHaveLength(1);
    const { rows } = await pool.query<{ created_at: Date }>(
      "SELECT created_at FROM users WHERE created_at < $1 ORDER BY created_at, id LIMIT 3",
      [new Date("2025-02-01T00:00:00Z")],
    );
    const times = rows.map(({ created_at: createdAt }) => createdAt.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times).toHaveLength(3);
  } finally {
    await pool.end();
  }
});
