/** Temporary tables made of sharded ones, or read together with them. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { comparing } from "./comparing.ts";
import { query } from "./conversation.ts";
import { errorsOf, expectRefused } from "./refusing.ts";
import { MADE_OF_SHARDS, READ_BESIDE } from "./scripts-beside-temporary.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

comparing("temporary tables of sharded rows", { ...MADE_OF_SHARDS, ...READ_BESIDE });

describe("temporary and sharded tables together", () => {
  let servers: Servers;
  let client: RawClient;
  beforeAll(async () => {
    servers = await startServers();
  });
  afterAll(async () => {
    await servers[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await servers.reset();
    client = await servers.proxy.connect();
    return () => client.destroy();
  });

  test("the copies are gone, and the session's own tables are not", async () => {
    await client.query("CREATE TEMP TABLE picked AS SELECT id FROM accounts");
    await client.query("SELECT count(*) FROM picked JOIN accounts USING (id)");
    const own = "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()";
    expect(await client.query(own)).toEqual([["picked"]]);
    await client.query("BEGIN; SELECT count(*) FROM picked JOIN accounts USING (id)");
    expect(await client.query(own)).toEqual([["picked"]]);
    await client.query("COMMIT; DROP TABLE picked");
  });

  test("a copy cannot stand beside a temporary table of its name", async () => {
    expectRefused(
      await errorsOf(client, [query("CREATE TEMP TABLE accounts AS SELECT * FROM accounts")]),
      "temporary_name_taken",
    );
    await client.query("CREATE TEMP TABLE accounts (id bigint); CREATE TEMP TABLE own (id bigint)");
    const join = "SELECT count(*) FROM public.accounts a JOIN own USING (id)";
    expectRefused(await errorsOf(client, [query(join)]), "temporary_name_taken");
    expect(await client.query("SELECT count(*) FROM accounts JOIN own USING (id)")).toEqual([
      ["0"],
    ]);
  });

  test("writes, read-only transactions and other tables of the catalog database are refused", async () => {
    await client.query("CREATE TEMP TABLE picked (id bigint); INSERT INTO picked VALUES (1)");
    for (const sql of [
      "DELETE FROM accounts USING picked p WHERE p.id = accounts.id",
      "UPDATE accounts SET name = 'x' WHERE id IN (SELECT id FROM picked)",
      "SELECT name FROM accounts JOIN picked USING (id) FOR UPDATE OF accounts",
      "SELECT count(*) FROM accounts a JOIN picked p USING (id) JOIN notes n ON n.id = a.id",
    ])
      expect(await errorsOf(client, [query(sql)])).toMatchObject([
        { R: "tables_in_different_databases", C: "0A000" },
      ]);
    const join = "SELECT count(*) FROM accounts JOIN picked USING (id)";
    const errors = await errorsOf(client, [
      query("BEGIN READ ONLY"),
      query(join),
      query("ROLLBACK"),
    ]);
    expectRefused(errors, "gather_read_only");
    expect(errors[0]?.["D"]).toContain("temporary tables of the session");
    expect(await client.query(join)).toEqual([["1"]]);
    expect((await client.query(`EXPLAIN ${join}`)).flat().join("\n")).toContain(
      "gatherBesideTemporary",
    );
    expectRefused(
      await errorsOf(client, [query("EXPLAIN SELECT id INTO TEMP made FROM accounts")]),
      "explain_not_supported",
    );
  });
});
