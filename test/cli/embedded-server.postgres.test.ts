import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { ServerStartError, startEmbeddedServer } from "../../cli/dev/embedded-server.ts";
import { freePort } from "../../cli/dev/free-port.ts";
import { canEnter, findServerAccount, reachableDirectory } from "../../cli/dev/server-account.ts";
import { startPostgres } from "../support/postgres.ts";
import { ROOT } from "../tidy/sources.ts";

const directories: string[] = [];
afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

function temporaryDirectory(): string {
  const path = join(tmpdir(), `colonnade-test-${process.pid}-${randomBytes(6).toString("hex")}`);
  directories.push(path);
  return path;
}

async function accepts(port: number): Promise<boolean> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i += 1) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error("not within ten seconds");
}

test("text sorts by its bytes, and two-phase commit and logical decoding are on", async () => {
  await using server = await startPostgres({ databases: ["app", 'Other "name"'] });
  const sorted = await server.query(
    "app",
    "SELECT x FROM unnest(ARRAY['b','A','ä','a','Z']) x ORDER BY x",
  );
  expect(sorted.rows.map(({ x }) => x)).toEqual(["A", "Z", "a", "b", "ä"]);
  expect((await server.query("app", "SELECT upper('ä')")).rows).toEqual([{ upper: "Ä" }]);
  const settings =
    "SELECT current_setting('wal_level') l, current_setting('max_prepared_transactions')::int p";
  expect((await server.query('Other "name"', settings)).rows).toEqual([{ l: "logical", p: 100 }]);
});

test("what a killed server acknowledged is there after its restart, on the same port", async () => {
  await using server = await startPostgres({ databases: ["app"] });
  await server.query(
    "app",
    "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)",
  );
  await server.kill9();
  expect(await accepts(server.port)).toBe(false);
  await server.restart();
  expect((await server.query("app", "SELECT count(*)::int FROM t")).rows).toEqual([
    { count: 1000 },
  ]);
});

test("pg_hba lines and settings are the caller's", async () => {
  await using server = await startPostgres({
    settings: { password_encryption: "scram-sha-256", work_mem: "7MB" },
    hba: ["host all guarded 127.0.0.1/32 scram-sha-256"],
  });
  await server.query("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'right'");
  expect((await server.query("postgres", "SHOW work_mem")).rows).toEqual([{ work_mem: "7MB" }]);
  await (await server.connect("postgres", { user: "guarded", password: "right" })).end();
  await expect(server.connect("postgres", { user: "guarded", password: "wrong" })).rejects.toThrow(
    "password authentication failed",
  );
});

test("a server dies with a parent that was killed", async () => {
  const dataDirectory = temporaryDirectory();
  const { parent, port, pid, watchPids } = await startInChild(dataDirectory);
  expect(await accepts(port)).toBe(true);
  parent.kill("SIGKILL");
  await until(async () => !(await accepts(port)));
  // They write to the directory to their end.
  await until(() => Promise.resolve([pid, ...watchPids].every(hasEnded)));
});

test("a server whose watch was killed too is stopped by the next start", async () => {
  const dataDirectory = temporaryDirectory();
  const { parent, port, pid, watchPids } = await startInChild(dataDirectory);
  for (const watch of watchPids) process.kill(watch, "SIGKILL");
  parent.kill("SIGKILL");
  await sleep(300);
  expect(await accepts(port)).toBe(true);
  const server = await startEmbeddedServer({ dataDirectory, isDurable: false });
  expect(server.pid).not.toBe(pid);
  expect(await accepts(server.port)).toBe(true);
  await server.stop();
});

test("a pid file that names a stranger's process does not stop the stranger", async () => {
  const dataDirectory = temporaryDirectory();
  await (await startEmbeddedServer({ dataDirectory, isDurable: false })).stop();
  const stranger = spawn("sleep", ["30"]);
  writeFileSync(join(dataDirectory, "postmaster.pid"), `${stranger.pid}\n${dataDirectory}\n`);
  const server = await startEmbeddedServer({ dataDirectory, isDurable: false });
  expect(stranger.exitCode).toBeNull();
  await server.stop("immediate");
  stranger.kill();
});

test("a given port that is taken is an error, and says so", async () => {
  const taken = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
  const start = startEmbeddedServer({
    dataDirectory: temporaryDirectory(),
    isDurable: false,
    port,
  });
  await expect(start).rejects.toBeInstanceOf(ServerStartError);
  await expect(start).rejects.toMatchObject({ isPortTaken: true });
  await new Promise((resolve) => taken.close(resolve));
});

test("an aborted start leaves no server", async () => {
  const dataDirectory = temporaryDirectory();
  const start = startEmbeddedServer({
    dataDirectory,
    isDurable: false,
    signal: AbortSignal.timeout(50),
  });
  await expect(start).rejects.toThrow(/abort/i);
  await (await startEmbeddedServer({ dataDirectory, isDurable: false })).stop();
});

test.runIf(process.getuid?.() === 0)(
  "root's servers avoid directories that only root can enter",
  () => {
    const account = findServerAccount();
    const locked = temporaryDirectory();
    mkdirSync(locked);
    chmodSync(locked, 0o700);
    expect(canEnter(join(locked, "clone"), account)).toBe(false);
    const elsewhere = reachableDirectory(join(locked, "clone", ".colonnade", "server0"), account);
    expect(elsewhere).toMatch(/^\/var\/lib\/colonnade\/server0-[0-9a-f]{12}$/);
    chmodSync(locked, 0o755);
    expect(reachableDirectory(join(locked, "data"), account)).toBe(join(locked, "data"));
  },
);

/** Whether or not somebody has asked for its exit code: what is left of it then has no command line. */
function hasEnded(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") === "";
  } catch {
    return true;
  }
}

interface ServerOfChild {
  readonly parent: ChildProcess;
  readonly port: number;
  readonly pid: number;
  readonly watchPids: readonly number[];
}

/** A process that starts a server and then waits, to be killed. */
async function startInChild(dataDirectory: string): Promise<ServerOfChild> {
  const script = `
    import { startEmbeddedServer } from ${JSON.stringify(join(ROOT, "cli/dev/embedded-server.ts"))};
    const { port, pid } = await startEmbeddedServer({ dataDirectory: process.argv[1], isDurable: false });
    process.stdout.write(JSON.stringify({ port, pid }) + "\\n");
    setInterval(() => undefined, 1000);`;
  const flags = ["--input-type=module", "--eval", script, dataDirectory];
  const parent = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    parent.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    parent.once("exit", () => reject(new Error("the child has ended")));
  });
  const { port, pid } = JSON.parse(line) as { readonly port: number; readonly pid: number };
  const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, "utf8");
  const watchPids = children
    .trim()
    .split(" ")
    .map(Number)
    .filter((child) => child !== pid);
  return { parent, port, pid, watchPids };
}
