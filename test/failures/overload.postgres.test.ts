/**
 * A database that is slow or gone beside one that is neither, with more clients than the slow one
 * can serve: who is refused, how soon, who is served first, and that nobody else notices.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { RawClient, ServerError } from "../support/raw-client.ts";
import { queryFrame, readColumns, readRow } from "../support/raw-frames.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { inFullRun } from "../support/run-mode.ts";
import { KEYS, startThreeDatabases } from "./three-databases.ts";
import type { Name, ThreeDatabases } from "./three-databases.ts";

const LOAD_MS = inFullRun(10_000, 1_500);
const WAIT_MS = 1_500;
/** What the slow database takes to answer. */
const SLOW_MS = 250;

/** What is measured is shares and times: a machine that is busy with something else gets another try. */
const BUSY = { retry: 2 };

let databases: ThreeDatabases;
const proxies: TestProxy[] = [];
const clients: RawClient[] = [];

beforeAll(async () => {
  databases = await startThreeDatabases();
  await databases.reset();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const proxy of proxies.splice(0)) await proxy.stop();
});
afterAll(async () => {
  await databases?.[Symbol.asyncDispose]();
});

async function startProxy(
  pool: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<TestProxy> {
  const config = { pool: { wait_ms: WAIT_MS, ...pool }, ...more };
  const proxy = await startTestProxy(databases.map("direct"), {
    config: { console: { admin_users: ["postgres"] }, ...config },
  });
  proxies.push(proxy);
  return proxy;
}

async function connect(
  { host, port }: TestProxy,
  user = "postgres",
  applicationName = "",
): Promise<RawClient> {
  const settings = { application_name: applicationName };
  const client = await RawClient.connect({ host, port, user, database: "app", settings });
  clients.push(client);
  return client;
}

/** One row of the console, by names. */
async function shown(proxy: TestProxy, what: string, database: Name): Promise<Map<string, string>> {
  const { host, port } = proxy;
  const client = await RawClient.connect({ host, port, user: "postgres", database: "colonnade" });
  clients.push(client);
  const { messages } = await client.exchange(queryFrame(what));
  const names = messages.flatMap(({ type, body }) =>
    type === "T" ? readColumns(body).map(({ name }) => name) : [],
  );
  const rows = messages.flatMap(({ type, body }) =>
    type === "D" ? [readRow(body).map(String)] : [],
  );
  const row = rows.find(([name]) => name === database) ?? [];
  return new Map(names.map((name, index) => [name, row[index] ?? ""]));
}

interface Load {
  readonly servedMs: number[];
  readonly refused: { readonly ms: number; readonly sqlstate: string; readonly text: string }[];
}

/** One statement after the other for so long. Who is refused takes a breath. */
async function load(client: RawClient, sqls: readonly string[], forMs = LOAD_MS): Promise<Load> {
  const told: Load = { servedMs: [], refused: [] };
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    const started = performance.now();
    try {
      for (const sql of sqls) await client.query(sql);
      told.servedMs.push(performance.now() - started);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      const { C: sqlstate = "", M: text = "" } = error.fields;
      told.refused.push({ ms: performance.now() - started, sqlstate, text });
      await client.query("ROLLBACK");
      await sleep(250);
    }
  }
  return told;
}

async function loads(
  of: readonly RawClient[],
  sqls: readonly string[],
  forMs = LOAD_MS,
): Promise<Load> {
  const all = await Promise.all(of.map((client) => load(client, sqls, forMs)));
  return {
    servedMs: all.flatMap(({ servedMs }) => servedMs),
    refused: all.flatMap(({ refused }) => refused),
  };
}

function many(count: number, one: () => Promise<RawClient>): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: count }, one));
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity;
}

const read = (name: Name): string => `SELECT note FROM items WHERE id = ${KEYS[name]}`;
const slowRead = (name: Name, seconds: number): string =>
  `${read(name)} AND late_sleep(${seconds} + id * 0)`;

