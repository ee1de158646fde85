/** The short way, message for message as PostgreSQL answers; and that it is taken. */
import { expect, test } from "vitest";
import { ServerError } from "../support/raw-client.ts";
import { comparing } from "./comparing.ts";
import { DIRECT_BLOCKS } from "./scripts-direct-blocks.ts";
import { DIRECT } from "./scripts-direct.ts";
import { startServers } from "./servers.ts";

comparing("statements that come again", DIRECT);
comparing("statements that come again in transaction blocks", DIRECT_BLOCKS);

const RELAYED = /^colonnade_relayed_statements_total (\d+)$/m;
const POINT = "SELECT name FROM accounts WHERE id = 1";

test.each([
  [true, 9 + 10],
  [false, 0],
])("a known statement takes the short way: %s", async (relay, expected) => {
  await using servers = await startServers({ config: { fast_path: { relay } } });
  await servers.reset();
  const client = await servers.proxy.connect();
  const ten = async (): Promise<void> => {
    for (let index = 0; index < 10; index++) {
      expect(await client.query(POINT)).toEqual([["ann"]]);
    }
  };
  await ten();
  await client.query("BEGIN");
  await ten();
  await client.query("COMMIT");
  await client.close();
  const metrics = await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/metrics`);
  expect(Number(RELAYED.exec(await metrics.text())?.[1])).toBe(expected);
});

test("a backend that ends between two statements of a block is told of as such", async () => {
  await using servers = await startServers();
  await servers.reset();
  const codes = new Set<unknown>();
  for (let round = 0; round < 20; round++) {
    const client = await servers.proxy.connect();
    await client.query("BEGIN");
    await client.query(POINT);
    const ended = servers.second.query(
      "postgres",
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'east'",
    );
    // The server's last words, and the end of the connection, come one after the other.
    let code: unknown;
    while (code === undefined) code = await client.query(POINT).then(() => undefined, codeOf);
    codes.add(code);
    await ended;
    client.destroy();
  }
  expect([...codes].filter((code) => code !== "57P01" && code !== "08006")).toEqual([]);
});

function codeOf(error: unknown): unknown {
  return error instanceof ServerError ? error.fields["C"] : error;
}
