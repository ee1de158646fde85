/**
 * DECLARE opens a cursor's parts in several databases at once. Until then another client's DDL
 * may have had the proxy forget what settings mean, and to ask again it needs a connection that is free.
 */
import pg from "pg";
import { expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { eventually } from "./eventually.ts";

const TABLE = "CREATE TABLE late (account bigint PRIMARY KEY)";

test("DDL while a cursor is being opened over several databases", async () => {
  await using server = await startPostgres({ databases: ["main", "west"] });
  for (const database of ["main", "west"]) await server.query(database, TABLE);
  await using proxy = await startTestProxy(`
version: 1
catalog: main
databases:
  main: { primary: ${server.url("main")} }
  west: { primary: ${server.url("west")} }
colocations:
  accounts:
    shard_key: bigint
    function: range
    tables: { late: account }
    placements:
      - { ranges: [{ to: 100 }], database: main }
      - { ranges: [{ from: 100 }], database: west }
unlisted_tables: catalog
`);
  await using clients = new AsyncDisposableStack();
  const connect = async (url: string): Promise<pg.Client> => {
    const client = new pg.Client(url);
    await client.connect();
    clients.defer(async () => await client.end());
    return client;
  };
  const [reader, owner] = [await connect(proxy.url()), await connect(proxy.url())];
  const holder = await connect(server.url("west"));
  await owner.query("INSERT INTO late VALUES (1), (101), (201)");
  // A connection that is opened meanwhile would wait, too: there are enough of them.
  const several = [reader, owner, await connect(proxy.url())];
  for (const each of several) await each.query("BEGIN; SELECT account FROM late");
  for (const each of several) await each.query("COMMIT");
  // To set it, a server reads its catalog of configurations: `west` waits for who has locked that.
  await reader.query("SET default_text_search_config = 'german'");
  await holder.query("BEGIN; LOCK TABLE pg_catalog.pg_ts_config");
  await reader.query("BEGIN");
  const declared = reader
    .query("DECLARE each CURSOR FOR SELECT account FROM late ORDER BY account")
    .then(
      () => "opened",
      (error: pg.DatabaseError) => error.message,
    );
  await eventually(async () => {
    const { rows } = await server.query(
      "postgres",
      "SELECT datname FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    );
    expect(rows).toEqual([{ datname: "west" }]);
  });
  await owner.query("CREATE TABLE extra (n integer)");
  await holder.query("COMMIT");
  expect(await declared).toBe("opened");
  const { rows } = await reader.query("FETCH ALL FROM each");
  expect(rows).toEqual([{ account: "1" }, { account: "101" }, { account: "201" }]);
});
