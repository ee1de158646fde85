/** Reads that share connections, as clients meet them: what one does, or has done to it, is nobody else's matter. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { consoleClient, startConsoleServers } from "../console/console-servers.ts";
import { startTestProxy } from "../support/proxy.ts";
import { RawClient } from "../support/raw-client.ts";
import type { ServerError } from "../support/raw-client.ts";
import {
  bindFrame,
  describeFrame,
  executeFrame,
  parseFrame,
  queryFrame,
  syncFrame,
} from "../support/raw-frames.ts";
import { eventually, untilNothingIsHeld } from "./eventually.ts";
import {
  cancel,
  closed,
  connectedTo,
  counted,
  ONE_ROW,
  POINT,
  sleeperOf,
  sqlstateOf,
} from "./multiplexing.ts";
import type { Clients, Sleeper } from "./multiplexing.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startConsoleServers({
    pool: { size: 6 },
    multiplexed_reads: { enabled: true, connections: 1, users: { alone: false } },
  });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await servers.reset();
  return async () => {
    await untilNothingIsHeld(servers);
    if (!servers.proxy.isAlive()) throw new Error(`the proxy died: ${servers.proxy.output()}`);
  };
});

/** Clients of which each has a connection ready that it could share. */
const connected = (count: number, sql?: string): Promise<Clients> =>
  connectedTo(servers.proxy, count, sql);
const sleeper = (client: RawClient): Promise<Sleeper> => sleeperOf(servers.proxy, client);
const shared = (): Promise<number> => counted(servers.proxy, "shared_reads_total");

describe("what shares", () => {
  test("reads of many clients, with fewer writes than reads", async () => {
    const asked = "SELECT name, balance FROM accounts WHERE id = 1";
    const clients = await connected(8, asked);
    const [before, writesBefore] = [
      await shared(),
      await counted(servers.proxy, "shared_read_writes_total"),
    ];
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(clients.map((client) => client.query(asked)));
      for (const answer of answers) expect(answer).toEqual([["ann", "10"]]);
    }
    const reads = (await shared()) - before;
    // A machine that is busy makes every statement look slow, and slow ones do not share.
    expect(reads).toBeGreaterThan(40);
    expect((await counted(servers.proxy, "shared_read_writes_total")) - writesBefore).toBeLessThan(
      reads / 2,
    );
    await closed(clients);
  });

  test("nothing of a transaction, of a user or a statement that is to be alone", async () => {
    const [client] = await connected(1);
    const before = await shared();
    await client.query("BEGIN");
    await client.query(POINT);
    await client.query("COMMIT");
    for (const sql of [
      "SELECT name FROM accounts WHERE id = 1 FOR UPDATE",
      "SELECT random() < 2 FROM accounts WHERE id = 1",
      "SELECT name FROM accounts",
      "UPDATE accounts SET balance = balance WHERE id = 1",
    ])
      for (let time = 0; time < 3; time++) await client.query(sql);
    await client.query("CREATE TEMPORARY TABLE mine (id integer)");
    for (let time = 0; time < 3; time++) await client.query(POINT);
    expect(await shared()).toBe(before);
    await client.close();
  });

  test("not for a user who is left out", async () => {
    const alone = await connectedAs("alone");
    const before = await shared();
    for (let time = 0; time < 5; time++) expect(await alone.query(POINT)).toEqual([["ann"]]);
    expect(await shared()).toBe(before);
    await alone.close();
  });
});

async function connectedAs(user: string): Promise<RawClient> {
  const { host, port } = servers.proxy;
  return await RawClient.connect({ host, port, user, database: "app" });
}

test("sessions of other settings and roles have theirs", async () => {
  await servers.second.query("postgres", "DROP ROLE IF EXISTS reader; CREATE ROLE reader");
  await servers.first.query("postgres", "DROP ROLE IF EXISTS reader; CREATE ROLE reader");
  await servers.second.query("east", "GRANT SELECT ON accounts TO reader");
  const clients = await connected(6);
  const zones = ["UTC", "Asia/Tokyo", "UTC", "Asia/Tokyo", "UTC", "UTC"];
  const asked = "SELECT current_setting('TimeZone'), current_user FROM accounts WHERE id = 1";
  for (const [index, client] of clients.entries()) {
    await client.query(`SET TimeZone = '${zones[index]}'`);
    if (index === 5) await client.query("SET ROLE reader");
    await client.query(asked);
  }
  const before = await shared();
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(clients.map((client) => client.query(asked)));
    for (const [index, answer] of answers.entries())
      expect(answer).toEqual([[zones[index], index === 5 ? "reader" : "postgres"]]);
  }
  expect(await shared()).toBeGreaterThan(before);
  const refused = sqlstateOf(
    clients[5]?.query("SELECT 1 FROM entries WHERE account = 1") ?? sleep(0),
  );
  expect(await refused).toBe("42501");
  await closed(clients);
});

