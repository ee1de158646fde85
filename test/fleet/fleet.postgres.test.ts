/** Proxies that follow the control schema: a published map is everywhere soon, and its loss stops nobody. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { freePort } from "../../cli/dev/free-port.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { createMigration } from "../../control/migration-store.ts";
import { UNTHROTTLED } from "../migration/unthrottled.ts";
import { plannedMigration } from "../../migration/machine.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import {
  type CommandResult,
  runCommand,
  type RunningCommand,
  startCommand,
} from "../support/command.ts";
import { Gate } from "../support/gate.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const PROXIES = 3;

let data: TestPostgres;
/** A server of its own, so that it can be lost alone. */
let control: TestPostgres;
let directory: string;
const proxies: {
  readonly command: RunningCommand;
  readonly port: number;
  readonly adminPort: number;
}[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-fleet-"));
  data = await startPostgres({
    databases: ["main", "users0", "users1"],
    settings: { max_prepared_transactions: "20" },
  });
  control = await startPostgres();
  for (const database of ["main", "users0", "users1"])
    await data.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
});

afterAll(async () => {
  await data.stop();
  await control.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  await control.query("postgres", "DROP SCHEMA IF EXISTS colonnade CASCADE");
  await done(colonnade("control", "init"));
  await done(colonnade("map", "publish", mapFile(1)));
});

afterEach(async () => {
  for (const { command } of proxies.splice(0)) {
    command.child.kill("SIGINT");
    await command.finished;
  }
});

async function done(command: Promise<CommandResult>): Promise<void> {
  const { code, stderr } = await command;
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
}

async function colonnade(...words: readonly string[]) {
  return await runCommand(...words, "--control", control.url("postgres"));
}

/** Each version lists one more table, which is yet to be made. */
function mapFile(version: number): string {
  const path = join(directory, `map-${version}.yaml`);
  const more = Array.from({ length: version - 1 }, (_, index) => `, more${index}: user_id`);
  const primary = (name: string): string => `{ primary: "${data.url(name)}" }`;
  writeFileSync(
    path,
    `version: ${version}
catalog: main
databases: { main: ${primary("main")}, users0: ${primary("users0")}, users1: ${primary("users1")} }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id${more.join("")} }
    placements:
      - { shards: 0-3, database: users0 }
      - { shards: 4-7, database: users1 }
`,
  );
  return path;
}

async function startProxy(...more: readonly string[]): Promise<(typeof proxies)[number]> {
  return await startProxyAs("postgres", more);
}

/** `role`: of its connections to the control schema, which are the URL's where it is given. */
async function startProxyAs(
  role: string,
  more: readonly string[] = [],
  url = control.url("postgres", role),
): Promise<(typeof proxies)[number]> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = join(directory, `config-${port}.yaml`);
  const settings = ["admin_users: [postgres]", `port: ${port}`, `port: ${adminPort}`];
  const sections = ["console", "listen", "admin"].map(
    (name, index) => `${name}: { ${settings[index]} }`,
  );
  writeFileSync(config, sections.join("\n"));
  const command = startCommand("serve", "--control", url, "--config", config, ...more);
  await command.untilPrinted('"listening"');
  const proxy = { command, port, adminPort };
  proxies.push(proxy);
  return proxy;
}

async function metric(adminPort: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

async function until(isSo: () => Promise<boolean>, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!(await isSo())) {
    expect(performance.now() - start).toBeLessThan(withinMs);
    await sleep(10);
  }
  return performance.now() - start;
}

interface Status {
  readonly mapVersion: number;
  readonly proxies: readonly { readonly address: string; readonly mapVersion: number }[];
}

async function status(): Promise<Status> {
  return JSON.parse((await colonnade("control", "status", "--json")).stdout) as Status;
}

