/** `colonnade serve --workers` from the outside: one address, one set of metrics, and what a crash costs. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../cli/dev/free-port.ts";
import { runCommand } from "../support/command.ts";
import { cancelFrame } from "../support/raw-frames.ts";
import { ConnectionLost, RawClient } from "../support/raw-client.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { KEYS, startThreeDatabases } from "../failures/three-databases.ts";
import type { Name, ThreeDatabases } from "../failures/three-databases.ts";

let databases: ThreeDatabases;
let proxy: TestProxy;
const clients: RawClient[] = [];

beforeAll(async () => {
  databases = await startThreeDatabases();
  await databases.reset();
  proxy = await startTestProxy(databases.map("gated"), {
    workers: 2,
    config: { console: { admin_users: ["postgres"] }, pool: { size: 10 }, drain_ms: 5_000 },
  });
  await bothServe();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});
afterAll(async () => {
  await proxy?.stop();
  await databases?.[Symbol.asyncDispose]();
});

async function connect(database = "app"): Promise<RawClient> {
  const { host, port } = proxy;
  const client = await RawClient.connect({ host, port, user: "postgres", database });
  clients.push(client);
  return client;
}

/** The first client may be served before the second worker listens. */
async function bothServe(): Promise<void> {
  await vi.waitFor(async () => expect(await metric("colonnade_workers")).toBe(2), 20_000);
}

/** Of the worker with this number, from 1. */
async function connectTo(worker: number): Promise<RawClient> {
  for (;;) {
    const client = await connect();
    if (workerOf(client) === worker) return client;
  }
}

const workerOf = ({ processId }: RawClient): number => (processId % 2) + 1;

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

test("clients are spread, limits divided, and metrics and the console tell of all", async () => {
  const own = await Promise.all(Array.from({ length: 8 }, () => connect()));
  // In turn, but for one that is too busy just then to take the next.
  for (const worker of [1, 2])
    expect(own.filter((client) => workerOf(client) === worker).length).toBeGreaterThanOrEqual(2);
  for (const client of own)
    expect(await client.query(`SELECT note FROM items WHERE id = ${KEYS.b}`)).toEqual([["old"]]);
  expect(await metric("colonnade_workers")).toBe(2);
  expect(await metric("colonnade_clients")).toBe(8);
  expect(await metric("colonnade_map_version")).toBe(1);
  const shown = await (await connect("colonnade")).query("SHOW CLIENTS");
  expect(shown).toHaveLength(9);
  expect(new Set(shown.map((row) => row.at(-1)))).toEqual(new Set(["1", "2"]));
  const listed = (await (
    await fetch(`http://127.0.0.1:${proxy.adminPort}/clients`)
  ).json()) as unknown[];
  expect(listed).toHaveLength(8);
  const pools = await (await connect("colonnade")).query("SHOW DATABASES");
  expect(pools.filter(([name]) => name === "b").map((row) => row[5])).toEqual(["5", "5"]);
});

test("a cancel request reaches its client's worker, whichever gets it", async () => {
  for (const worker of [1, 2, 1, 2]) {
    const client = await connectTo(worker);
    const running = client.query(`SELECT late_sleep(30) FROM items WHERE id = ${KEYS.c}`);
    const failed = running.then(
      () => "no error",
      (error: Error) => error.message,
    );
    await expect.poll(() => activity(`state = 'active' AND query LIKE '%late_sleep(30)%'`)).toBe(1);
    const { host, port } = proxy;
    const asker = await RawClient.open(host, port);
    clients.push(asker);
    asker.write(cancelFrame(client.processId, client.secretKey));
    expect(await failed).toMatch(/^57014/);
  }
});

