/** `colonnade serve` from the outside: reload, drain, stop, and starts that cannot be. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { freePort } from "../../cli/dev/free-port.ts";
import { runCommand, type RunningCommand, startCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let directory: string;
let port: number;
let adminPort: number;
const commands: RunningCommand[] = [];

beforeAll(async () => {
  server = await startPostgres({ databases: ["main", "users0"] });
  for (const database of ["main", "users0"]) {
    await server.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
  }
});

afterAll(async () => await server.stop());

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-serve-"));
  port = await freePort();
  adminPort = await freePort();
  writeMap(1, "0-7");
  writeFileSync(
    join(directory, "config.yaml"),
    `listen: { port: ${port} }\nadmin: { port: ${adminPort} }\ndrain_ms: 5000\n`,
  );
});

afterEach(async () => {
  for (const { child, finished } of commands.splice(0)) {
    child.kill("SIGINT");
    await finished;
  }
  rmSync(directory, { recursive: true, force: true });
});

function writeMap(version: number, shards: string, database = "users0"): void {
  writeFileSync(
    join(directory, "map.yaml"),
    `version: ${version}
catalog: main
databases:
  main: { primary: "${server.url("main")}" }
  users0: { primary: "${server.url("users0")}" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id }
    placements:
      - { shards: ${shards}, database: ${database} }
`,
  );
}

const flags = (): readonly string[] => [
  "serve",
  "--map",
  join(directory, "map.yaml"),
  "--config",
  join(directory, "config.yaml"),
];

async function startServe(): Promise<RunningCommand> {
  const command = startCommand(...flags());
  commands.push(command);
  await command.untilPrinted('"listening"');
  return command;
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "main" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function status(path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${adminPort}${path}`)).status;
}

async function mapVersion(): Promise<string | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return /^colonnade_map_version (\d+)$/m.exec(text)?.[1];
}

test("SIGHUP applies a good map, refuses a bad one, and clients notice neither", async () => {
  const command = await startServe();
  const client = await connect();
  await client.query("INSERT INTO users VALUES (1, 'a') ON CONFLICT DO NOTHING");
  expect(await status("/readyz")).toBe(200);
  expect(await mapVersion()).toBe("1");

  writeMap(2, "0-6");
  command.child.kill("SIGHUP");
  await command.untilPrinted("shard map refused; the old one stays");
  expect(command.output()).toMatch(/map\.yaml:\d+:\d+: colocations\.users/);
  expect(await mapVersion()).toBe("1");
  expect((await client.query("SELECT name FROM users WHERE id = 1")).rows).toEqual([{ name: "a" }]);

  writeMap(3, "0-7");
  command.child.kill("SIGHUP");
  await command.untilPrinted("shard map applied");
  expect(await mapVersion()).toBe("3");
  expect((await client.query("SELECT name FROM users WHERE id = 1")).rows).toEqual([{ name: "a" }]);
  await client.end();
});

test("SIGHUP refuses an older map, and one that moves rows by naming another place", async () => {
  writeMap(5, "0-7");
  const command = await startServe();
  const client = await connect();
  await client.query("INSERT INTO users VALUES (1, 'a') ON CONFLICT DO NOTHING");
  for (const [id, version, database] of [
    ["map_leaves_rows", 6, "main"],
    ["map_version_lower", 4, "users0"],
  ] as const) {
    writeMap(version, "0-7", database);
    command.child.kill("SIGHUP");
    await command.untilPrinted(`"id":"${id}"`);
    expect(await mapVersion()).toBe("5");
    const { rows } = await client.query("SELECT name FROM users WHERE id = 1");
    expect(rows).toEqual([{ name: "a" }]);
  }
  await client.end();
});

test("SIGTERM lets an open transaction end, takes no new clients, and ends with 0", async () => {
  const command = await startServe();
  const [busy, idle] = [await connect(), await connect()];
  const idleEnded = new Promise((resolve) => idle.once("end", resolve));
  await busy.query("BEGIN");
  await busy.query("INSERT INTO users VALUES (2, 'b')");
  command.child.kill("SIGTERM");
  await idleEnded;
  await expect(connect()).rejects.toThrow(/ECONNREFUSED|shutting down|terminated/);
  await busy.query("COMMIT");
  expect(await command.finished).toMatchObject({ code: 0, stderr: "" });
  expect((await server.query("users0", "SELECT name FROM users WHERE id = 2")).rows).toEqual([
    { name: "b" },
  ]);
});

test("a transaction that does not end is cut off after drain_ms; a second signal does not wait", async () => {
  const command = await startServe();
  const client = await connect();
  await client.query("BEGIN");
  await client.query("INSERT INTO users VALUES (3, 'c')");
  const before = performance.now();
  command.child.kill("SIGTERM");
  await sleep(300);
  command.child.kill("SIGTERM");
  expect((await command.finished).code).toBe(0);
  expect(performance.now() - before).toBeLessThan(4_000);
  expect((await server.query("users0", "SELECT FROM users WHERE id = 3")).rowCount).toBe(0);
  await client.end().catch(() => undefined);
});

test("listening is said once", async () => {
  const command = await startServe();
  await (await connect()).end();
  expect(command.output().match(/"listening"/g)).toHaveLength(1);
});

test("no SQL text in the log at its usual level", async () => {
  const command = await startServe();
  const client = await connect();
  await client.query("SELECT 'a-literal' FROM users WHERE id = 1");
  await expect(client.query("SELECT 'a-literal' FROM nowhere")).rejects.toThrow("nowhere");
  await client.end();
  expect(command.output()).not.toContain("a-literal");
});

test("a start that cannot be ends with one line and code 2", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
  const { code, stderr } = await runCommand(...flags());
  await new Promise((resolve) => taken.close(resolve));
  expect(code).toBe(2);
  expect(stderr).toBe(
    `colonnade: cannot start: 127.0.0.1:${port} is in use; change listen.port or admin.port\n`,
  );
});

test("check --live and explain read the databases", async () => {
  const map = join(directory, "map.yaml");
  const checked = await runCommand("check", map, "--live");
  expect(checked.stdout + checked.stderr).toContain("version 1 is sound");
  expect(checked.code).toBe(0);
  const explained = await runCommand("explain", "--map", map, "SELECT * FROM users WHERE id = 9");
  expect(explained).toMatchObject({ code: 0, stderr: "" });
  expect(explained.stdout).toContain("fragment users0.public");

  await server.query("users0", "ALTER TABLE users RENAME TO people");
  const broken = await runCommand("check", map, "--live", "--json");
  await server.query("users0", "ALTER TABLE people RENAME TO users");
  expect(broken.code).toBe(1);
  expect(JSON.parse(broken.stdout)).toMatchObject({
    isValid: false,
    findings: expect.arrayContaining([
      expect.objectContaining({ severity: "error", database: "users0", object: "public.users" }),
    ]) as unknown,
  });
});