test("a published map is in force in every proxy before the command ends, and each answer is right meanwhile", async () => {
  for (let index = 0; index < PROXIES; index += 1) await startProxy();
  await data.query("main", "TRUNCATE users");
  const client = new pg.Client({
    host: "127.0.0.1",
    port: proxies[0]?.port ?? 0,
    user: "postgres",
    database: "main",
  });
  await client.connect();
  await client.query(
    "DELETE FROM users; INSERT INTO users SELECT n, 'x' FROM generate_series(1, 100) n",
  );
  const over = new AbortController();
  const load = proxies.map(async ({ port }) => {
    const reader = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "main" });
    await reader.connect();
    let answers = 0;
    while (!over.signal.aborted) {
      const { rows } = await reader.query<{ n: string }>("SELECT count(*) AS n FROM users");
      expect(rows).toEqual([{ n: "100" }]);
      await reader.query("UPDATE users SET name = $2 WHERE id = $1", [1 + (answers % 100), "y"]);
      answers += 1;
    }
    await reader.end();
    return answers;
  });
  for (const version of [2, 3, 4]) {
    const published = await colonnade("map", "publish", mapFile(version));
    expect(published.stderr).toBe("");
    expect(published.stdout.match(/ serves it$/gm)).toHaveLength(PROXIES);
    for (const { adminPort } of proxies)
      expect(await metric(adminPort, "colonnade_map_version")).toBe(version);
  }
  over.abort();
  for (const answers of await Promise.all(load)) expect(answers).toBeGreaterThan(0);
  await client.end();
});

test("it takes less than a second, heard or only looked for", async () => {
  const proxy = await startProxy();
  const look = async (): Promise<boolean> =>
    (await metric(proxy.adminPort, "colonnade_map_version")) === 2;
  await colonnade("map", "publish", mapFile(2), "--no-wait");
  await until(look, 1_000);
  // Without a notification: as after one that was lost.
  await control.query("postgres", "UPDATE colonnade.control SET revision = revision + 1");
  const revision = async (): Promise<boolean> => {
    const { rows } = await control.query(
      "postgres",
      "SELECT bool_and(p.applied_revision = c.revision) AS follows FROM colonnade.proxy p, colonnade.control c",
    );
    return rows[0]?.["follows"] === true;
  };
  await until(revision, 1_000);
});

test("a proxy that stops takes its row away; one that is killed is shown as silent", async () => {
  const [stopped, killed] = [await startProxy(), await startProxy()];
  await until(async () => (await status()).proxies.length === 2, 20_000);
  stopped.command.child.kill("SIGTERM");
  await stopped.command.finished;
  killed.command.child.kill("SIGKILL");
  await killed.command.finished;
  const left = (await status()).proxies;
  expect(left.map(({ address }) => address)).toEqual([`127.0.0.1:${killed.port}`]);
  await sleep(5_500);
  expect((await colonnade("control", "status")).stdout).toContain("(dead?)");
});

test("a proxy that loses the control schema serves on, says so, and follows again", async () => {
  const proxy = await startProxy();
  await until(
    async () => (await metric(proxy.adminPort, "colonnade_control_connected")) === 1,
    5_000,
  );
  await control.kill9();
  await until(
    async () => (await metric(proxy.adminPort, "colonnade_control_connected")) === 0,
    10_000,
  );
  const client = new pg.Client({
    host: "127.0.0.1",
    port: proxy.port,
    user: "postgres",
    database: "main",
  });
  await client.connect();
  await client.query("SELECT count(*) FROM users");
  await client.end();
  expect(proxy.command.output()).toContain("going on with the map in force");
  await control.restart();
  await colonnade("map", "publish", mapFile(2), "--no-wait");
  await until(async () => (await metric(proxy.adminPort, "colonnade_map_version")) === 2, 5_000);
});

test("an answer of the control schema that never comes is not waited for", async () => {
  await using gate = await Gate.open(control);
  const proxy = await startProxyAs("postgres", [], gate.url("postgres"));
  await until(async () => (await status()).proxies.length === 1, 20_000);
  const swallowed = gate.stop("answer", "yaml, identities FROM colonnade.map");
  await colonnade("map", "publish", mapFile(2), "--no-wait");
  await swallowed.reached;
  // FLEET_RENEW_TIMEOUT_MS, and connecting anew.
  await until(async () => (await metric(proxy.adminPort, "colonnade_map_version")) === 2, 8_000);
});

test("without the control schema a proxy starts with a file, or not at all", async () => {
  await control.query("postgres", "DROP SCHEMA colonnade CASCADE");
  const refused = await runCommand("serve", "--control", control.url("postgres"));
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--map") });
  const proxy = await startProxy("--map", mapFile(1));
  expect(await metric(proxy.adminPort, "colonnade_map_version")).toBe(1);
  await colonnade("control", "init");
  await colonnade("map", "publish", mapFile(1), "--no-wait");
  await until(async () => (await status()).proxies.length === 1, 20_000);
  await colonnade("map", "publish", mapFile(2), "--no-wait");
  await until(async () => (await metric(proxy.adminPort, "colonnade_map_version")) === 2, 5_000);
  expect((await runCommand("serve")).stderr).toContain("--map FILE or --control URL");
});

