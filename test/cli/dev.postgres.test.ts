/** `colonnade dev` from the outside: what a stranger types, sees and interrupts. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../cli/dev/free-port.ts";
import { STATEMENTS_TO_TRY } from "../../cli/dev/welcome.ts";
import { runCommand, type RunningCommand, startCommand } from "../support/command.ts";
import { startPostgres } from "../support/postgres.ts";
import { inFullRun } from "../support/run-mode.ts";
import { ROOT } from "../tidy/sources.ts";

let directory: string;
let data: string;
let ports: readonly string[];
let port: number;
const commands: RunningCommand[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-dev-"));
  execFileSync("chmod", ["755", directory]);
  data = join(directory, "data");
  port = await freePort();
  ports = ["--port", String(port), "--admin-port", String(await freePort())];
});

afterEach(async () => {
  for (const { child, finished } of commands.splice(0)) {
    child.kill("SIGINT");
    await finished;
  }
  rmSync(directory, { recursive: true, force: true });
});

async function startDev(...more: readonly string[]): Promise<RunningCommand> {
  const command = startCommand("dev", "--data", data, ...ports, ...more);
  commands.push(command);
  await command.untilPrinted("Ctrl-C stops everything");
  return command;
}

async function withClient<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "main" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The servers that run on our data, by their command lines. */
function serversRunning(): number {
  const listed = execFileSync("ps", ["-eww", "-o", "args="]).toString();
  return listed.split("\n").filter((line) => line.includes(`-D ${data}/server`)).length;
}

async function interrupt(
  command: RunningCommand,
  signal: NodeJS.Signals = "SIGINT",
): Promise<void> {
  command.child.kill(signal);
  expect(await command.finished).toMatchObject({ code: 0, stderr: "" });
  expect(serversRunning()).toBe(0);
  expect(existsSync(join(data, "lock"))).toBe(false);
}

test("the first start makes the sample, the second finds what was written", async () => {
  const first = await startDev();
  expect(first.output()).toContain(`postgres://postgres@127.0.0.1:${port}/main`);
  expect(serversRunning()).toBe(2);
  await withClient(async (client) => {
    for (const { sql } of STATEMENTS_TO_TRY.slice(0, 2)) {
      expect(first.output()).toContain(sql);
      expect((await client.query(sql)).rowCount).toBeGreaterThan(0);
    }
    await expect(client.query(STATEMENTS_TO_TRY[2].sql)).rejects.toMatchObject({ code: "0A000" });
    expect((await client.query("SELECT count(*) AS n FROM users")).rows).toEqual([{ n: "120" }]);
    expect((await client.query("SELECT count(*) AS n FROM orders")).rows).toEqual([{ n: "400" }]);
    await client.query(
      "INSERT INTO users (id, name, email, country) VALUES (7001, 'New', 'n@example.com', 'DE')",
    );
  });
  await interrupt(first);

  const second = await startDev();
  expect(second.output()).not.toContain("creating the tables");
  await withClient(async (client) => {
    const found = await client.query("SELECT name FROM users WHERE id = $1", [7001]);
    expect(found.rows).toEqual([{ name: "New" }]);
  });
  await interrupt(second, "SIGTERM");
});

test("the rows are where the map says, in four databases", async () => {
  const command = await startDev();
  const direct = [...command.output().matchAll(/^ {2}(\w+) +(postgres:\S+\/\1)$/gm)];
  expect(direct.map(([, name]) => name)).toEqual(["main", "users0", "users1", "users2"]);
  let total = 0;
  for (const [, , url] of direct) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ n: number }>("SELECT count(*)::int AS n FROM users");
    await client.end();
    expect(rows[0]?.n).toBeGreaterThan(0);
    total += rows[0]?.n ?? 0;
  }
  // users2 holds a second placement, in its schema users_b.
  expect(total).toBeLessThan(120);
  expect(total).toBeGreaterThan(80);
});

/** The blocks of commands that stand under a heading of a page, for our own data and free ports. */
function blocksUnder(heading: string, page: string, free: readonly number[]): readonly string[] {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  const [, rest = ""] = text.split(`\n${heading}\n`);
  const [section = ""] = rest.split(/^#/m);
  return [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) =>
    block
      .replaceAll(".colonnade/", `${data}/`)
      .replace("6433", String(free[0]))
      .replace("9633", String(free[1]))
      .replace("dist/cli/main.js", "cli/main.ts")
      .replaceAll(/(second|next)[.]yaml/g, join(directory, "$1.yaml"))
      .trimEnd(),
  );
}

