/** A proxy dies (SIGKILL) while its clients insert rows with ids from sequences: no id is given twice. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { inFullRun } from "../support/run-mode.ts";

const ROUNDS = inFullRun(15, 3);
const CLIENTS = 8;
const BLOCK = 500;

test(
  `ids after ${ROUNDS} kills are unique, also where several proxies draw them`,
  { timeout: 240_000 },
  async () => {
    await using server = await startPostgres({ databases: ["home", "east", "west"] });
    // The primary key of a placement sees its own rows alone: that ids are unique is to be counted.
    const table = "CREATE TABLE items (id bigserial PRIMARY KEY, note text, number serial)";
    for (const name of ["home", "east", "west"]) await server.query(name, table);
    const map = `
version: 1
catalog: home
databases:
  home: { primary: ${server.url("home")} }
  east: { primary: ${server.url("east")} }
  west: { primary: ${server.url("west")} }
colocations:
  items:
    shard_key: bigint
    function: hash
    logical_shards: 16
    tables: { items: id }
    placements:
      - { shards: 0-7, database: east }
      - { shards: 8-15, database: west }
sequences: { block_size: 1, block_sizes: { items_id_seq: ${BLOCK} } }
`;
    const acknowledged: string[] = [];
    await using survivor = await startTestProxy(map);
    const steady = await clientsOf(survivor);
    const stop = new AbortController();
    const inserting = steady.map((client) => insertOnAndOn(client, acknowledged, stop.signal));
    for (let round = 0; round < ROUNDS; round++) {
      const victim = await startTestProxy(map);
      const clients = await clientsOf(victim);
      const working = clients.map((client) => insertOnAndOn(client, acknowledged, stop.signal));
      await sleep(300 + Math.random() * 300);
      process.kill(victim.pid, "SIGKILL");
      await Promise.all(working);
      await victim.stop();
    }
    stop.abort();
    await Promise.all(inserting);

    const rows = (
      await Promise.all(["east", "west"].map((name) => server.query(name, "TABLE items")))
    ).flatMap((answer) => answer.rows);
    const ids = rows.map(({ id }) => String(id));
    process.stdout.write(`${ids.length} rows, ${acknowledged.length} acknowledged\n`);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(rows.map(({ number }) => Number(number))).size).toBe(ids.length);
    const present = new Set(ids);
    expect(acknowledged.filter((id) => !present.has(id))).toEqual([]);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);

    // What the map says of each sequence: one draws blocks, the other only what it gives out.
    const lastOf = async (sequence: string): Promise<number> => {
      const answer = await server.query("home", `SELECT last_value FROM ${sequence}`);
      return Number(answer.rows[0]?.["last_value"]);
    };
    const [lastId, lastNumber] = [await lastOf("items_id_seq"), await lastOf("items_number_seq")];
    expect(lastId % BLOCK).toBe(0);
    expect(lastId).toBeGreaterThanOrEqual(BLOCK * (ROUNDS + 1));
    expect(lastNumber).toBeGreaterThanOrEqual(ids.length);
    expect(lastNumber).toBeLessThanOrEqual(ids.length + CLIENTS * ROUNDS);
  },
);

function clientsOf(proxy: TestProxy): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: CLIENTS }, () => proxy.connect()));
}

/** Until the signal, or the end of the client's connection. */
async function insertOnAndOn(
  client: RawClient,
  acknowledged: string[],
  stopped: AbortSignal,
): Promise<void> {
  try {
    while (!stopped.aborted) {
      const rows = await client.query("INSERT INTO items (note) VALUES ('x') RETURNING id");
      acknowledged.push(rows[0]?.[0] ?? "");
    }
  } catch (error) {
    if (!client.isLost) throw error;
  }
  client.destroy();
}
