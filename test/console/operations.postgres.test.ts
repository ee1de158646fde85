/** PAUSE, RESUME, KILL, RELOAD and DRAIN, as the clients of the databases meet them. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../session/eventually.ts";
import { startTestProxy } from "../support/proxy.ts";
import { ConnectionLost, RawClient, ServerError } from "../support/raw-client.ts";
import { cancelFrame, queryFrame, readFields } from "../support/raw-frames.ts";
import { consoleClient, startConsoleServers } from "./console-servers.ts";
import type { ConsoleServers } from "./console-servers.ts";

const PAUSE_WAIT_MS = 1_500;

let servers: ConsoleServers;
let ops: RawClient;

beforeAll(async () => {
  servers = await startConsoleServers({ pool: { size: 8, pause_wait_ms: PAUSE_WAIT_MS } });
  ops = await consoleClient(servers.proxy);
});

afterAll(async () => {
  await ops?.close();
  await servers?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await ops.query("RESUME");
  await servers.reset();
});

/** What came of it, or that it waits still. */
async function after<T>(ms: number, promise: Promise<T>): Promise<T | "waits"> {
  return await Promise.race([promise, sleep(ms).then(() => "waits" as const)]);
}

function failure(promise: Promise<unknown>): Promise<Readonly<Record<string, string>>> {
  return promise.then(
    () => ({ M: "it did not fail" }),
    (error: unknown) => (error instanceof ServerError ? error.fields : { M: String(error) }),
  );
}

test("PAUSE holds new transactions of its database, lets running ones end, and RESUME lets all go on", async () => {
  const [running, fresh, elsewhere] = [
    await servers.proxy.connect(),
    await servers.proxy.connect(),
    await servers.proxy.connect(),
  ];
  await running.query("BEGIN");
  await running.query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
  const pausing = ops.query("PAUSE east");
  expect(await after(150, pausing)).toBe("waits");
  const held = fresh.query("SELECT name FROM accounts WHERE id = 2");
  expect(await after(100, held)).toBe("waits");
  expect(await elsewhere.query("SELECT name FROM accounts WHERE id = 101")).toEqual([["cid"]]);
  // What runs may still join databases that it has not met yet.
  await running.query("UPDATE accounts SET balance = balance - 1 WHERE id = 101");
  await running.query("UPDATE accounts SET balance = balance + 1 WHERE id = 2");
  await running.query("COMMIT");
  expect(await pausing).toEqual([]);
  expect(await after(50, held)).toBe("waits");
  const watcher = await consoleClient(servers.proxy, "watcher");
  const clients = await watcher.query("SHOW CLIENTS");
  expect(clients.filter((row) => row.includes("resume of east"))).toHaveLength(1);
  const databases = (await watcher.query("SHOW DATABASES")).map((row) => [row[0], row[9], row[11]]);
  // Its idle connections are closed, so that the server may be restarted.
  expect(databases.find(([name]) => name === "east")).toEqual(["east", "0", "1"]);
  expect(databases.map(([, , paused]) => paused)).toEqual(["0", "1", "0"]);
  await ops.query("RESUME east");
  expect(await held).toEqual([["bob"]]);
  for (const client of [running, fresh, elsewhere, watcher]) await client.close();
});

test("who waits too long is refused, and can be cancelled before", async () => {
  const [late, cancelled] = [await servers.proxy.connect(), await servers.proxy.connect()];
  await ops.query("PAUSE");
  const answers = [late, cancelled].map((client) =>
    failure(client.query("SELECT name FROM accounts WHERE id = 1")),
  );
  const cancelling = await RawClient.open(servers.proxy.host, servers.proxy.port);
  await sleep(100);
  cancelling.write(cancelFrame(cancelled.processId, cancelled.secretKey));
  expect(await answers[1]).toMatchObject({ C: "57014" });
  expect(await answers[0]).toMatchObject({
    C: "57P03",
    R: "database_paused",
    M: 'database "east" is paused',
  });
  await ops.query("RESUME");
  expect(await late.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
  for (const client of [late, cancelled]) await client.close();
});

test("PAUSE that running transactions outlast fails, and so does a cancelled one; nothing is paused then", async () => {
  const holder = await servers.proxy.connect();
  await holder.query("BEGIN");
  await holder.query("SELECT name FROM accounts WHERE id = 1");
  expect(await failure(ops.query("PAUSE east"))).toMatchObject({ C: "55000", R: "pause_timeout" });
  const other = await servers.proxy.connect();
  expect(await other.query("SELECT name FROM accounts WHERE id = 2")).toEqual([["bob"]]);

  const pausing = failure(ops.query("PAUSE east"));
  await sleep(100);
  const cancelling = await RawClient.open(servers.proxy.host, servers.proxy.port);
  cancelling.write(cancelFrame(ops.processId, ops.secretKey));
  expect(await pausing).toMatchObject({ C: "57014" });
  expect(await other.query("SELECT name FROM accounts WHERE id = 2")).toEqual([["bob"]]);
  await holder.query("COMMIT");
  for (const client of [holder, other]) await client.close();
});

test("KILL ends a client that runs, one in a transaction, and an idle one, each with 57P01 alone", async () => {
  const [running, inside, idle, bystander] = [
    await servers.proxy.connect(),
    await servers.proxy.connect(),
    await servers.proxy.connect(),
    await servers.proxy.connect(),
  ];
  await inside.query("BEGIN");
  await inside.query("UPDATE accounts SET balance = 0 WHERE id = 1");
  running.write(queryFrame("SELECT name, late_sleep(30) FROM accounts WHERE id = 101"));
  await sleep(200);
  const startedMs = performance.now();
  await ops.query(
    `KILL ${running.processId}; KILL ${inside.processId}; KILL_CLIENT ${idle.processId}`,
  );
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  for (const client of [running, inside, idle]) {
    const messages = [];
    for (let last = ""; last !== "E"; last = messages.at(-1)?.type ?? "")
      messages.push(await client.receive());
    expect(readFields(messages.at(-1)?.body ?? Buffer.alloc(0))).toMatchObject({
      S: "FATAL",
      C: "57P01",
      R: "client_killed",
    });
    expect(messages.filter(({ type }) => type === "E")).toHaveLength(1);
    await expect(client.receive()).rejects.toThrow(ConnectionLost);
  }
  // Its lock is gone with its transaction.
  await bystander.query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
  expect(await bystander.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["11"]]);

  await inside.close();
  const user = await servers.proxy.connect();
  await user.query("BEGIN");
  await user.query("SELECT name FROM accounts WHERE id = 101");
  await ops.query("KILL west");
  expect(await failure(user.query("COMMIT"))).toMatchObject({ C: "57P01" });
  expect(await bystander.query("SELECT 1")).toEqual([["1"]]);
  expect(await failure(ops.query(`KILL ${user.processId}`))).toMatchObject({
    C: "42704",
    R: "console_object_unknown",
  });
  await bystander.close();
});

