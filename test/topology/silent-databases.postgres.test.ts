/** A map is applied soon though databases do not answer: it may be what brings clients to those that do. */
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { MAP_READ_WAIT_MS } from "../../base/limits.ts";
import { Line } from "../chaos/line.ts";
import { startPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";

const NAMES = ["app", "east", "west"] as const;

test("a database that is silent does not keep a map from being in force", async () => {
  await using server = await startPostgres({ databases: [...NAMES] });
  for (const name of NAMES)
    await server.query(name, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
  await using catalog = await Line.open("catalog", server.port);
  await using east = await Line.open("east", server.port);
  const mapOf = (version: number): string => `
version: ${version}
catalog: app
databases:
  app: { primary: "${catalog.url("app")}" }
  east: { primary: "${east.url("east")}" }
  west: { primary: "${server.url("west")}" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 2
    tables: { users: id }
    placements: [{ shards: 0, database: east }, { shards: 1, database: west }]
`;
  await using proxy = await startTestProxy(mapOf(1));
  const client = await proxy.connect();
  await client.query("INSERT INTO users SELECT n, 'x' FROM generate_series(1, 20) n");
  const { rows } = await server.query("west", "SELECT min(id)::int AS id FROM users");
  const [prepared] = [`SELECT name FROM users WHERE id = ${String(rows[0]?.["id"])}`];
  expect(await client.query(prepared)).toEqual([["x"]]);
  const version = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
    return Number(/^colonnade_map_version (\d+)$/m.exec(text)?.[1]);
  };
  for (const [index, silent] of [[east], [east, catalog]].entries()) {
    for (const line of silent) line.cut("stalled", () => true);
    await writeFile(proxy.mapFile, mapOf(2 + index));
    process.kill(proxy.pid, "SIGHUP");
    await expect.poll(version, { timeout: 4 * MAP_READ_WAIT_MS }).toBe(2 + index);
    expect(await client.query(prepared)).toEqual([["x"]]);
    // What needs a silent database waits for it, as it would have under the old map.
    const all = client.query("SELECT count(*) FROM users");
    await sleep(100);
    for (const line of silent) line.mend();
    expect(await all).toEqual([["20"]]);
  }
  await client.close();
});