test("one worker's crash costs only its clients, and it is started again", async () => {
  const [first, second] = [await connectTo(1), await connectTo(2)];
  await first.query(`BEGIN; UPDATE items SET note = 'lost' WHERE id = ${KEYS.b}`);
  await second.query(`BEGIN; UPDATE items SET note = 'kept' WHERE id = ${KEYS.c}`);
  const statements = await metric("colonnade_statements_total");
  process.kill(await pidOf(1), "SIGKILL");
  await expect(first.query("COMMIT")).rejects.toThrow(ConnectionLost);
  await second.query("COMMIT");
  // While one is gone, the other has all that come.
  const during = await Promise.all([connect(), connect(), connect()]);
  for (const client of during) expect(await client.query(note("c"))).toEqual([["kept"]]);
  await bothServe();
  expect(await metric("colonnade_worker_restarts_total")).toBe(1);
  // What the dead one has counted is not taken back.
  expect(await metric("colonnade_statements_total")).toBeGreaterThanOrEqual(statements);
  const again = await connectTo(1);
  expect(await again.query(note("b"))).toEqual([["old"]]);
});

test("what two workers' transactions wait for in two databases is a deadlock, and one is told", async () => {
  const [first, second] = [await connectTo(1), await connectTo(2)];
  const update = (name: Name): string => `UPDATE items SET note = 'x' WHERE id = ${KEYS[name]}`;
  await first.query(`BEGIN; ${update("b")}`);
  await second.query(`BEGIN; ${update("a")}`);
  const outcomes = await Promise.allSettled([
    first.query(update("a")).then(() => first.query("COMMIT")),
    second.query(update("b")).then(() => second.query("COMMIT")),
  ]);
  const refused = outcomes.filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(1);
  expect(refused).toMatchObject([{ reason: { fields: { C: "40P01" } } }]);
});

test("a COMMIT that one worker has told is seen through the other, whatever is left to do for it", async () => {
  for (const [writing, reading] of [
    [1, 2],
    [2, 1],
  ] as const) {
    await databases.reset();
    const [writer, reader] = [await connectTo(writing), await connectTo(reading)];
    const set = (name: Name): string => `UPDATE items SET note = 'new' WHERE id = ${KEYS[name]}`;
    await writer.query(`BEGIN; ${set("a")}; ${set("b")}`);
    const stop = databases.gates.second.stop("request", "COMMIT PREPARED");
    const committed = writer.query("COMMIT");
    await stop.reached;
    stop.cut();
    await committed;
    // Somebody commits it within seconds; the reader is right before that, too.
    expect(await reader.query(note("b"))).toEqual([["new"]]);
  }
});

test("DDL and setval() of one worker are there for the other's clients at once", async () => {
  const [first, second] = [await connectTo(1), await connectTo(2)];
  await first.query("CREATE TABLE tickets (id serial PRIMARY KEY, note text)");
  await second.query("INSERT INTO tickets (note) VALUES ('second')");
  await first.query("INSERT INTO tickets VALUES (100, 'loaded')");
  await first.query("SELECT setval('tickets_id_seq', 100)");
  const [[id] = []] = await second.query(
    "INSERT INTO tickets (note) VALUES ('third') RETURNING id",
  );
  expect(Number(id)).toBeGreaterThan(100);
  for (let columns = 0; columns < 5; columns += 1) {
    await first.query(`ALTER TABLE items ADD COLUMN more${columns} integer DEFAULT ${columns}`);
    const [row] = await second.query("SELECT * FROM items ORDER BY id LIMIT 1");
    expect(row).toHaveLength(3 + columns);
    await second.query(`UPDATE items SET more${columns} = 7 WHERE id = ${KEYS.b}`);
  }
  for (let columns = 0; columns < 5; columns += 1)
    await second.query(`ALTER TABLE items DROP COLUMN more${columns}`);
  expect((await first.query("SELECT * FROM items ORDER BY id LIMIT 1"))[0]).toHaveLength(2);
});