test("a client that does not read is cut off by KILL all the same", async () => {
  const deaf = await servers.proxy.connect();
  const rows = "SELECT repeat('x', 10000) FROM generate_series(1, 100000)";
  await new Promise<void>((resolve) => {
    deaf.pause();
    deaf.write(queryFrame(rows));
    setTimeout(resolve, 500);
  });
  const startedMs = performance.now();
  await ops.query(`KILL ${deaf.processId}`);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  deaf.destroy();
});

test("RELOAD puts a new map into use before it answers, and refuses one with mistakes", async () => {
  const { mapFile } = servers.proxy;
  const before = await readFile(mapFile, "utf8");
  await writeFile(mapFile, before.replace("version: 1", "version: 2"));
  await ops.query("RELOAD");
  expect((await ops.query("SHOW MAP"))[0]?.[0]).toBe("2");
  await writeFile(mapFile, before.replace("catalog: main", "catalog: nowhere"));
  expect(await failure(ops.query("RELOAD"))).toMatchObject({
    C: "F0000",
    R: "reload_refused",
    D: expect.stringContaining("nowhere"),
  });
  await rm(mapFile);
  expect(await failure(ops.query("RELOAD"))).toMatchObject({
    R: "reload_refused",
    M: expect.stringContaining("there is no such file"),
  });
  await writeFile(mapFile, before);
  expect(await failure(ops.query("RELOAD"))).toMatchObject({ R: "map_version_lower" });
  expect((await ops.query("SHOW MAP"))[0]?.[0]).toBe("2");
});

test("DRAIN: no new clients, idle ones leave one after the other, a transaction ends first, then the process", async () => {
  const clientCount = 40;
  const spreadMs = 400;
  const proxy = await startTestProxy(servers.map, {
    config: {
      console: { admin_users: ["ops"] },
      drain_ms: 10_000,
      drain_spread_ms: spreadMs,
    },
  });
  try {
    const idle: RawClient[] = [];
    for (let count = 0; count < clientCount; count += 1) idle.push(await proxy.connect());
    const busy = await proxy.connect();
    await busy.query("BEGIN");
    await busy.query("UPDATE accounts SET balance = 77 WHERE id = 1");
    const draining = await consoleClient(proxy, "ops", "");
    const startedMs = performance.now();
    await draining.query("DRAIN");
    const left = await Promise.all(
      idle.map(async (client) => {
        expect(readFields((await client.receive()).body)).toMatchObject({
          C: "57P01",
          R: "proxy_shutdown",
        });
        return performance.now() - startedMs;
      }),
    );
    expect(Math.max(...left) - Math.min(...left)).toBeGreaterThan(spreadMs / 2);
    expect(left.toSorted((one, other) => one - other)).not.toEqual(left);
    await expect(proxy.connect()).rejects.toThrow("ECONNREFUSED");
    expect((await fetch(`http://127.0.0.1:${proxy.adminPort}/readyz`)).status).toBe(503);
    expect(await draining.query("SHOW PROXIES")).toMatchObject([
      expect.arrayContaining(["draining"]),
    ]);
    await busy.query("COMMIT");
    expect(readFields((await busy.receive()).body)).toMatchObject({ C: "57P01" });
    await eventually(async () => expect(proxy.isAlive()).toBe(false));
  } finally {
    await proxy.stop();
  }
  const client = await servers.proxy.connect();
  expect(await client.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["77"]]);
  await client.close();
});