test("who was told of a write, or has heard of it, reads it", async () => {
  const [writer, ...readers] = await connected(6, "SELECT balance FROM accounts WHERE id = 1");
  let written = 10;
  let told = 10;
  const over = new AbortController();
  const read = async (reader: RawClient): Promise<void> => {
    while (!over.signal.aborted) {
      const atLeast = told;
      const [[balance]] = (await reader.query("SELECT balance FROM accounts WHERE id = 1")) as [
        [string],
      ];
      expect(Number(balance)).toBeGreaterThanOrEqual(atLeast);
      expect(Number(balance)).toBeLessThanOrEqual(written);
    }
  };
  const reading = Promise.all(readers.map(read));
  for (let time = 0; time < 100; time++) {
    written += 1;
    await writer.query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
    told = written;
    expect(await writer.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([
      [String(told)],
    ]);
  }
  over.abort();
  await reading;
  await closed([...readers, writer]);
});

describe("statements that are named", () => {
  const batch = Buffer.concat([bindFrame("", "known", [], []), executeFrame("", 0), syncFrame()]);

  test("are prepared once for all, and answer each", async () => {
    const clients = await connected(6);
    const sql = "SELECT name || '!' FROM accounts WHERE id = 1";
    for (const client of clients)
      await client.exchange(
        Buffer.concat([parseFrame("known", sql, []), describeFrame("S", "known"), syncFrame()]),
      );
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(clients.map((client) => client.exchange(batch)));
      for (const { messages, status } of answers) {
        expect(messages.map(({ type }) => type).join("")).toBe("2DCZ");
        expect(status).toBe("I");
      }
    }
    await closed(clients);
  });

  test("that a server refuses are refused to all in its own words", async () => {
    const clients = await connected(6);
    const sql = "SELECT body FROM gone WHERE id = 1";
    await servers.first.query("main", "CREATE TABLE gone (id integer, body text)");
    for (const client of clients)
      await eventually(async () => {
        const { messages } = await client.exchange(
          Buffer.concat([parseFrame("known", sql, []), describeFrame("S", "known"), syncFrame()]),
        );
        expect(messages.map(({ type }) => type).join("")).toBe("1tTZ");
      });
    await clients[0].query("SELECT body FROM notes");
    await clients[0].query("SELECT body FROM notes");
    await servers.first.query("main", "DROP TABLE gone");
    const answers = await Promise.all(clients.map((client) => client.exchange(batch)));
    for (const { messages } of answers) {
      expect(messages.map(({ type }) => type)).toEqual(["E", "Z"]);
      expect(messages[0]?.body.toString("latin1")).toContain("42P01");
    }
    await closed(clients);
  });
});

describe("a neighbour that takes long", () => {
  test("keeps nobody waiting", async () => {
    const [slow, quick] = await connected(2);
    const running = (await sleeper(slow))(1.5);
    await sleep(5);
    const start = performance.now();
    expect(await quick.query(POINT)).toEqual([["ann"]]);
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(await running).toBe(ONE_ROW);
    await closed([slow, quick]);
  });

  test("and waits for a lock keeps nobody waiting who would free it", async () => {
    const [reader, other] = await connected(2);
    const asked = "SELECT note FROM entries WHERE account = 1";
    for (let time = 0; time < 2; time++) await reader.query(asked);
    const { host, port } = servers.second;
    const owner = await RawClient.connect({ host, port, user: "postgres", database: "east" });
    await owner.query("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE");
    const running = reader.query(asked);
    await sleep(5);
    // Whoever holds the lock may wait for this answer before it goes on.
    expect(await other.query(POINT)).toEqual([["ann"]]);
    await owner.query("COMMIT");
    expect(await running).toEqual([]);
    await closed([reader, other, owner]);
  });

  test("is cancelled alone", async () => {
    const [slow, ...others] = await connected(5);
    const running = (await sleeper(slow))(20);
    await sleep(5);
    const waiting = others.map((client) => client.query(POINT));
    await cancel(servers.proxy, slow);
    expect(await running).toBe("57014");
    for (const answer of await Promise.all(waiting)) expect(answer).toEqual([["ann"]]);
    expect(await slow.query(POINT)).toEqual([["ann"]]);
    await closed([slow, ...others]);
  });

  test("and goes away leaves the others their answers, and nothing running", async () => {
    const [slow, ...others] = await connected(5);
    const running = (await sleeper(slow))(20).catch(() => "gone");
    await sleep(5);
    const waiting = others.map((client) => client.query(POINT));
    slow.destroy();
    for (const answer of await Promise.all(waiting)) expect(answer).toEqual([["ann"]]);
    expect(await running).toBe("gone");
    await closed(others);
  });

  test("and loses its server, with nothing given, is made again, as are the others", async () => {
    const [slow, ...others] = await connected(5);
    const running = (await sleeper(slow))(0.5);
    const waiting = others.map((client) => client.query(POINT));
    await eventually(async () => {
      const { rows } = await servers.second.query("postgres", KILL_SLEEPING);
      expect(rows).toHaveLength(1);
    });
    for (const answer of await Promise.all(waiting)) expect(answer).toEqual([["ann"]]);
    expect(await running).toBe(ONE_ROW);
    await closed([slow, ...others]);
  });
});

