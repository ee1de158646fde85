/** pg_backend_pid() of a session, which no one server's process is. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { converse, query, run, sync } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

test("is the one of BackendKeyData, alone in a SELECT, and refused elsewhere", async () => {
  const client = await servers.proxy.connect();
  const pid = String(client.processId);
  for (let round = 0; round < 2; round += 1)
    expect(await client.query("SELECT pg_backend_pid()")).toEqual([[pid]]);
  expect(await client.query("SELECT pg_catalog.pg_backend_pid() AS a, pg_backend_pid()")).toEqual([
    [pid, pid],
  ]);
  expect(await converse(client, [run("SELECT pg_backend_pid()"), sync()])).toEqual([
    "ParseComplete",
    "BindComplete",
    "RowDescription pg_backend_pid 23/4/-1",
    `DataRow ${pid}`,
    "CommandComplete SELECT 1",
    "ReadyForQuery I",
  ]);
  for (const sql of [
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()",
    "SELECT name, pg_backend_pid() FROM accounts",
  ])
    expect((await converse(client, [query(sql)]))[0]).toContain("C=0A000");
  client.destroy();
});
