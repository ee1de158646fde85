/**
 * Circles of waits over several databases whose transactions came through different proxies: each
 * knows only its own, and one of the transactions must give way, whichever proxy it is of.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { KEYS, startThreeDatabases } from "./three-databases.ts";
import type { Name, ThreeDatabases } from "./three-databases.ts";

/** As docs/failures.md says, and what a busy machine of two cores adds. */
const BROKEN_WITHIN_MS = 5_000;
const SLOW_MACHINE_MS = 10_000;

let databases: ThreeDatabases;
let proxies: readonly TestProxy[];

beforeAll(async () => {
  databases = await startThreeDatabases();
  proxies = await Promise.all([0, 1].map(() => startTestProxy(databases.map("direct"))));
});
afterAll(async () => {
  await Promise.all((proxies ?? []).map((proxy) => proxy.stop()));
  await databases?.[Symbol.asyncDispose]();
});
beforeEach(() => databases.reset());

const write = (client: RawClient, name: Name): Promise<unknown> =>
  client.query(`UPDATE items SET note = note || '!' WHERE id = ${KEYS[name]}`);
const lock = (client: RawClient, name: Name): Promise<unknown> =>
  client.query(`SELECT note FROM items WHERE id = ${KEYS[name]} FOR UPDATE`);

/** Inside transactions, in the order of their age: the numbers say through which proxy. */
async function begin(...through: readonly number[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const number of through) {
    const client = await (proxies[number] as TestProxy).connect();
    await client.query("BEGIN");
    clients.push(client);
  }
  return clients;
}

function outcomeOf(waiting: Promise<unknown>): Promise<string> {
  return waiting.then(
    () => "goes on",
    (error: unknown) => (error instanceof ServerError ? (error.fields["C"] ?? "") : String(error)),
  );
}

async function deadlocksCounted(): Promise<number> {
  const texts = await Promise.all(
    proxies.map(async ({ adminPort }) =>
      (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(),
    ),
  );
  const counts = texts.map((text) =>
    Number(/^colonnade_deadlocks_total (\d+)$/m.exec(text)?.[1] ?? 0),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

describe("a deadlock over two proxies", () => {
  test.each([
    { what: "of writers", through: [0, 1], take: write },
    { what: "of writers, the other way round", through: [1, 0], take: write },
    { what: "of readers that lock FOR UPDATE", through: [0, 1], take: lock },
  ])("$what ends with 40P01 for the younger", async ({ through, take }) => {
    const [older, younger] = (await begin(...through)) as [RawClient, RawClient];
    const before = await deadlocksCounted();
    await take(older, "a");
    await take(older, "c");
    await take(younger, "b");
    const startMs = performance.now();
    const circle = [outcomeOf(take(older, "b")), outcomeOf(take(younger, "a"))];
    expect(await Promise.all(circle)).toEqual(["goes on", "40P01"]);
    expect(performance.now() - startMs).toBeLessThan(BROKEN_WITHIN_MS + SLOW_MACHINE_MS);
    // Its locks were free before it has ended its transaction.
    await older.query("COMMIT");
    await younger.query("ROLLBACK");
    expect((await deadlocksCounted()) - before).toBe(1);
    for (const client of [older, younger]) await client.close();
  });

  test("of three transactions has one victim", async () => {
    const [one, two, three] = (await begin(0, 1, 0)) as [RawClient, RawClient, RawClient];
    await write(one, "a");
    await write(two, "b");
    await write(three, "c");
    const circle = [
      outcomeOf(write(one, "b").then(() => one.query("COMMIT"))),
      outcomeOf(write(two, "c").then(() => two.query("COMMIT"))),
      outcomeOf(write(three, "a")),
    ];
    expect(await Promise.all(circle)).toEqual(["goes on", "goes on", "40P01"]);
    await three.query("ROLLBACK");
    expect(await databases.notes()).toEqual(["old!", "old!!", "old!"]);
    for (const client of [one, two, three]) await client.close();
  });
});

test("nobody is disturbed who only waits long for a transaction of another proxy", async () => {
  const [holder, waiter] = (await begin(0, 1)) as [RawClient, RawClient];
  const before = await deadlocksCounted();
  await write(holder, "a");
  await write(holder, "b");
  await write(waiter, "c");
  const waiting = outcomeOf(write(waiter, "a"));
  await sleep(4_000);
  await holder.query("COMMIT");
  expect(await waiting).toBe("goes on");
  await waiter.query("COMMIT");
  expect(await deadlocksCounted()).toBe(before);
  for (const client of [holder, waiter]) await client.close();
});

test("what a proxy told and died is forgotten", async () => {
  const [client] = (await begin(0)) as [RawClient];
  const [holder] = (await begin(1)) as [RawClient];
  await databases.first.query(
    "a",
    `INSERT INTO colonnade.lock_holder VALUES ('dead', now() - interval '1 hour', '[]'), ('odd', now(), '{"not": "a list"}')`,
  );
  await write(holder, "a");
  await write(client, "b");
  await write(client, "c");
  const waiting = outcomeOf(write(client, "a"));
  const told = async (): Promise<readonly unknown[]> =>
    (await databases.first.query("a", "SELECT proxy FROM colonnade.lock_holder")).rows;
  await expect.poll(told, { timeout: SLOW_MACHINE_MS }).not.toContainEqual({ proxy: "dead" });
  await holder.query("COMMIT");
  expect(await waiting).toBe("goes on");
  await client.query("ROLLBACK");
  for (const each of [client, holder]) await each.close();
});
