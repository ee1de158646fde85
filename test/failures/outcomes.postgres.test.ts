/**
 * Every row of docs/failures.md: something is lost at the moment that the row names, the client is
 * told what the row says, and what holds then is what it says. Afterwards nothing is held.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { LOSSES } from "./outcomes.ts";
import { NAMES, startThreeDatabases } from "./three-databases.ts";
import type { ThreeDatabases } from "./three-databases.ts";

const SETTLED_WITHIN_MS = 20_000;

let databases: ThreeDatabases;
let proxy: TestProxy;
let client: RawClient;

beforeAll(async () => {
  databases = await startThreeDatabases();
  proxy = await startTestProxy(databases.map("gated"));
});
afterAll(async () => {
  await proxy?.stop();
  await databases?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await databases.reset();
  client = await proxy.connect();
});
afterEach(() => {
  client.destroy();
  if (!proxy.isAlive()) throw new Error(`the proxy died: ${proxy.output()}`);
});

/** Rows of `items`, transactions that are open or prepared, and connections that somebody has. */
async function held(): Promise<unknown> {
  const open = await Promise.all(
    NAMES.map(async (name) => {
      const { rows } = await databases
        .serverOf(name)
        .query(
          name,
          "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()",
        );
      const count = await databases.serverOf(name).query(name, "SELECT count(*)::int FROM items");
      return [...rows.map(({ query }) => query), count.rows[0]?.["count"]];
    }),
  );
  return { open, prepared: await databases.prepared() };
}

describe.each(LOSSES)("$lost is lost", ({ cases }) => {
  test.each(cases)("$when", async ({ play, told, notes }) => {
    expect(await play({ databases, proxy, client })).toBe(told);
    await expect.poll(() => databases.notes(), { timeout: SETTLED_WITHIN_MS }).toEqual(notes);
    await expect
      .poll(held, { timeout: SETTLED_WITHIN_MS })
      .toEqual({ open: [[1], [1], [1]], prepared: [] });
    // The session goes on, where there is one, and so does everybody else.
    const next = client.isLost ? await proxy.connect() : client;
    await expect
      .poll(() => next.query("SELECT count(*) FROM items").catch(String), {
        timeout: SETTLED_WITHIN_MS,
      })
      .toEqual([["3"]]);
    await next.close();
  });
});
