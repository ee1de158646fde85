/**
 * A LIMIT that some placements have satisfied, and a placement that fails after that: outside a
 * transaction block nobody needs to know, inside one that database has given the transaction up.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { converse, query } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

/** Of `east` two rows at once, of `west` an error, a moment later. */
const LIMITED = `SELECT name FROM accounts
  WHERE id < 100 OR (late_sleep(id * 0.005) AND 100 / (id - 101) > 0) LIMIT 2`;

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

test("outside a transaction block the rows are the answer", async () => {
  const client = await servers.proxy.connect();
  const rows = await client.query(LIMITED);
  expect(new Set(rows.map(([name]) => name))).toEqual(new Set(["ann", "bob"]));
  await client.close();
});

test.each([
  ["a block", ["BEGIN", "UPDATE accounts SET balance = 99 WHERE id = 1", LIMITED], "E"],
  [
    "several statements at once",
    [`UPDATE accounts SET balance = 99 WHERE id = 1; ${LIMITED}`],
    "I",
  ],
])("in %s the error is the statement's own", async (_, statements, status) => {
  const client = await servers.proxy.connect();
  const answers = await converse(client, statements.map(query));
  expect(answers.at(-2)).toMatch(/^ErrorResponse .*C=22012/);
  expect(answers.at(-1)).toBe(`ReadyForQuery ${status}`);
  await client.query("ROLLBACK");
  expect(await client.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["10"]]);
  await client.close();
});
