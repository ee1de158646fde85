/** The short way, message for message as PostgreSQL answers; and that it is taken. */
import { expect, test } from "vitest";
import { comparing } from "./comparing.ts";
import { DIRECT_BLOCKS } from "./scripts-direct-blocks.ts";
import { DIRECT } from "./scripts-direct.ts";
import { startServers } from "./servers.ts";

comparing("statements that come again", DIRECT);
comparing("statements that come again in transaction blocks", DIRECT_BLOCKS);

const RELAYED = /^colonnade_relayed_statements_total (\d+)$/m;
const POINT = "SELECT name FROM accounts WHERE id = 1";

test.each([
  [true, 9 + 9],
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
  // The first of a block has its database join.
  await client.query("BEGIN");
  await ten();
  await client.query("COMMIT");
  await client.close();
  const metrics = await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/metrics`);
  expect(Number(RELAYED.exec(await metrics.text())?.[1])).toBe(expected);
});
