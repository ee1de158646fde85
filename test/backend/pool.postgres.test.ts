/** Pools over a real server: limits, order, deadlines, and a server that dies and returns. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { Pool } from "../../proxy/backend/pool.ts";
import type { PoolOptions } from "../../proxy/backend/pool-options.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const NAME = databaseName("users0");

let server: TestPostgres;
const pools: Pool[] = [];

beforeAll(async () => {
  server = await startPostgres({ databases: ["other"], settings: { max_connections: "20" } });
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close(0)));
});

afterAll(async () => {
  await server.stop();
});

function makePool(options: Partial<PoolOptions> = {}): Pool {
  const made = new Pool(NAME, parseBackendAddress(server.url()), options);
  pools.push(made);
  return made;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => "no failure",
    (error: unknown) => error,
  );
}

describe("lending", () => {
  test("never more than the size, first come first served, and one connection for many", async () => {
    const lent = makePool({ size: 3 });
    // All three are open before they are asked for: a slow server would open them one after another.
    for (const connection of await Promise.all([1, 2, 3].map(() => lent.acquire())))
      lent.release(connection);
    let now = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const connection = await lent.acquire();
        order.push(index);
        most = Math.max(most, (now += 1));
        await connection.query("SELECT pg_sleep(0.002)");
        now -= 1;
        lent.release(connection);
      }),
    );
    expect(most).toBe(3);
    expect(order).toEqual(order.toSorted((left, right) => left - right));
    expect(lent.stats()).toMatchObject({
      acquired: 63,
      used: 0,
      waiting: 0,
      openFailures: 0,
      lost: 0,
    });
    expect(lent.stats().opened).toBe(3);
  });

  test("tryAcquire overtakes nobody", async () => {
    const lent = makePool({ size: 1 });
    const first = await lent.acquire();
    const waiting = lent.acquire();
    expect(lent.tryAcquire()).toBeUndefined();
    lent.release(first);
    expect(lent.tryAcquire()).toBeUndefined();
    lent.release(await waiting);
    const again = lent.tryAcquire();
    expect(again).toBe(first);
    lent.release(first);
  });

  test("a deadline, with what the pool looks like", async () => {
    const lent = makePool({ size: 1, waitMs: 60 });
    const first = await lent.acquire();
    expect(await failure(lent.acquire())).toMatchObject({
      id: "pool_exhausted",
      sqlstate: "53300",
      message: 'no connection to database "users0" came free within 60 ms',
      detail: expect.stringContaining("Of at most 1 connections, 1 are in use"),
    });
    expect(lent.stats()).toMatchObject({ waiting: 0, waitTimeouts: 1 });
    expect(lent.stats().waitedMs).toBeGreaterThan(50);
    lent.release(first);
  });

  test("who gives up leaves the queue, and the next is served", async () => {
    const lent = makePool({ size: 1 });
    const first = await lent.acquire();
    const aborter = new AbortController();
    const impatient = failure(lent.acquire(aborter.signal));
    const patient = lent.acquire();
    aborter.abort("gone");
    expect(await impatient).toBe("gone");
    lent.release(first);
    expect(await patient).toBe(first);
    lent.release(first);
  });
});

describe("taking back", () => {
  test("a connection in a transaction, or with answers outstanding, is not lent again", async () => {
    const lent = makePool({ size: 1 });
    const inTransaction = await lent.acquire();
    await inTransaction.query("BEGIN");
    lent.release(inTransaction);
    const next = await lent.acquire();
    expect(next).not.toBe(inTransaction);
    void next.query("SELECT pg_sleep(60)").catch(() => undefined);
    await sleep(50);
    lent.release(next);
    const after = await lent.acquire();
    expect(after).not.toBe(next);
    const { rows } = await after.query(
      `SELECT count(*) FROM pg_stat_activity WHERE pid IN (${inTransaction.processId}, ${next.processId})`,
    );
    expect(rows).toEqual([["0"]]);
    lent.release(after);
  });

  test("an old connection is closed when it comes back, an idle one when it is old", async () => {
    const lent = makePool({ lifetimeMs: 40 });
    const first = await lent.acquire();
    await sleep(50);
    lent.release(first);
    expect(lent.stats()).toMatchObject({ idle: 0, used: 0 });
    const second = await lent.acquire();
    lent.release(second);
    await sleep(50);
    const third = await lent.acquire();
    expect(third).not.toBe(second);
    lent.release(third);
  });

  test("one that was idle for long is asked first, and replaced where it does not answer", async () => {
    const lent = makePool({ size: 1, checkAfterIdleMs: 20 });
    const first = await lent.acquire();
    lent.release(first);
    await sleep(40);
    expect(lent.tryAcquire()).toBeUndefined();
    expect(await lent.acquire()).toBe(first);
    lent.release(first);
    await sleep(40);
    process.kill(first.processId, "SIGSTOP"); // a server, or a network, that is silent
    try {
      const second = await lent.acquire();
      expect(second).not.toBe(first);
      lent.release(second);
    } finally {
      process.kill(first.processId, "SIGCONT");
    }
  });
});

describe("a server that is not there", () => {
  test("everyone waiting hears of a refused connection at once, and the pool recovers", async () => {
    await using own = await startPostgres();
    const lent = new Pool(NAME, parseBackendAddress(own.url()), { size: 3 });
    pools.push(lent);
    const used = await lent.acquire();
    lent.release(await lent.acquire());
    const running = failure(used.query("SELECT pg_sleep(60)"));
    await own.kill9();
    expect(await running).toMatchObject({ id: "backend_lost" });
    lent.release(used);
    const since = performance.now();
    const failures = await Promise.all(Array.from({ length: 20 }, () => failure(lent.acquire())));
    expect(performance.now() - since).toBeLessThan(2_000);
    for (const each of failures) expect(each).toMatchObject({ id: "backend_unavailable" });
    expect(lent.stats()).toMatchObject({ idle: 0, used: 0, waiting: 0 });
    const attempts = lent.stats().openFailures;
    const hammering = performance.now() + 1_500;
    while (performance.now() < hammering) await failure(lent.acquire());
    expect(lent.stats().openFailures - attempts).toBeLessThan(12);

    await own.restart();
    const back = await lent.acquire().catch(() => lent.acquire());
    expect((await back.query("SELECT 1")).rows).toEqual([["1"]]);
    lent.release(back);
  });

  test("idle connections of a server that lost one are not trusted", async () => {
    const lent = makePool({ size: 3 });
    const three = await Promise.all([lent.acquire(), lent.acquire(), lent.acquire()]);
    for (const each of three) lent.release(each);
    const [victim] = three;
    await server.query("postgres", `SELECT pg_terminate_backend(${victim.processId})`);
    await expect.poll(() => lent.stats().idle).toBe(0);
    const fresh = await lent.acquire();
    expect(three).not.toContain(fresh);
    lent.release(fresh);
    expect(lent.stats().lost).toBe(1);
  });

  test("a full server keeps the waiting waiting, for connections of this pool come back", async () => {
    const lent = makePool({ size: 30, waitMs: 5_000 });
    const held: BackendConnection[] = [];
    const others = await Promise.all(Array.from({ length: 14 }, () => server.connect()));
    try {
      for (;;) {
        const got = await lent.acquire(AbortSignal.timeout(300)).catch(() => undefined);
        if (got === undefined) break;
        held.push(got);
      }
      expect(held.length).toBeGreaterThan(0);
      expect(held.length).toBeLessThan(10);
      const waiting = lent.acquire();
      const [first] = held.splice(0, 1);
      if (first !== undefined) lent.release(first);
      expect(await waiting).toBe(first);
      if (first !== undefined) lent.release(first);
    } finally {
      for (const each of held) lent.release(each);
      await Promise.all(others.map((each) => each.end()));
    }
  });

  test("where all slots are taken by others, the error says so", async () => {
    const others: Awaited<ReturnType<TestPostgres["connect"]>>[] = [];
    try {
      for (;;) others.push(await server.connect());
    } catch {
      // full
    }
    try {
      expect(await failure(makePool().acquire())).toMatchObject({
        id: "backend_too_many_connections",
        sqlstate: "53300",
      });
    } finally {
      await Promise.all(others.map((each) => each.end()));
    }
  });
});

describe("closing", () => {
  test("a pool drains: the lent comes back or is cut off, and nobody is served any more", async () => {
    const lent = makePool({ size: 1 });
    const first = await lent.acquire();
    const waiting = failure(lent.acquire());
    const closed = lent.close(5_000);
    expect(await waiting).toMatchObject({ id: "pool_closed" });
    expect(await failure(lent.acquire())).toMatchObject({ id: "pool_closed" });
    expect((await first.query("SELECT 1")).tag).toBe("SELECT 1");
    lent.release(first);
    await closed;

    const stubborn = makePool({ size: 1 });
    const held = await stubborn.acquire();
    await stubborn.close(50);
    expect(held.isBroken).toBe(true);
  });

  test("a reload keeps what is unchanged and drains what is not", async () => {
    const kept = databaseName("kept");
    const moved = databaseName("moved");
    const dropped = databaseName("dropped");
    const address = parseBackendAddress(server.url());
    const elsewhere = parseBackendAddress(server.url("other"));
    const backends = new Backends(
      new Map([
        [kept, address],
        [moved, address],
        [dropped, address],
      ]),
      { pool: { size: 2 }, drainMs: 5_000 },
    );
    const [one, two, three] = await Promise.all(
      [kept, moved, dropped].map((name) => backends.acquire(name)),
    );
    if (one === undefined || two === undefined || three === undefined)
      throw new Error("not acquired");
    backends.update(
      new Map([
        [kept, address],
        [moved, elsewhere],
      ]),
    );
    expect(await failure(backends.acquire(dropped))).toMatchObject({ id: "pool_closed" });
    const fresh = await backends.acquire(moved);
    expect((await fresh.query("SELECT current_database()")).rows).toEqual([["other"]]);
    expect((await two.query("SELECT current_database()")).rows).toEqual([["postgres"]]);
    for (const each of [one, two, three, fresh]) backends.release(each);
    await Promise.all([two.ended, three.ended]);
    expect(one.isBroken).toBe(false);
    expect([...backends.stats().keys()]).toEqual([kept, moved]);
    await backends.close();
    expect([one.isBroken, fresh.isBroken]).toEqual([true, true]);
  });
});
