/** Where a group of reads has no connection that is ready for it: it waits for one as others do, and makes it ready. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { Metrics } from "../../base/metrics.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { SharedReads } from "../../proxy/execution/shared-reads/shared-reads.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { countedIn, fallbacksIn, Owner } from "./read-owner.ts";
import type { Asked } from "./read-owner.ts";

const NAME = databaseName("main");
const ZONE = "SELECT current_setting('TimeZone') || '!'";

let server: TestPostgres;
let backends: Backends;
let metrics: Metrics;
let reads: SharedReads;

beforeAll(async () => {
  server = await startPostgres({ databases: ["main"] });
});
afterAll(async () => {
  await server.stop();
});
beforeEach(() => {
  const addresses = new Map([[NAME, parseBackendAddress(server.url("main"))]]);
  backends = new Backends(addresses, { pool: { size: 1 }, drainMs: 0 });
  metrics = new Metrics();
  reads = new SharedReads({ backends, connectionsMax: 1, metrics });
});
afterEach(async () => {
  await backends.close();
});

/** Of sessions in this time zone. */
function ask(sql: string, zone = "Asia/Tokyo", priority: Asked["priority"] = "normal") {
  const owner = new Owner({ sql, priority });
  const settings = { tag: zone, sql: `SET TimeZone = '${zone}'`, isOtherRole: false };
  const read = reads.take(
    {
      database: NAME,
      settings: { ...settings, customNames: new Set() },
      sharing: { coalesces: false },
      prepared: undefined,
      likeness: undefined,
    },
    owner,
  );
  if (read === undefined) owner.end.resolve("not taken");
  return { owner, end: owner.end.promise };
}

test("the first connection is made ready, and serves all that wait for it by then", async () => {
  const asked = [ask(ZONE), ask(ZONE)];
  await new Promise((resolve) => setImmediate(resolve));
  asked.push(ask(ZONE));
  expect(await Promise.all(asked.map(({ end }) => end))).toEqual(asked.map(() => "answered"));
  for (const { owner } of asked) expect(owner.text).toContain("Asia/Tokyo!");
  expect(await countedIn(metrics, "colonnade_shared_read_writes_total")).toBe(1);
  expect(await fallbacksIn(metrics)).toEqual({});
});

test("groups take turns on a pool that has fewer connections than there are groups", async () => {
  const zones = ["Asia/Tokyo", "Europe/Rome", "America/Lima"];
  for (let round = 0; round < 3; round++) {
    const asked = zones.map((zone) => ({ zone, ...ask(ZONE, zone) }));
    for (const { zone, end, owner } of asked) {
      expect(await end).toBe("answered");
      expect(owner.text).toContain(`${zone}!`);
    }
  }
});

test("where all connections are in use, reads wait as one, before who comes later", async () => {
  const held = await backends.acquire(NAME);
  const asked = Array.from({ length: 10 }, () => ask(ZONE));
  await new Promise((resolve) => setImmediate(resolve));
  const later = backends.acquire(NAME, undefined, {
    standing: "new",
    priority: "normal",
    user: "other",
  });
  expect(backends.stats().get(NAME)?.waiting).toBe(2);
  backends.release(held);
  expect(await Promise.all(asked.map(({ end }) => end))).toEqual(asked.map(() => "answered"));
  expect(await countedIn(metrics, "colonnade_shared_read_writes_total")).toBe(1);
  backends.release(await later);
});

test("who is more or less urgent than most waits by itself", async () => {
  const held = await backends.acquire(NAME);
  const urgent = ask(ZONE, undefined, "high");
  const ordinary = ask(ZONE);
  const unhurried = ask(ZONE, undefined, "low");
  expect([await urgent.end, await unhurried.end]).toEqual(["again", "again"]);
  backends.release(held);
  expect(await ordinary.end).toBe("answered");
});

test("what the pool or the server refuses is told to each by what it asks itself", async () => {
  expect(await ask(ZONE, "No/Where").end).toBe("again");
  expect(await ask(ZONE).end).toBe("answered");
  await backends.close();
  expect(await ask(ZONE).end).toBe("again");
  // Whoever comes next meets the same, and is not kept from it by waiting for others.
  expect(await ask(ZONE).end).toBe("not taken");
  expect(await fallbacksIn(metrics)).toEqual({ "no connection": 3 });
});

test("a pool that is replaced is asked nothing new", async () => {
  const slow = ask("SELECT pg_sleep(0.03), 'slow!'");
  await backends.acquire(NAME).then((connection) => backends.release(connection));
  await slow.end;
  const running = ask("SELECT pg_sleep(20)");
  await new Promise((resolve) => setImmediate(resolve));
  const address = parseBackendAddress(`${server.url("main")}?application_name=another`);
  backends.update(new Map([[NAME, address]]));
  const next = ask("SELECT current_setting('application_name') || '!'");
  expect(await next.end).toBe("answered");
  expect(next.owner.text).toContain("another!");
  // The old pool was given no time.
  expect(await running.end).toBe("again");
});

test("a connection whose settings have changed is made ready anew", async () => {
  expect(await ask("SET application_name = 'another'").end).toBe("answered");
  const next = ask("SELECT 'called ' || current_setting('application_name')");
  expect(await next.end).toBe("answered");
  expect(next.owner.text).not.toContain("another");
});