/** The commands that docs/fleet.md gives for a fleet on one machine; the last one runs on. */
function commandsOfOneMachine(main: string, free: readonly number[]): readonly string[] {
  const [block = ""] = blocksUnder("### On one machine", "fleet.md", free);
  return block.replace(/^(export MAIN=).*$/m, `$1${main}`).split("\n");
}

/** As a person has them run by a shell, with the commands of this project. */
function shell(main: string, lines: string): ChildProcess {
  const path = `${join(ROOT, "node_modules", ".bin")}:${process.env["PATH"]}`;
  const env = { ...process.env, MAIN: main, PATH: path };
  const here = lines.replaceAll("npx colonnade", "node cli/main.ts");
  return spawn("sh", ["-c", `set -e\n${here}`], { cwd: ROOT, env, stdio: "inherit" });
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code] = (await once(child, "close")) as unknown[];
  return code;
}

const SPLIT = "split_users_users1_public";

/** docs/migration.md's first split: all of its commands, in a fleet that serves. */
async function splitAsThePageSays(main: string): Promise<void> {
  const [begin = "", thereAndBack = "", forGood = ""] = blocksUnder(
    "## A first split, on one machine",
    "migration.md",
    [],
  );
  const state = async (): Promise<unknown> => {
    const { stdout } = await runCommand("migrate", "status", SPLIT, "--json", "--control", main);
    return stdout === "" ? undefined : (JSON.parse(stdout) as { readonly state: string }).state;
  };
  const untilReady = async (): Promise<void> =>
    await expect.poll(state, { timeout: 90_000, interval: 500 }).toBe("ready");
  // `map diff` ends with 1: rows would have to move. What is stopped has to be the last command itself.
  const lines = begin
    .replace(/^(?=.* map diff )/m, "! ")
    .replace(/^(?=.* migrate start )/m, "exec ");
  const started = shell(main, lines);
  const ended = exitCode(started);
  try {
    await untilReady();
    expect(await exitCode(shell(main, thereAndBack))).toBe(0);
    await untilReady();
    expect(await exitCode(shell(main, forGood))).toBe(0);
    expect(await ended).toBe(0);
  } finally {
    started.kill("SIGTERM");
    await ended;
  }
}

test("the map with its URLs is what a fleet and a migration can be tried with, as the pages say", async () => {
  const dev = await startDev();
  const [, main = ""] = /^ {2}main +(postgres:\S+)$/m.exec(dev.output()) ?? [];
  const mapFile = join(data, "map.yaml");
  expect(dev.output()).toContain(mapFile);
  expect(readFileSync(mapFile, "utf8")).toContain("# A second placement in the same database");
  expect(await runCommand("check", "--live", mapFile)).toMatchObject({ code: 0 });
  const free = [await freePort(), await freePort()];
  const lines = commandsOfOneMachine(main, free);
  const serve = shell(main, [...lines.slice(0, -1), `exec ${lines.at(-1)}`].join("\n"));
  const ended = once(serve, "close");
  const users = async (): Promise<unknown> =>
    await withClient(
      async (client) => (await client.query("SELECT count(*)::int AS n FROM users")).rows,
    ).catch(String);
  try {
    port = free[0] ?? 0;
    await expect.poll(users, { timeout: 60_000 }).toEqual([{ n: 120 }]);
    const status = await runCommand("control", "status", "--control", main);
    expect(status.stdout).toContain(`127.0.0.1:${free[0]}`);
    await splitAsThePageSays(main);
    expect(await users()).toEqual([{ n: 120 }]);
  } finally {
    serve.kill("SIGTERM");
    await ended;
  }
});

test("roles are made on every server", async () => {
  const command = await startDev();
  await withClient(async (client) => await client.query("CREATE ROLE auditor"));
  const direct = [...command.output().matchAll(/^ {2}(\w+) +(postgres:\S+\/\1)$/gm)];
  expect(direct).toHaveLength(4);
  for (const [, , url] of direct) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(
      "SELECT 1 AS found FROM pg_roles WHERE rolname = 'auditor'",
    );
    await client.end();
    expect(rows).toEqual([{ found: 1 }]);
  }
});

test("one at a time, and a lock whose process was killed is no obstacle", async () => {
  const first = await startDev();
  const other = ["--port", String(await freePort()), "--admin-port", String(await freePort())];
  const { code, stderr } = await runCommand("dev", "--data", data, ...other);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^colonnade: colonnade dev \(process \d+\) already uses .*: stop it, or .*--data\n$/,
  );
  expect(serversRunning()).toBe(2);

  first.child.kill("SIGKILL");
  await first.finished;
  expect(existsSync(join(data, "lock"))).toBe(true);
  const second = await startDev();
  await withClient(async (client) => {
    expect((await client.query("SELECT count(*) AS n FROM users")).rows).toEqual([{ n: "120" }]);
  });
  await interrupt(second);
});