test("PAUSE, RESUME and KILL reach every worker; a PAUSE that fails leaves nothing paused", async () => {
  const [first, second, ops] = [await connectTo(1), await connectTo(2), await connect("colonnade")];
  await ops.query("PAUSE b");
  const held = [first, second].map((client) => client.query(note("b")));
  const paused = (await ops.query("SHOW DATABASES")).filter(([name]) => name === "b");
  expect(paused.map((row) => row[11])).toEqual(["1", "1"]);
  await ops.query("RESUME b");
  expect(await Promise.all(held)).toHaveLength(2);
  for (const client of [first, second]) {
    await ops.query(`KILL ${client.processId}`);
    await expect(client.query("SELECT 1")).rejects.toThrow("administrator command");
  }
  await expect(ops.query("KILL 4")).rejects.toThrow("there is no client 4");
});

test("a map is put in force by all workers or by none, and by one that is started later", async () => {
  const ops = await connect("colonnade");
  const before = readFileSync(proxy.mapFile, "utf8");
  writeFileSync(proxy.mapFile, before.replace("catalog: a", "catalog: nowhere"));
  await expect(ops.query("RELOAD")).rejects.toThrow("mistakes");
  rmSync(proxy.mapFile);
  await expect(ops.query("RELOAD")).rejects.toThrow("there is no such file");
  expect(await metric("colonnade_map_version")).toBe(1);
  writeFileSync(proxy.mapFile, before.replace("version: 1", "version: 2"));
  // Not read yet: who starts now serves what the others serve.
  process.kill(await pidOf(2), "SIGKILL");
  await sleep(100);
  await bothServe();
  expect(await metric("colonnade_map_version")).toBe(1);
  await ops.query("RELOAD").catch(async () => await (await connect("colonnade")).query("RELOAD"));
  expect(await metric("colonnade_map_version")).toBe(2);
  process.kill(await pidOf(1), "SIGKILL");
  await sleep(100);
  await bothServe();
  expect(await metric("colonnade_map_version")).toBe(2);
});

test("SIGTERM lets the transactions of every worker end", async () => {
  const [first, second] = [await connectTo(1), await connectTo(2)];
  for (const client of [first, second]) await client.query("BEGIN");
  process.kill(proxy.pid, "SIGTERM");
  await sleep(300);
  expect(proxy.isAlive()).toBe(true);
  for (const client of [first, second]) {
    expect(await client.query(note("c"))).toHaveLength(1);
    await client.query("COMMIT");
  }
  await expect.poll(() => proxy.isAlive(), { timeout: 5_000 }).toBe(false);
});

test("what cannot start is told once, and nothing is left running", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const directory = mkdtempSync(join(tmpdir(), "colonnade-workers-"));
  const [map, config] = [join(directory, "map.yaml"), join(directory, "config.yaml")];
  writeFileSync(map, databases.map("direct"));
  const serve = ["serve", "--map", map, "--config", config, "--workers", "2"];
  writeFileSync(config, `listen: { port: ${port} }\nadmin: { port: ${await freePort()} }\n`);
  expect(await runCommand(...serve)).toMatchObject({
    code: 2,
    stderr: `colonnade: cannot start: 127.0.0.1:${port} is in use; change listen.port or admin.port\n`,
  });
  writeFileSync(config, "pool: { size: 3 }\n");
  expect(await runCommand(...serve)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /pool\.size is 3, and 2 workers need 2 connections each at least/,
    ),
  });
  taken.close();
  rmSync(directory, { recursive: true });
});

const note = (name: Name): string => `SELECT note FROM items WHERE id = ${KEYS[name]}`;

async function activity(condition: string): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = 'c' AND pid <> pg_backend_pid() AND ${condition}`;
  return Number((await databases.second.query("c", sql)).rows[0]?.["count"]);
}

/** By its client's connection, which the log and the console name by process. */
async function pidOf(worker: number): Promise<number> {
  const { host, port } = proxy;
  for (;;) {
    const client = await RawClient.connect({ host, port, user: "postgres", database: "colonnade" });
    clients.push(client);
    if (workerOf(client) !== worker) continue;
    const row = (await client.query("SHOW PROXIES")).find((each) => each.includes("t"));
    return Number(row?.[2]);
  }
}
