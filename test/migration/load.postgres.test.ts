/** What a migration does to servers that others work with: when copying waits, and what a fence takes away and gives back. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CopyThrottle } from "../../migration/throttle.ts";
import { CREATE_FENCE_STATE, type Fence, lowerFence, raiseFence } from "../../migration/fence.ts";
import type { Throttle } from "../../migration/machine/life.ts";
import { openTarget } from "../../migration/sessions.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { moveDatabase, STREAMING } from "./rig.ts";
import { UNTHROTTLED } from "./unthrottled.ts";

let server: TestPostgres;

beforeAll(async () => {
  const settings = { ...STREAMING, max_slot_wal_keep_size: "64MB" };
  server = await startPostgres({ databases: ["app", "target"], settings });
});

afterAll(async () => {
  await server.stop();
});

interface Throttled extends Disposable {
  readonly told: (string | undefined)[];
  readonly throttle: CopyThrottle;
  limits: Throttle;
}

function throttled(slot = "none"): Throttled {
  const told: (string | undefined)[] = [];
  const made: Throttled = {
    told,
    limits: UNTHROTTLED.throttle,
    throttle: new CopyThrottle({
      source: moveDatabase("source", server.url("app")),
      targets: [moveDatabase("target", server.url("target"))],
      slot,
      limits: () => made.limits,
      tell: (because) => told.push(because),
    }),
    [Symbol.dispose]: () => made.throttle[Symbol.dispose](),
  };
  return made;
}

async function isPassing(passing: Promise<void>): Promise<boolean> {
  return await Promise.race([
    passing.then(() => true),
    new Promise<boolean>((then) => setTimeout(() => then(false), 700)),
  ]);
}

test("copying waits while too many sessions are at work in a target, and says so once", async () => {
  using one = throttled();
  const { signal } = new AbortController();
  await one.throttle.pass(0, signal);
  one.limits = { ...one.limits, activeSessions: 1 };
  const busy = await Promise.all([server.connect("target"), server.connect("target")]);
  const work = busy.map((client) => client.query("SELECT pg_sleep(2.5)"));
  await vi.waitFor(async () => {
    const { rows } = await server.query(
      "app",
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
    );
    expect(rows).toEqual([{ n: 2 }]);
  });
  await new Promise((then) => setTimeout(then, 600));
  const passing = one.throttle.pass(0, signal);
  expect(await isPassing(passing)).toBe(false);
  expect(one.told).toEqual([
    expect.stringMatching(/^(?:source|target): 2 sessions are at work, and 1 are meant/),
  ]);
  await Promise.all(work);
  await passing;
  expect(one.told.at(-1)).toBeUndefined();
  for (const client of busy) await client.end();
});

test("no more rows a second than are wanted; it may be changed while copying waits", async () => {
  using one = throttled();
  const { signal } = new AbortController();
  one.limits = { ...one.limits, rowsPerSecond: 1_000 };
  const startMs = performance.now();
  await one.throttle.pass(0, signal);
  await one.throttle.pass(500, signal);
  expect(performance.now() - startMs).toBeGreaterThan(450);
  const slow = one.throttle.pass(1_000_000, signal);
  expect(await isPassing(slow)).toBe(false);
  one.limits = { ...one.limits, rowsPerSecond: null };
  await slow;
  expect(one.told.filter((because) => because !== undefined)).toEqual([
    "no more than 1000 rows a second are wanted",
    "no more than 1000 rows a second are wanted",
  ]);
});

test("copying waits where the slot's budget of log runs low; a slot that is gone is for others to find", async () => {
  await server.query("app", "SELECT pg_create_logical_replication_slot('lagging', 'pgoutput')");
  using one = throttled("lagging");
  const { signal } = new AbortController();
  await one.throttle.pass(0, signal);
  for (let index = 0; index < 4; index += 1)
    await server.query(
      "app",
      "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')",
    );
  await new Promise((then) => setTimeout(then, 600));
  const passing = one.throttle.pass(0, signal);
  expect(await isPassing(passing)).toBe(false);
  expect(one.told[0]).toMatch(/^source: the slot may keep -?\d+ bytes of log more, of 67108864$/);
  await server.query("app", "SELECT pg_drop_replication_slot('lagging')");
  await passing;
});

test("a stopped migration waits no more", async () => {
  using one = throttled();
  one.limits = { ...one.limits, rowsPerSecond: 1 };
  const stop = new AbortController();
  await one.throttle.pass(0, stop.signal);
  const passing = one.throttle.pass(1_000, stop.signal);
  stop.abort(new Error("stopped"));
  await expect(passing).rejects.toThrow("aborted");
});

const RIGHTS =
  "SELECT relname, relacl::text, (SELECT string_agg(attname || attacl::text, ' ') FROM pg_attribute WHERE attrelid = c.oid) AS columns FROM pg_class c WHERE relname LIKE 'read%' ORDER BY 1";

test("a fence that refuses reads gives back what it took, rights of columns and of everybody too", async () => {
  await server.query(
    "app",
    `CREATE ROLE reader; CREATE ROLE part; CREATE ROLE giver;
CREATE TABLE read_one (id int PRIMARY KEY, name text); CREATE TABLE read_all (id int PRIMARY KEY);
GRANT SELECT, INSERT ON read_one TO reader; GRANT SELECT (name) ON read_one TO part; GRANT SELECT ON read_one TO giver WITH GRANT OPTION;
GRANT SELECT ON read_all TO PUBLIC`,
  );
  const before = (await server.query("app", RIGHTS)).rows;
  const connection = await openTarget(moveDatabase("source", server.url("app")));
  await connection.query(CREATE_FENCE_STATE);
  const tables = ["read_one", "read_all"].map((name) => ({ schema: "public", name }));
  const fence: Fence = { migration: "m", side: "sources", tables };
  const raised = { markers: [], lockTimeoutMs: 1_000, refusesReads: true };
  expect(await raiseFence(connection, fence, 1, raised)).toBe(true);
  // Once more, as after a crash: what was taken is not forgotten.
  expect(await raiseFence(connection, fence, 1, raised)).toBe(true);
  for (const [role, sql] of [
    ["reader", "SELECT id FROM read_one"],
    ["part", "SELECT name FROM read_one"],
    ["giver", "SELECT id FROM read_one"],
    ["reader", "SELECT id FROM read_all"],
  ])
    await expect(server.query("app", `SET ROLE ${role}; ${sql}`)).rejects.toMatchObject({
      code: "42501",
    });
  await server.query("app", "SELECT FROM read_one");
  expect(await lowerFence(connection, fence, 0, 1_000)).toBe(false);
  expect(await lowerFence(connection, fence, 2, 1_000)).toBe(true);
  const sorted = (rows: readonly unknown[]): unknown =>
    JSON.parse(JSON.stringify(rows), (_key, value: unknown) =>
      typeof value === "string" && value.startsWith("{") ? value.split(/[{},]/).toSorted() : value,
    );
  expect(sorted((await server.query("app", RIGHTS)).rows)).toEqual(sorted(before));
  connection.close();
});