test.each(inFullRun([50, 400, 1_500, 2_500], [400, 2_500]))(
  "Ctrl-C after %d ms, wherever it is then",
  async (ms) => {
    const command = startCommand("dev", "--data", data, ...ports);
    commands.push(command);
    await sleep(ms);
    command.child.kill("SIGINT");
    await command.finished;
    expect(serversRunning()).toBe(0);
    const second = await startDev();
    await interrupt(second);
  },
);

test("a second Ctrl-C does not wait", async () => {
  const command = await startDev();
  command.child.kill("SIGINT");
  command.child.kill("SIGTERM");
  const { code } = await command.finished;
  expect(code).toBe(0);
  expect(serversRunning()).toBe(0);
});

test("--reset begins anew", async () => {
  const first = await startDev();
  await withClient(async (client) => await client.query("DELETE FROM user_preferences"));
  await interrupt(first);
  const second = await startDev("--reset");
  await withClient(async (client) => {
    const { rows } = await client.query("SELECT count(*) AS n FROM user_preferences");
    expect(rows).toEqual([{ n: "120" }]);
  });
  await interrupt(second);
});

test("a map of one's own: embedded databases beside a server that runs already", async () => {
  await using server = await startPostgres({ databases: ["own"] });
  const map = join(directory, "map.yaml");
  writeFileSync(
    map,
    `version: 1
catalog: main
databases:
  main: { embedded: true }
  own: { primary: "${server.url("own")}" }
colocations:
  notes:
    shard_key: text
    function: hash
    logical_shards: 8
    tables: { notes: author }
    placements:
      - { shards: 0-3, database: main, schema: notes_a }
      - { shards: 4-7, database: own }
`,
  );
  const sql = join(directory, "notes.sql");
  writeFileSync(
    sql,
    "-- first\nCREATE TABLE notes (author text PRIMARY KEY, body text);\nINSERT INTO notes VALUES ('a', '1'), ('b', '2'), ('c', '3'), ('d', '4'), ('e', '5'), ('f', '6');\n",
  );
  const command = await startDev("--map", map, "--sql", sql);
  await withClient(async (client) => {
    const { rows } = await client.query<{ author: string }>(
      "SELECT author FROM notes ORDER BY author",
    );
    expect(rows.map(({ author }) => author).join("")).toBe("abcdef");
  });
  const own = await server.query("own", "SELECT count(*)::int AS n FROM notes");
  expect(own.rows[0]?.["n"]).toBeGreaterThan(0);
  expect(own.rows[0]?.["n"]).toBeLessThan(6);
  await interrupt(command);
  expect((await server.query("own", "SELECT 1 AS alive")).rows).toEqual([{ alive: 1 }]);
});

test("a mistake in the SQL file is told with its line, and nothing is left running", async () => {
  const sql = join(directory, "wrong.sql");
  writeFileSync(sql, "-- a comment\nSELECT 1;\n\n-- another\nINSERT INTO nowhere VALUES (1);\n");
  const { code, stderr } = await runCommand("dev", "--data", data, ...ports, "--sql", sql);
  expect(stderr).toContain(`${sql}:5: 42P01: relation "nowhere" does not exist`);
  expect(code).toBe(2);
  expect(serversRunning()).toBe(0);
  expect(JSON.parse(readFileSync(join(data, "state.json"), "utf8"))).toMatchObject({
    isLoaded: false,
  });
});

test("a PostgreSQL server that is killed is started again, and the proxy finds it", async () => {
  const command = await startDev();
  const listed = execFileSync("ps", ["-eww", "-o", "pid=,args="]).toString();
  const victim = listed.split("\n").find((line) => line.includes(`-D ${data}/server0`));
  process.kill(Number.parseInt(victim?.trim() ?? "", 10), "SIGKILL");
  await command.untilPrinted("it runs again");
  for (let attempt = 0; ; attempt += 1) {
    try {
      await withClient(async (client) => {
        expect((await client.query("SELECT count(*) AS n FROM users")).rows).toEqual([
          { n: "120" },
        ]);
      });
      break;
    } catch (cause) {
      if (attempt === 20) throw cause;
      await sleep(250);
    }
  }
  await interrupt(command);
});