test(
  "a slow database's clients are told at once, and a quick one's notice nothing",
  BUSY,
  async () => {
    const proxy = await startProxy({ size: 8, adaptive: { enabled: true, min: 2 } });
    const quick = await many(3, () => connect(proxy));
    const slow = await many(120, () => connect(proxy));
    const holder = await connect(proxy);
    await loads(slow.slice(0, 8), [read("c")], 600);
    const alone = await loads(quick, [read("b")], 700);
    const crossing = [
      "BEGIN",
      `UPDATE items SET note = 'x' WHERE id = ${KEYS.b}`,
      read("c"),
      "COMMIT",
    ];
    const [slowLoad, besides, transactions] = await Promise.all([
      loads(slow, [slowRead("c", SLOW_MS / 1_000)], LOAD_MS + 3_000),
      // Once the slow ones have filled their queue.
      sleep(700).then(() => loads(quick, [read("b")], LOAD_MS)),
      sleep(700).then(() => load(holder, crossing, LOAD_MS)),
    ]);
    // The quick one's clients: no error, and nothing of the slow one's quarter of a second.
    expect([alone.refused, besides.refused]).toEqual([[], []]);
    const medians = [alone, besides].map(({ servedMs }) => quantile(servedMs, 0.5).toFixed(2));
    console.log(
      `a quick database alone, and beside a slow one: median ${medians.join(" and ")} ms`,
    );
    expect(quantile(besides.servedMs, 0.5)).toBeLessThan(SLOW_MS / 2);
    // The slow one's: some are served, and the others (pool_overloaded) hear of it long before their deadline.
    expect(slowLoad.servedMs.length).toBeGreaterThan(8);
    const early = slowLoad.refused.filter(({ text }) => text.includes("overloaded"));
    expect(early.length).toBeGreaterThan(20);
    for (const { sqlstate, text } of early) {
      expect(sqlstate).toBe("53300");
      expect(text).toMatch(/^database "c" is overloaded: a connection .* in about \d+ ms, and/);
    }
    expect(
      quantile(
        early.map(({ ms }) => ms),
        0.9,
      ),
    ).toBeLessThan(WAIT_MS / 5);
    // Who holds the quick one's connection is never refused the slow one's.
    expect(transactions.refused).toEqual([]);
    expect(transactions.servedMs.length).toBeGreaterThan(0);
    const pools = await shown(proxy, "SHOW POOLS", "c");
    expect(Number(pools.get("sv_limit"))).toBeLessThan(8);
    expect(Number(pools.get("cl_refused"))).toBeGreaterThanOrEqual(early.length);
    expect((await shown(proxy, "SHOW POOLS", "b")).get("cl_refused")).toBe("0");
    await expect
      .poll(async () => (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text())
      .toMatch(/colonnade_pool_refused_total\{database="c",reason="overload"\} [1-9]/);
  },
);

test("twenty clients of one user leave half to the one client of another", BUSY, async () => {
  const proxy = await startProxy({ size: 2 });
  const twenty = await many(20, () => connect(proxy, "many"));
  const one = await connect(proxy, "one");
  const [ofMany, ofOne] = await Promise.all([
    loads(twenty, [slowRead("c", 0.04)]),
    load(one, [slowRead("c", 0.04)]),
  ]);
  expect(ofOne.refused).toEqual([]);
  // First come, first served, would give it a twenty-first.
  const share = ofOne.servedMs.length / (ofOne.servedMs.length + ofMany.servedMs.length);
  expect(share).toBeGreaterThan(0.12);
});

test("a flood of low priority does not stop an urgent client, whatever says so", BUSY, async () => {
  const priorities = { users: { billing: "high" }, applications: { batch: "low" } };
  const proxy = await startProxy({ size: 2 }, { priorities });
  const flood = await many(20, () => connect(proxy, "postgres", "batch"));
  const [byUser, byComment] = [await connect(proxy, "billing"), await connect(proxy)];
  const slow = slowRead("c", 0.04);
  const [low, ...urgent] = await Promise.all([
    loads(flood, [slow]),
    load(byUser, [slow]),
    load(byComment, [`${slow} /* colonnade:priority=high */`]),
  ]);
  for (const { servedMs, refused } of urgent) {
    expect(refused).toEqual([]);
    // A turn of somebody else's, and its own; in a queue of twenty it would be 400 ms.
    expect(quantile(servedMs, 0.5)).toBeLessThan(200);
  }
  expect(low.servedMs.length).toBeGreaterThan(0);
});

test("a database that is gone is not asked for, its neighbour serves, and its return is seen", async () => {
  const proxy = await startProxy({ size: 4 });
  const [neighbour, writer] = [await connect(proxy), await connect(proxy)];
  const lost = await many(10, () => connect(proxy));
  await writer.query(`BEGIN; UPDATE items SET note = 'kept' WHERE id = ${KEYS.a}`);
  await databases.second.kill9();
  const [told, served] = await Promise.all([
    loads(lost, [read("c")], 1_200),
    load(neighbour, [read("a")], 1_200),
  ]);
  expect(served.refused).toEqual([]);
  expect(told.servedMs).toEqual([]);
  const refused = told.refused.filter(({ sqlstate }) => sqlstate === "57P03");
  expect(refused.at(-1)?.text).toMatch(/^database "c" is not asked now/);
  expect(
    quantile(
      refused.map(({ ms }) => ms),
      0.9,
    ),
  ).toBeLessThan(50);
  expect((await shown(proxy, "SHOW DATABASES", "c")).get("circuit_open")).toBe("1");
  expect((await shown(proxy, "SHOW DATABASES", "a")).get("circuit_open")).toBe("0");
  // A transaction that has written elsewhere is no matter of the circuit's.
  await writer.query("COMMIT");
  expect(await writer.query(read("a"))).toEqual([["kept"]]);
  await databases.second.restart();
  const [back] = lost;
  await expect
    .poll(() => back?.query(read("c")).catch((error: Error) => error.message), { timeout: 5_000 })
    .toEqual([["old"]]);
  expect((await shown(proxy, "SHOW DATABASES", "c")).get("circuit_open")).toBe("0");
});
