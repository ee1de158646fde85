/**
 * Cancel requests, and connections that end at the worst moment: a client's in the middle of
 * a statement or a transaction, a backend's under a running one. Whatever happens, no backend
 * stays taken, no lock stays held, and nobody else notices.
 */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient, ServerError } from "../support/raw-client.ts";
import { cancelFrame, queryFrame } from "../support/raw-frames.ts";
import { converse, query, run, sync } from "./conversation.ts";
import { eventually, SOON_MS, untilNothingIsHeld } from "./eventually.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const POOL_SIZE = 4;
const POOL_WAIT_MS = 3_000;

let servers: Servers;
let client: RawClient;

beforeAll(async () => {
  servers = await startServers({
    config: { pool: { size: POOL_SIZE, wait_ms: POOL_WAIT_MS } },
  });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await servers.reset();
  client = await servers.proxy.connect();
  return async () => {
    client.destroy();
    await untilNothingIsHeld(servers);
    if (!servers.proxy.isAlive()) throw new Error(`the proxy died: ${servers.proxy.output()}`);
  };
});

function cancel(processId: number, secretKey: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(servers.proxy.port, "127.0.0.1", () => {
      socket.write(cancelFrame(processId, secretKey));
    });
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume();
  });
}

const sqlstateOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: ServerError) => error.fields?.["C"] ?? String(error),
  );

async function isWaitingForLock(server = servers.second): Promise<void> {
  await eventually(async () => {
    const { rows } = await server.query(
      "postgres",
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    );
    expect(rows.length).toBeGreaterThan(0);
  });
}

