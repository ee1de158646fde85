/**
 * `colonnade analyze` over what a real server tells of one workload: its logs in all three
 * formats, under both ways of logging statements, and pg_stat_statements.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Report } from "../../cli/analyze/report.ts";
import type { RouteClass } from "../../cli/analyze/route-class.ts";
import { runCommand } from "../support/command.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { EMPTY_MAP, MAP, SampleFiles, SCHEMA } from "./analyze/sample.ts";

/** The embedded server's own, of cli/dev/embedded-server.ts. */
const PREFIX = "%m [%p] %q%d ";
const ROUNDS = 12;

let server: TestPostgres;
let files: SampleFiles;
let map: string;
let schema: string;

beforeAll(async () => {
  files = new SampleFiles();
  map = files.write("map.yaml", MAP);
  schema = files.write("schema.sql", SCHEMA);
  server = await startPostgres({
    databases: ["durations", "statements"],
    settings: {
      shared_preload_libraries: "pg_stat_statements",
      "pg_stat_statements.track": "all",
      logging_collector: "on",
      log_destination: "stderr,csvlog,jsonlog",
      log_filename: "postgres.log",
    },
  });
  await server.query("durations", `CREATE EXTENSION pg_stat_statements; ${SCHEMA}`);
  await server.query("statements", SCHEMA);
  await runWorkload("durations", "SET log_min_duration_statement = 0");
  await runWorkload("statements", "SET log_statement = 'all'; SET log_duration = on");
});

afterAll(async () => {
  await server?.stop();
  files?.[Symbol.dispose]();
});

async function runWorkload(database: string, logging: string): Promise<void> {
  const client = await server.connect(database);
  await client.query(logging);
  for (let id = 1; id <= ROUNDS; id++) await runRound(client, id);
  await client.query("SELECT country, count(*) FROM users GROUP BY country");
  await client.query("SELECT u.name FROM users u JOIN orders o ON o.id = u.id");
  await client.query("SELECT count(*) FROM orders WHERE placed_at > now() - interval '1 day'");
  await client.query("SELECT * FROM users WHERE id IN (1, 2, 3)");
  await client.query(`SELECT 'two\nlines; a "quote", it''s' FROM users WHERE id = 4`);
  await client.query("PREPARE by_id AS SELECT name FROM users WHERE id = $1");
  await client.query("EXECUTE by_id(3)");
  await client.query("SELECT 1 FROM nowhere").catch(() => undefined);
  await client.end();
}

async function runRound(client: pg.Client, id: number): Promise<void> {
  await client.query("BEGIN");
  await client.query("INSERT INTO users VALUES ($1, $2, 'DE')", [id, `user ${id}`]);
  await client.query("INSERT INTO orders VALUES ($1, $1, 9.5, now())", [id]);
  await client.query("COMMIT");
  await client.query("SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1", [
    id,
  ]);
}

async function analyze(...words: readonly string[]): Promise<Report> {
  return analyzeUnder(map, ...words);
}

