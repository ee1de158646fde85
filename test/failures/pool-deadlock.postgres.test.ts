/** Transactions that hold all connections of one pool and wait for another's, and the other way round. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { POOL_SIZE_DEFAULT } from "../../base/limits.ts";
import { findPoolDeadlock } from "../../proxy/execution/pool-waits.ts";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { inFullRun } from "../support/run-mode.ts";
import { startThreeDatabases } from "./three-databases.ts";
import type { ThreeDatabases } from "./three-databases.ts";

const CLIENTS = inFullRun([45, 70], [45]);

let databases: ThreeDatabases;
let proxy: TestProxy;
const clients: RawClient[] = [];

beforeAll(async () => {
  databases = await startThreeDatabases();
  proxy = await startTestProxy(databases.map("direct"));
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});
afterAll(async () => {
  await proxy?.stop();
  await databases?.[Symbol.asyncDispose]();
});

/** What failed, or COMMIT. `other` once `whenFull` is over, where the pools are full. */
async function insertInto(
  one: number,
  other: number,
  whenFull: () => Promise<unknown>,
): Promise<string> {
  const client = await proxy.connect();
  clients.push(client);
  try {
    await client.query(`BEGIN; INSERT INTO items VALUES (${one}, 'new')`);
    await whenFull();
    await client.query(`INSERT INTO items VALUES (${other}, 'new')`);
    await client.query("COMMIT");
    return "COMMIT";
  } catch (error) {
    // It stays as it is, in its failed transaction, until all are told.
    if (!(error instanceof ServerError)) throw error;
    const { C: sqlstate, D: detail = "", H: hint = "" } = error.fields;
    return `${sqlstate} ${detail} ${hint}`;
  }
}

test.each(CLIENTS)("%i clients, every other one in the other order", async (count) => {
  await databases.reset();
  const startedMs = performance.now();
  const full = Promise.withResolvers<void>();
  let holding = 0;
  const whenFull = (): Promise<void> => {
    holding += 1;
    if (holding === 2 * POOL_SIZE_DEFAULT) full.resolve();
    return full.promise;
  };
  const told = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const [inB, inC] = [1100 + index, 2100 + index];
      return index % 2 === 0 ? insertInto(inB, inC, whenFull) : insertInto(inC, inB, whenFull);
    }),
  );
  const refused = told.filter((each) => each !== "COMMIT");
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  for (const each of refused)
    expect(each).toMatch(/^40P01 .* databases "b", "c" is held .* pool\.size larger/);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThanOrEqual(3);
  for (const name of ["b", "c"] as const) {
    const { rows } = await databases
      .serverOf(name)
      .query(name, "SELECT count(*)::int AS count FROM items WHERE note = 'new'");
    expect(rows[0]?.["count"]).toBe(count - refused.length);
  }
});

const [A, B, C] = ["a", "b", "c"].map(databaseName) as [
  ReturnType<typeof databaseName>,
  ReturnType<typeof databaseName>,
  ReturnType<typeof databaseName>,
];

const waiter = (holdNumber: number, holds: typeof A, awaited: typeof A) => ({
  holdNumber,
  held: [{ database: holds }],
  awaited,
});

test("a circle has all connections of its pools, and its youngest member is stopped", () => {
  const circle = [waiter(1, A, B), waiter(3, B, A), waiter(2, B, C), waiter(4, C, B)];
  expect(findPoolDeadlock([...circle.slice(0, 2), waiter(9, C, A)], 1)).toEqual({
    pools: [A, B],
    victim: circle[1],
  });
  expect(findPoolDeadlock(circle.slice(0, 1), 1)).toBeUndefined();
  expect(findPoolDeadlock(circle.slice(0, 2), 2)).toBeUndefined();
  expect(findPoolDeadlock([], 1)).toBeUndefined();
});
