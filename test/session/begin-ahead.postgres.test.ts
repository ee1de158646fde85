/** A transaction's BEGIN goes with its first statement: where the server refuses it, that is not run. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startListeningRelay } from "../support/listening-relay.ts";
import type { ListeningRelay } from "../support/listening-relay.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { bind, converse, execute, parse, sync } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const READ = "SELECT name FROM accounts WHERE id = 101";
const WRITE = "UPDATE accounts SET name = 'changed' WHERE id = 101";
const UNDO = "UPDATE accounts SET name = 'before' WHERE id = 101";

let servers: Servers;
let relay: ListeningRelay;
let proxy: TestProxy;
let client: RawClient;
let isSpoilt = false;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  relay = await startListeningRelay(servers.second.host, servers.second.port, (sent) =>
    isSpoilt ? Buffer.from(sent.toString("latin1").replace("BEGIN\0", "BEGUN\0"), "latin1") : sent,
  );
  const map = servers.map.replaceAll(`:${servers.second.port}/`, `:${relay.port}/`);
  proxy = await startTestProxy(map, { config: { pool: { size: 1, wait_ms: 5_000 } } });
});
beforeEach(async () => {
  isSpoilt = false;
  client = await proxy.connect();
  // Planned, and prepared on the backend, before it counts.
  for (const sql of [READ, WRITE, UNDO]) await client.query(sql);
  relay.take();
});
afterAll(async () => {
  client.destroy();
  await proxy[Symbol.asyncDispose]();
  await relay[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

const sqlstateOf = (error: unknown): unknown =>
  error instanceof ServerError ? error.fields["C"] : error;

async function expectAsBefore(): Promise<void> {
  isSpoilt = false;
  await client.query("ROLLBACK");
  expect(await client.query(READ)).toEqual([["before"]]);
  await client.query("BEGIN");
  await client.query(WRITE);
  await client.query("COMMIT");
  expect(await client.query(READ)).toEqual([["changed"]]);
}

test("in the simple protocol", async () => {
  isSpoilt = true;
  await client.query("BEGIN");
  expect(await client.query(WRITE).catch(sqlstateOf)).toBe("42601");
  expect(relay.take()).toEqual(["P BEGIN", "B", "E", `Q ${WRITE}`, "S"]);
  expect(await client.query(READ).catch(sqlstateOf)).toBe("25P02");
  await expectAsBefore();
});

test("in the extended protocol", async () => {
  const prepared = [parse("write", "UPDATE accounts SET name = 'changed' WHERE id = $1"), sync()];
  await converse(client, prepared);
  const write = [bind("", "write", ["101"]), execute(), sync()];
  await converse(client, write);
  await client.query(UNDO);
  isSpoilt = true;
  relay.take();
  await client.query("BEGIN");
  const answer = await converse(client, write);
  expect(JSON.stringify(answer)).toContain("42601");
  expect(relay.take().slice(0, 3)).toEqual(["P BEGIN", "B", "E"]);
  await expectAsBefore();
});

test("a statement that fails leaves the transaction failed, as one PostgreSQL would", async () => {
  const divide = "UPDATE accounts SET name = (1 / (id - 101))::text WHERE id = 101";
  expect(await client.query(divide).catch(sqlstateOf)).toBe("22012");
  relay.take();
  await client.query("BEGIN");
  expect(await client.query(divide).catch(sqlstateOf)).toBe("22012");
  expect(relay.take()).toContain("P BEGIN");
  expect(await client.query(READ).catch(sqlstateOf)).toBe("25P02");
  await expectAsBefore();
});