async function analyzeUnder(file: string, ...words: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runCommand("analyze", "--map", file, "--json", ...words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Report;
}

/** Of statements over the sample's tables: what else a server logs is its own. */
function callsByClass({ statements }: Report): Partial<Record<RouteClass, number>> {
  const calls: Partial<Record<RouteClass, number>> = {};
  for (const one of statements) {
    if (one.tables.every((table) => !SCHEMA.includes(`TABLE ${table} `))) continue;
    if (one.sql.startsWith("CREATE")) continue;
    calls[one.class] = (calls[one.class] ?? 0) + one.calls;
  }
  return calls;
}

/** Three statements a round, one with a constant key, and EXECUTE, whose text the log tells. */
const CALLS = { single: 3 * ROUNDS + 2, pruned: 1, streamed: 2, refused: 1 };

/** The log of one database alone: a log of the server has those of both. */
async function logOf(name: string, database: string, format: string): Promise<string> {
  const { rows } = await server.query("postgres", "SHOW data_directory");
  const directory = (rows[0] as { data_directory: string }).data_directory;
  const log = readFileSync(join(directory, "log", name), "utf8");
  const mark = { csv: `,"${database}",`, json: `"dbname":"${database}"`, stderr: `] ${database} ` };
  const entries = log.split(/\n(?=\d{4}-\d\d-\d\d |\{)/);
  const own = entries.filter((entry) => entry.includes(mark[format as keyof typeof mark]));
  return files.write(`${database}.${name}`, `${own.join("\n")}\n`);
}

describe.each([
  ["csv", "postgres.csv"],
  ["json", "postgres.json"],
  ["stderr", "postgres.log"],
])("a log in %s", (format, name) => {
  test.each(["durations", "statements"])(
    "%s: calls and times of every statement",
    async (database) => {
      const log = await logOf(name, database, format);
      const prefix = ["--log-line-prefix", PREFIX];
      const report = await analyze("--schema", schema, "--log", log, ...prefix, "--suggest");
      expect(callsByClass(report)).toEqual(CALLS);
      expect(report.unread).toEqual([]);
      expect(report.knowsTime).toBe(true);
      // A statement that failed has no duration.
      const untimed = report.statements.filter(({ calls, timeMs }) => calls > 0 && timeMs === 0);
      expect(untimed.map(({ sql }) => sql)).toEqual(
        database === "statements" ? ["SELECT 1 FROM nowhere"] : [],
      );
      expect(report.statements.map(({ sql }) => sql)).toContain(
        `SELECT 'two\nlines; a "quote", it''s' FROM users WHERE id = 4`,
      );
      expect(report.reasons.map(({ id }) => id)).toContain("join_not_colocated");
      // The map is the best there is; one of nothing but databases finds it.
      expect(report.suggestion).toBeNull();
      const { suggestion } = await analyzeUnder(
        files.write("empty.yaml", EMPTY_MAP),
        "--schema",
        schema,
        "--log",
        log,
        ...prefix,
        "--suggest",
      );
      expect(suggestion?.colocations[0]?.tables).toEqual(
        expect.arrayContaining([
          { table: "users", column: "id" },
          { table: "orders", column: "user_id" },
        ]),
      );
      expect(suggestion?.spanning).toEqual([]);
    },
  );

  test("the whole server's log, other databases' statements and all", async () => {
    const { rows } = await server.query("postgres", "SHOW data_directory");
    const directory = (rows[0] as { data_directory: string }).data_directory;
    const log = join(directory, "log", name);
    const report = await analyze("--schema", schema, "--log", log, "--log-line-prefix", PREFIX);
    const both = Object.entries(CALLS).map(([name_, calls]) => [name_, 2 * calls]);
    expect(callsByClass(report)).toEqual(Object.fromEntries(both));
    expect(report.unread).toEqual([]);
  });
});

test("pg_stat_statements: the database's own catalog, constants that became parameters", async () => {
  const page = files.path("page.html");
  const url = server.url("durations");
  const report = await analyze("--database", url, "--html", page, "--suggest");
  expect(callsByClass(report)).toEqual(CALLS);
  expect(report.unread).toEqual([]);
  expect(report.unknownTables).toEqual([]);
  expect(report.statements.map(({ sql }) => sql).join("\n")).toContain("interval $1");
  expect(report.suggestion).toBeNull();
  expect(readFileSync(page, "utf8")).toContain("pg_stat_statements");
  // Its own statements are not among those that it finds when it is called again.
  const again = await analyze("--database", url);
  expect(again.statements.filter(({ sql }) => sql.includes("colonnade analyze"))).toEqual([]);
});

test.each([
  ["a database without the extension", "statements", /CREATE EXTENSION pg_stat_statements/],
  ["a database that is not there", "nothing", /cannot read pg_stat_statements: .*nothing/],
])("%s is told", async (_name, database, message) => {
  const result = await runCommand("analyze", "--map", map, "--database", server.url(database));
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(message);
});

test("a role that may not read other roles' statements is told what it needs", async () => {
  await server.query("durations", "CREATE ROLE reader LOGIN");
  const url = server.url("durations", "reader");
  const { unread } = await analyze("--schema", schema, "--database", url);
  expect(unread).toMatchObject([{ reason: expect.stringContaining("pg_read_all_stats") }]);
});