async function isSleeping(count: number, server = servers.second): Promise<void> {
  await eventually(async () => {
    const { rows } = await server.query(
      "postgres",
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    expect(rows.length).toBeGreaterThanOrEqual(count);
  });
}

const SCATTERED_SLEEP = "SELECT id FROM accounts WHERE late_sleep(20 + id * 0)";

describe("a cancel request", () => {
  test("ends a statement on one placement", async () => {
    const running = sqlstateOf(
      client.query("SELECT late_sleep(20 + id * 0) FROM accounts WHERE id = 1"),
    );
    await isSleeping(1);
    await cancel(client.processId, client.secretKey);
    expect(await running).toBe("57014");
    expect(await client.query("SELECT 1")).toEqual([["1"]]);
  });

  test("ends a running scatter", async () => {
    const running = sqlstateOf(client.query(SCATTERED_SLEEP));
    await isSleeping(2);
    await cancel(client.processId, client.secretKey);
    expect(await running).toBe("57014");
    expect(await client.query("SELECT count(*) FROM accounts")).toEqual([["4"]]);
  });

  test("ends what is gathered in a database, at whatever step", async () => {
    const gathering = "SELECT array_agg(name ORDER BY id) FROM accounts";
    const running = sqlstateOf(client.query(`${gathering} WHERE late_sleep(20 + id * 0)`));
    // Functions that are not PostgreSQL's own are left to the finish.
    await isSleeping(1, servers.first);
    await cancel(client.processId, client.secretKey);
    expect(await running).toBe("57014");
    for (let time = 0; time < 30; time += 1) {
      const stopped = sqlstateOf(client.query(gathering));
      await sleep(time % 10);
      await cancel(client.processId, client.secretKey);
      expect(await stopped).toMatch(/^(none|57014)$/);
    }
    expect(await client.query(gathering)).toEqual([["{ann,bob,cid,dan}"]]);
    await untilNothingIsHeld(servers);
    const left = "SELECT relname FROM pg_class WHERE relpersistence = 't'";
    expect((await servers.first.query("main", left)).rows).toEqual([]);
  });

  test("ends a statement that waits for a lock, and its transaction fails", async () => {
    const other = await servers.proxy.connect();
    await other.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 1");
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 101");
    const waiting = sqlstateOf(client.query("UPDATE accounts SET balance = 2 WHERE id = 1"));
    await isWaitingForLock();
    await cancel(client.processId, client.secretKey);
    expect(await waiting).toBe("57014");
    expect(await sqlstateOf(client.query("SELECT 1"))).toBe("25P02");
    await client.query("ROLLBACK");
    await other.query("COMMIT");
    expect(
      await client.query("SELECT balance FROM accounts WHERE id IN (1, 101) ORDER BY id"),
    ).toEqual([["1"], ["30"]]);
    await other.close();
  });

  test("ends a wait for a backend", async () => {
    const holders = await Promise.all(
      Array.from({ length: POOL_SIZE }, () => servers.proxy.connect()),
    );
    for (const holder of holders) await holder.query("BEGIN; SELECT * FROM accounts WHERE id = 1");
    const waiting = sqlstateOf(client.query("SELECT name FROM accounts WHERE id = 1"));
    await sleep(200);
    const startMs = performance.now();
    await cancel(client.processId, client.secretKey);
    expect(await waiting).toBe("57014");
    expect(performance.now() - startMs).toBeLessThan(POOL_WAIT_MS / 2);
    for (const holder of holders) await holder.close();
    expect(await client.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
  });

  test("of an idle client, or with a wrong key, does nothing", async () => {
    await cancel(client.processId, client.secretKey);
    expect(await client.query("SELECT 1")).toEqual([["1"]]);
    const running = client.query("SELECT late_sleep(1 + id * 0) FROM accounts WHERE id = 1");
    await isSleeping(1);
    const wrong = Buffer.from(client.secretKey);
    wrong[0] = (wrong[0] ?? 0) ^ 1;
    await cancel(client.processId, wrong);
    await cancel(client.processId, Buffer.alloc(0));
    await cancel(client.processId + 1, client.secretKey);
    expect(await running).toEqual([["t"]]);
  });

  test("never reaches another client on the same backend", async () => {
    const [victim, other] = [client, await servers.proxy.connect()];
    const stop = new AbortController();
    const sending = (async () => {
      while (!stop.signal.aborted) await cancel(victim.processId, victim.secretKey);
    })();
    try {
      const working = (async () => {
        for (let index = 0; index < 300; index += 1)
          expect(await other.query(`SELECT name, ${index} FROM accounts WHERE id = 1`)).toEqual([
            ["ann", String(index)],
          ]);
      })();
      for (let index = 0; index < 300; index += 1) {
        const sql = `SELECT count(*) FROM accounts WHERE balance > ${-index}`;
        expect(await sqlstateOf(victim.query(sql))).toMatch(/^(none|57014)$/);
      }
      await working;
    } finally {
      stop.abort();
      await sending;
    }
    await other.close();
  });
});

describe("a client that vanishes", () => {
  test("in the middle of a statement has it stopped", async () => {
    client.write(queryFrame(SCATTERED_SLEEP));
    await isSleeping(2);
    client.destroy();
    await untilNothingIsHeld(servers);
  });

  test.each([
    ["of one placement", "SELECT late_sleep(60 + id * 0) FROM accounts WHERE id = 1"],
    ["of several", "SELECT id FROM accounts WHERE late_sleep(60 + id * 0)"],
    ["that writes to several", "UPDATE accounts SET balance = 0 WHERE late_sleep(60 + id * 0)"],
  ])("right after a statement %s, before any server has it, has it stopped", async (_, sql) => {
    for (let index = 0; index < 10; index += 1) {
      const leaving = await servers.proxy.connect();
      // Neither its settings nor its text are known yet, so that there is much to do before it runs.
      leaving.write(queryFrame(`SET work_mem = '${64 + index}MB'; ${sql} AND ${index} = ${index}`));
      if (index % 2 === 1) await sleep(index);
      leaving.destroy();
    }
    await untilNothingIsHeld(servers);
  });

  test("in the middle of a database gather leaves no table behind", async () => {
    client.write(
      queryFrame("SELECT name, count(*) OVER (), s FROM accounts, generate_series(1, 999999) s"),
    );
    await client.receive();
    client.destroy();
    await untilNothingIsHeld(servers);
    const left = "SELECT relname FROM pg_class WHERE relpersistence = 't'";
    expect((await servers.first.query("main", left)).rows).toEqual([]);
  });

  test("in the middle of a transaction frees its locks", async () => {
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id IN (1, 101)");
    client.destroy();
    const next = await servers.proxy.connect();
    await next.query("UPDATE accounts SET balance = balance + 5 WHERE id IN (1, 101)");
    expect(
      await next.query("SELECT balance FROM accounts WHERE id IN (1, 101) ORDER BY id"),
    ).toEqual([["15"], ["35"]]);
    await next.close();
  });

  test("while it waits for a lock frees what it holds", async () => {
    const other = await servers.proxy.connect();
    await other.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 1");
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 101");
    client.write(queryFrame("UPDATE accounts SET balance = 2 WHERE id = 1"));
    await isWaitingForLock();
    client.destroy();
    await other.query("UPDATE accounts SET balance = 1 WHERE id = 101");
    await other.query("COMMIT");
    await other.close();
  });

  test("while it waits for a backend leaves the queue", async () => {
    const holders = await Promise.all(
      Array.from({ length: POOL_SIZE }, () => servers.proxy.connect()),
    );
    for (const holder of holders) await holder.query("BEGIN; SELECT * FROM accounts WHERE id = 1");
    client.write(queryFrame("SELECT name FROM accounts WHERE id = 1"));
    await sleep(100);
    client.destroy();
    await sleep(100);
    for (const holder of holders) await holder.query("COMMIT");
    for (const holder of holders)
      expect(await holder.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
    for (const holder of holders) await holder.close();
  });

  test("in the middle of many rows frees the backends", async () => {
    client.write(
      queryFrame("SELECT a.name, repeat('x', 10000) FROM accounts a, generate_series(1, 100000)"),
    );
    await client.receive();
    client.destroy();
    await untilNothingIsHeld(servers);
  });

  test("with Terminate in a transaction rolls back", async () => {
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id IN (1, 101)");
    await client.close();
    await untilNothingIsHeld(servers);
    const next = await servers.proxy.connect();
    expect(
      await next.query("SELECT balance FROM accounts WHERE id IN (1, 101) ORDER BY id"),
    ).toEqual([["10"], ["30"]]);
    await next.close();
  });
});

describe("a backend that is lost", () => {
  const killBackends = async (database: string): Promise<void> => {
    const server = database === "main" ? servers.first : servers.second;
    await server.query(
      "postgres",
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${database}'`,
    );
  };

  test("under a running statement is an error, and the next statement works", async () => {
    const running = sqlstateOf(client.query(SCATTERED_SLEEP));
    await isSleeping(2);
    const startMs = performance.now();
    await killBackends("east");
    expect(await running).toMatch(/^(57P0[1-3]|08006)$/);
    expect(performance.now() - startMs).toBeLessThan(SOON_MS);
    expect(await client.query("SELECT count(*) FROM accounts")).toEqual([["4"]]);
  });

  test("in a transaction fails it, and nothing of it stays", async () => {
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id IN (1, 101)");
    await killBackends("east");
    expect(await sqlstateOf(client.query("SELECT name FROM accounts WHERE id = 1"))).toMatch(
      /^(57P0[1-3]|08006)$/,
    );
    expect(await sqlstateOf(client.query("SELECT 1"))).toBe("25P02");
    expect(await converse(client, [query("COMMIT")])).toEqual([
      "CommandComplete ROLLBACK",
      "ReadyForQuery I",
    ]);
    expect(await client.query("SELECT sum(balance) FROM accounts")).toEqual([["100"]]);
  });

  test("before the COMMIT of two databases is an error, and nothing is committed", async () => {
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id IN (1, 101)");
    await killBackends("west");
    expect(await sqlstateOf(client.query("COMMIT"))).toMatch(/^(57P0[1-3]|08006|40000|08007)$/);
    await eventually(async () => {
      expect(await client.query("SELECT sum(balance) FROM accounts")).toEqual([["100"]]);
    });
  });

  test("before the COMMIT of a transaction that only read is no loss", async () => {
    await client.query("BEGIN; SELECT * FROM accounts");
    await killBackends("west");
    expect(await converse(client, [query("COMMIT")])).toContain("ReadyForQuery I");
  });

  test("after an error leaves ROLLBACK possible", async () => {
    await client.query("BEGIN; SAVEPOINT a; UPDATE accounts SET balance = 1 WHERE id IN (1, 101)");
    expect(await sqlstateOf(client.query("SELECT 1/0"))).toBe("22012");
    await killBackends("east");
    expect(await sqlstateOf(client.query("ROLLBACK TO a"))).not.toBe("none");
    await client.query("ROLLBACK");
    expect(await client.query("SELECT sum(balance) FROM accounts")).toEqual([["100"]]);
  });

  test("under a pipeline skips to Sync", async () => {
    await client.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 1");
    await killBackends("east");
    const lines = await converse(client, [
      run("SELECT name FROM accounts WHERE id = 1"),
      run("SELECT 1"),
      sync(),
      query("ROLLBACK"),
      query("SELECT 1"),
    ]);
    expect(lines.filter((line) => line.startsWith("ErrorResponse"))).toHaveLength(1);
    expect(lines.at(-2)).toBe("CommandComplete SELECT 1");
  });
});

describe("a pool without a free backend", () => {
  test("that transactions wait for in a circle fails some of them, and serves again", async () => {
    const clients = await Promise.all(
      Array.from({ length: 2 * POOL_SIZE }, () => servers.proxy.connect()),
    );
    await Promise.all(
      clients.map((each, index) =>
        each.query(`BEGIN; SELECT name FROM accounts WHERE id = ${index % 2 === 0 ? 1 : 101}`),
      ),
    );
    const outcomes = await Promise.all(
      clients.map((each, index) =>
        sqlstateOf(each.query(`SELECT name FROM accounts WHERE id = ${index % 2 === 0 ? 101 : 1}`)),
      ),
    );
    // The circle is found after a second, which is this pool's deadline, too.
    expect(outcomes.filter((outcome) => outcome === "40P01" || outcome === "53300")).not.toEqual(
      [],
    );
    for (const each of clients) await each.query("ROLLBACK");
    expect(await client.query("SELECT count(*) FROM accounts")).toEqual([["4"]]);
    for (const each of clients) await each.close();
  });
});