test("a map that a proxy cannot serve is told of, and the old one stays", async () => {
  const proxy = await startProxy();
  await until(async () => (await status()).proxies.length === 1, 20_000);
  await control.query(
    "postgres",
    `INSERT INTO colonnade.map VALUES (2, 'version: none', 'a mistake', now(), '[]', '{}');
     UPDATE colonnade.control SET map_version = 2, revision = revision + 1`,
  );
  await until(
    async () =>
      (await colonnade("control", "status")).stdout.includes(
        "version 2 of the shard map has mistakes",
      ),
    20_000,
  );
  expect(await metric(proxy.adminPort, "colonnade_map_version")).toBe(1);
});

test("the console tells of the fleet's proxies and migrations, with no more rights than a proxy needs", async () => {
  await control.query("postgres", "DROP ROLE IF EXISTS fleet; CREATE ROLE fleet LOGIN");
  await done(colonnade("control", "init", "--proxy-role", "fleet"));
  const [asked, killed] = [await startProxyAs("fleet"), await startProxyAs("fleet")];
  await until(async () => (await status()).proxies.length === 2, 20_000);
  const migration = plannedMigration(
    "move_users",
    { sources: ["users0"], targets: ["users1"] },
    { pauseMs: 2_000, reserveMs: 500, ...UNTHROTTLED },
  );
  using database = await ControlDatabase.open(parseBackendAddress(control.url("postgres")));
  await createMigration(database, migration, { plan: { kind: "placement" }, createdBy: "ada" });
  const client = new pg.Client({
    host: "127.0.0.1",
    port: asked.port,
    user: "postgres",
    database: "colonnade",
  });
  await client.connect();
  try {
    expect((await client.query("SHOW MIGRATIONS")).rows).toMatchObject([
      {
        name: "move_users",
        kind: "placement",
        state: "planned",
        sources: "users0",
        targets: "users1",
        epoch: "0",
        created_by: "ada",
      },
    ]);
    const proxiesShown = async (): Promise<readonly unknown[]> =>
      (await client.query("SHOW PROXIES")).rows;
    const own = { port: asked.port, map_version: 1, state: "serving", is_this: true };
    const other = { port: killed.port, pid: killed.command.child.pid, map_version: 1 };
    expect(await proxiesShown()).toMatchObject([
      { ...own, problem: null },
      { ...other, state: "following", is_this: false },
    ]);
    const ids = (rows: readonly unknown[]): readonly unknown[] =>
      rows.map((row) => (row as { readonly id: string }).id).toSorted();
    const known = await control.query("postgres", "SELECT id FROM colonnade.proxy");
    expect(ids(await proxiesShown())).toEqual(ids(known.rows));
    // No file is read: it serves what is in force once this is answered.
    await client.query("RELOAD");
    asked.command.child.kill("SIGHUP");
    await asked.command.untilPrinted("SIGHUP: the map that the control schema names is in force");
    killed.command.child.kill("SIGKILL");
    await expect
      .poll(proxiesShown, { timeout: 10_000 })
      .toMatchObject([own, { ...other, state: "silent" }]);
    await control.query(
      "postgres",
      "REVOKE ALL ON colonnade.proxy, colonnade.migration FROM fleet",
    );
    expect(await proxiesShown()).toMatchObject([
      { ...own, problem: expect.stringContaining("permission denied") },
    ]);
    await expect(client.query("SHOW MIGRATIONS")).rejects.toMatchObject({ code: "42501" });
    await control.query("postgres", "ALTER ROLE fleet NOLOGIN");
    await control.query(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleet'",
    );
    await expect(client.query("RELOAD")).rejects.toMatchObject({
      code: "08006",
      routine: "control_unreachable",
      hint: expect.stringMatching(/./),
    });
    await expect(client.query("SHOW MIGRATIONS")).rejects.toMatchObject({
      code: "08004",
      message: `the control schema's database cannot be reached: role "fleet" is not permitted to log in`,
      hint: expect.stringContaining("of --control"),
    });
  } finally {
    await client.end();
    await control.query("postgres", "DROP SCHEMA colonnade CASCADE; DROP ROLE fleet");
  }
});
