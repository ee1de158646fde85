/** When a proxy of a fleet asks the catalog database before it uses its catalog, and what it does with the answers. */
import { expect, test } from "vitest";
import { CATALOG_AWAY_PAUSE_MS, CATALOG_TRUST_MS } from "../../base/limits.ts";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import type { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../../proxy/backend/backend-error.ts";
import { CatalogTrust } from "../../proxy/topology/catalog-trust.ts";

const DDL = { id: "a", transaction: "7" };

/** `asked`: what the catalog database was asked, in order. */
function trusting(isInFleet = true) {
  const asked: string[] = [];
  const world = {
    nowMs: 0,
    status: "in progress" as string | undefined,
    failure: undefined as Error | undefined,
    /** Awaited by each question. */
    pause: Promise.resolve(),
  };
  const ask = async (question: string): Promise<void> => {
    asked.push(question);
    await world.pause;
    if (world.failure !== undefined) throw world.failure;
  };
  const trust = new CatalogTrust({
    isInFleet,
    now: () => world.nowMs,
    topology: {
      look: () => ask("look"),
      refresh: () => ask("refresh"),
      transactionStatus: async (transaction) => {
        await ask(transaction);
        return world.status;
      },
    },
    onForeignDdl: () => asked.push("foreign"),
    log: createLog("fatal"),
    metrics: new Metrics(),
  });
  return { trust, world, asked };
}

async function followed() {
  const made = trusting();
  made.trust.follow([], 0);
  await made.trust.confirm();
  made.asked.length = 0;
  return made;
}

test("without a fleet there is nobody to doubt", () => {
  const { trust, world } = trusting(false);
  world.nowMs = 1e9;
  expect(trust.isDoubted).toBe(false);
});

test("a proxy that joins looks once, and again after the fleet was silent", async () => {
  const { trust, world, asked } = trusting();
  expect(trust.isDoubted).toBe(true);
  trust.follow([], 0);
  await trust.confirm();
  expect(asked.slice(0, 1)).toEqual(["look"]);
  expect(trust.isDoubted).toBe(false);
  world.nowMs = CATALOG_TRUST_MS;
  expect(trust.isDoubted).toBe(true);
  // What is heard now does not tell of the time between.
  asked.length = 0;
  trust.follow([], world.nowMs);
  expect(trust.isDoubted).toBe(true);
  await trust.confirm();
  expect(asked).toContain("look");
  expect(trust.isDoubted).toBe(false);
});

test("while nobody is heard, each statement asks", async () => {
  const { trust, world, asked } = await followed();
  world.nowMs = CATALOG_TRUST_MS;
  await trust.confirm();
  await trust.confirm();
  expect(asked).toEqual(["look", "look"]);
  expect(trust.isDoubted).toBe(true);
});

test("DDL under way is asked for until it is over, then loaded once", async () => {
  const { trust, world, asked } = await followed();
  trust.follow([DDL], 0);
  await trust.confirm();
  expect(new Set(asked)).toEqual(new Set(["7"]));
  expect(trust.isDoubted).toBe(true);
  world.status = "committed";
  asked.length = 0;
  await trust.confirm();
  expect(asked).toEqual(["7", "foreign", "refresh"]);
  expect([trust.isDoubted, trust.settled]).toEqual([false, ["a"]]);
  // It is named until its row is gone.
  trust.follow([DDL], 0);
  expect(trust.isDoubted).toBe(false);
  trust.follow([], 0);
  expect(trust.settled).toEqual([]);
});

test("DDL whose row is gone before it is known to be over is still asked for", async () => {
  const { trust, world, asked } = await followed();
  trust.follow([DDL], 0);
  trust.follow([], 0);
  expect(trust.isDoubted).toBe(true);
  world.status = "committed";
  await trust.confirm();
  expect(asked).toContain("refresh");
  expect(trust.isDoubted).toBe(false);
});

test("DDL that was rolled back is not loaded; one that nobody knows of any more, or that is over, is", async () => {
  for (const [status, transaction, loads] of [
    ["aborted", "7", false],
    [undefined, "7", true],
    ["in progress", undefined, true],
  ] as const) {
    const { trust, world, asked } = await followed();
    world.status = status;
    trust.follow([{ id: "a", transaction }], 0);
    await trust.confirm();
    expect(asked.includes("refresh")).toBe(loads);
    expect(trust.isDoubted).toBe(false);
  }
});

test("what this proxy has loaded itself is not asked for", async () => {
  const { trust, world } = await followed();
  trust.follow([DDL], 0);
  trust.settle("a");
  expect(trust.isDoubted).toBe(false);
  world.nowMs = 1;
  trust.follow([DDL], 1);
  expect(trust.isDoubted).toBe(false);
});

test("a question that has begun answers nobody who asks later", async () => {
  const { trust, world, asked } = await followed();
  world.nowMs = CATALOG_TRUST_MS;
  const gate = Promise.withResolvers<void>();
  world.pause = gate.promise;
  const before = trust.confirm();
  const later = Promise.all([trust.confirm(), trust.confirm()]);
  await expect.poll(() => asked).toEqual(["look"]);
  gate.resolve();
  await before;
  await later;
  expect(asked).toEqual(["look", "look"]);
});

test("a catalog database that is away is used as it was known, but for DDL that is known of", async () => {
  const { trust, world, asked } = await followed();
  world.failure = new Error("connection refused");
  world.nowMs = CATALOG_TRUST_MS;
  await trust.confirm();
  expect(trust.isDoubted).toBe(false);
  world.nowMs += CATALOG_AWAY_PAUSE_MS;
  expect(trust.isDoubted).toBe(true);
  await trust.confirm();
  expect(asked).toEqual(["look", "look"]);
  trust.follow([DDL], world.nowMs);
  expect(trust.isDoubted).toBe(true);
  await expect(trust.confirm()).rejects.toMatchObject({ id: "catalog_unconfirmed" });
});

test("an answer that is an error is no absence, but for that of a server that starts or stops", async () => {
  for (const [sqlstate, outcome] of [
    ["55P03", "catalog_unconfirmed"],
    ["57P03", "goes on"],
  ] as const) {
    const { trust, world } = await followed();
    world.failure = new BackendError({ S: "ERROR", C: sqlstate, M: "no" });
    world.nowMs = CATALOG_TRUST_MS;
    const confirmed = trust.confirm().then(
      () => "goes on",
      ({ id }: SqlError) => id,
    );
    expect(await confirmed).toBe(outcome);
  }
});