const KILL_SLEEPING = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = 'east' AND wait_event = 'PgSleep'`;

test("cancel requests at any moment hit their own alone", async () => {
  const [victim, ...others] = await connected(6);
  const over = new AbortController();
  const reading = Promise.all(
    others.map(async (client) => {
      while (!over.signal.aborted) expect(await client.query(POINT)).toEqual([["ann"]]);
    }),
  );
  for (let time = 0; time < 40; time++) {
    const stopped = (await sleeper(victim))(time % 2 === 0 ? 0.001 : 0.03);
    await sleep(time % 7);
    await cancel(servers.proxy, victim);
    expect(await stopped).toMatch(/^(12DCZ|57014)$/);
  }
  over.abort();
  await reading;
  expect(await victim.query(POINT)).toEqual([["ann"]]);
  await closed([victim, ...others]);
});

test("a client that does not read slows nobody", async () => {
  const [lazy, quick] = await connected(2);
  const long = "SELECT repeat(name, 100000) FROM accounts, generate_series(1, 100) WHERE id = 1";
  lazy.pause();
  lazy.write(queryFrame(long));
  for (let time = 0; time < 20; time++) expect(await quick.query(POINT)).toEqual([["ann"]]);
  expect(await quick.query("SELECT count(*) FROM accounts WHERE id = 1")).toEqual([["1"]]);
  lazy.destroy();
  await quick.close();
});

test("the console pauses, shows and kills those who share", async () => {
  const ops = await consoleClient(servers.proxy);
  const [slow, quick, third] = await connected(3);
  const running = (await sleeper(slow))(0.4);
  await sleep(30);
  expect(JSON.stringify(await ops.query("SHOW SERVERS"))).toContain("active");
  const pausing = ops.query("PAUSE east");
  await sleep(50);
  const held = quick.query(POINT);
  expect(await Promise.race([held, sleep(100).then(() => "waits")])).toBe("waits");
  expect(await running).toBe(ONE_ROW);
  await pausing;
  await ops.query("RESUME east");
  expect(await held).toEqual([["ann"]]);
  const killed = (await sleeper(slow))(20).catch((error: ServerError) => error.fields["C"]);
  await sleep(5);
  const beside = third.query(POINT);
  await ops.query(`KILL ${slow.processId}`);
  expect(await beside).toEqual([["ann"]]);
  expect(await killed).toBe("57P01");
  await ops.close();
  await closed([quick, third]);
});

test("coalesced reads are never older than who asks", async () => {
  await using proxy = await startTestProxy(`${servers.map}coalesce_reads: [accounts]\n`);
  const asked = "SELECT balance FROM accounts WHERE id = 1";
  const writer = await proxy.connect();
  const readers = await Promise.all(Array.from({ length: 8 }, () => proxy.connect()));
  for (const reader of readers) for (let time = 0; time < 2; time++) await reader.query(asked);
  let told = 10;
  const over = new AbortController();
  const reading = Promise.all(
    readers.map(async (reader) => {
      while (!over.signal.aborted) {
        const atLeast = told;
        const [[balance]] = (await reader.query(asked)) as [[string]];
        expect(Number(balance)).toBeGreaterThanOrEqual(atLeast);
      }
    }),
  );
  for (let time = 0; time < 100; time++) {
    await writer.query("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
    told += 1;
    expect(await writer.query(asked)).toEqual([[String(told)]]);
  }
  over.abort();
  await reading;
  expect(await counted(proxy, "coalesced_reads_total")).toBeGreaterThan(0);
  // Multiplexed reads are off: what the map does not list has a connection of its own.
  const before = await counted(proxy, "shared_reads_total");
  for (let time = 0; time < 3; time++)
    await writer.query("SELECT note FROM entries WHERE account = 1");
  expect(await counted(proxy, "shared_reads_total")).toBe(before);
  await closed([...readers, writer]);
});
