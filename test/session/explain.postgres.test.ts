/** EXPLAIN over several databases: one answer, in which each database's own plan stands. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { converse, query, run, sync } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { startServers, type Servers } from "./servers.ts";

let servers: Servers;
let plain: RawClient;
let client: RawClient;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  plain = await servers.connectPlain();
  client = await servers.proxy.connect();
});
afterAll(async () => {
  plain.destroy();
  client.destroy();
  await servers[Symbol.asyncDispose]();
});

async function lines(sql: string): Promise<readonly string[]> {
  return (await client.query(sql)).map(([line]) => line ?? "");
}

/** Without times and buffers, which no two runs share. */
const ANALYZE = "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off)";

test("a scatter: the route and the gather above each database's plan", async () => {
  expect(await lines("EXPLAIN (COSTS off) SELECT id FROM accounts ORDER BY id LIMIT 2")).toEqual([
    "Colonnade Gather",
    "  Rule: scatter",
    "  Route: allShards accounts (no shard key in predicate)",
    "  Gather: merge by 1 limit 2",
    "  Overflow: in the catalog database over rows",
    "  Placement Count: 3",
    "  ->  Placement east.public",
    "        Database: east",
    "        ->  Limit",
    "              ->  Index Only Scan using accounts_pkey on accounts",
    "  ->  Placement west.public, west.far",
    "        Database: west",
    "        ->  Limit",
    "              ->  Merge Append",
    "                    Sort Key: accounts.id",
    "                    ->  Limit",
    "                          ->  Index Only Scan using accounts_pkey on accounts",
    "                    ->  Limit",
    "                          ->  Index Only Scan using accounts_pkey on accounts accounts_1",
  ]);
});

test("a generic plan, whose parameters have no values", async () => {
  const shown = await lines(
    "EXPLAIN (GENERIC_PLAN, COSTS off) SELECT name FROM accounts WHERE id = $1",
  );
  expect(shown.slice(0, 3)).toEqual([
    "Colonnade Gather",
    "  Rule: pinByShardKey",
    "  Route: shardKeys accounts ($1)",
  ]);
  expect(shown.filter((line) => line.includes("Index Cond: (id = $1)"))).toHaveLength(3);
});

test("a database gather that runs: what is copied, and what finishes over the copies", async () => {
  const shown = await lines(
    `${ANALYZE} SELECT id, row_number() OVER (ORDER BY name) FROM accounts`,
  );
  expect(shown).toContain("  ->  Pull into accounts");
  expect(shown).toContain("  ->  Finish in main");
  expect(shown).toContain("        ->  WindowAgg (actual rows=4.00 loops=1)");
  const [unrun] = (await lines("EXPLAIN SELECT id, row_number() OVER () FROM accounts")).slice(-1);
  expect(unrun).toBe("        Database: main");
});

test("what one database answers is its own answer", async () => {
  const script: Script = [
    query("EXPLAIN (COSTS off) SELECT name FROM accounts WHERE id = 1"),
    query(`${ANALYZE} UPDATE accounts SET balance = 11 WHERE id = 1`),
    query("EXPLAIN (COSTS off) (SELECT 1)"),
    query("EXPLAIN SELECT nope FROM accounts"),
    query("EXPLAIN (SUMMARY, NOPE) SELECT id FROM accounts"),
    query("EXPLAIN (FORMAT nope) SELECT id FROM accounts"),
    query("EXPLAIN ANALYZE SELECT 1 / (balance - 20) FROM accounts"),
    run("EXPLAIN (COSTS off) SELECT name FROM accounts WHERE id = $1", "101"),
    sync(),
  ];
  expect(await converse(client, script)).toEqual(await converse(plain, script));
});

test("JSON is one document of type json, in both protocols", async () => {
  const sql = "EXPLAIN (FORMAT json) SELECT name, count(*) FROM accounts GROUP BY name";
  const simple = await client.query(sql);
  expect(simple).toHaveLength(1);
  expect(JSON.parse(simple[0]?.[0] ?? "")).toMatchObject([
    {
      Plan: {
        "Node Type": "Colonnade Gather",
        Route: "allShards accounts (no shard key in predicate)",
        Placements: [
          { Database: "east", Placement: "east.public", Plan: { "Node Type": "Aggregate" } },
          { Database: "west", Placement: "west.public, west.far", Plan: { "Node Type": "Append" } },
        ],
      },
    },
  ]);
  const [, , columns, , complete] = await converse(client, [run(sql), sync()]);
  expect(columns).toBe("RowDescription QUERY PLAN 114/-1/-1");
  expect(complete).toBe("CommandComplete EXPLAIN");
});

test.each(["yaml", "xml"])("%s", async (format) => {
  const [document] = await lines(`EXPLAIN (FORMAT ${format}) SELECT name FROM accounts`);
  expect(document).toContain("Colonnade Gather");
  expect(document?.match(/Seq Scan/g)).toHaveLength(3);
});

test("ANALYZE of a write over several placements writes, all or nothing", async () => {
  const sum = "SELECT sum(balance), count(*) FROM accounts";
  const [before] = await client.query(sum);
  expect(before).toEqual(["101", "4"]);
  await client.query(`${ANALYZE} UPDATE accounts SET balance = balance + 1`);
  expect(await client.query(sum)).toEqual([["105", "4"]]);
  await client.query("EXPLAIN UPDATE accounts SET balance = 0");
  await client.query("EXPLAIN INSERT INTO accounts VALUES (8, 'h', 1), (208, 'h', 1)");
  await client.query(`BEGIN; ${ANALYZE} DELETE FROM accounts; ROLLBACK`);
  await expect(
    client.query(`${ANALYZE} UPDATE accounts SET balance = 20 - balance`),
  ).rejects.toMatchObject({ fields: { C: "23514" } });
  expect(await client.query(sum)).toEqual([["105", "4"]]);
  await client.query(`${ANALYZE} INSERT INTO accounts VALUES (8, 'h', 1), (208, 'h', 1)`);
  expect(await client.query(sum)).toEqual([["107", "6"]]);
});
