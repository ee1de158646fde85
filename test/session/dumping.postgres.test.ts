/** What pg_dump says before it reads, message for message as PostgreSQL answers it; and that its locks hold. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { comparing } from "./comparing.ts";
import { query } from "./conversation.ts";
import { startServers, type Servers } from "./servers.ts";

comparing("statements of pg_dump", {
  "set_config where the setting exists": {
    script: [
      query("SET search_path = public"),
      query("SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'no_such'"),
      query(
        "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
      ),
      query("SELECT current_setting('restrict_nonsystem_relation_kind')"),
      query(
        "SELECT name, current_setting('restrict_nonsystem_relation_kind') FROM accounts WHERE id = 101",
      ),
      query(
        "SELECT set_config(name, '7MB', true) FROM pg_catalog.pg_settings WHERE name = 'work_mem'",
      ),
      query("SHOW work_mem"),
      query(
        "BEGIN; SELECT set_config(name, '7MB', false) FROM pg_settings WHERE name = 'work_mem'; ROLLBACK; SHOW work_mem",
      ),
      query("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem'"),
    ],
  },
  "one snapshot and the weakest lock": {
    script: [
      query("BEGIN"),
      query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
      query("LOCK TABLE public.accounts IN ACCESS SHARE MODE"),
      query("SELECT relname FROM pg_class WHERE oid = 'accounts'::regclass"),
      query("COMMIT"),
      query("LOCK TABLE accounts IN ACCESS SHARE MODE"),
    ],
  },
});

describe("a lock in ACCESS SHARE mode", () => {
  let servers: Servers;
  beforeAll(async () => {
    servers = await startServers();
  });
  afterAll(async () => {
    await servers[Symbol.asyncDispose]();
  });

  test.each([
    "TRUNCATE accounts CASCADE",
    "LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE accounts ADD COLUMN dumped integer",
  ])("holds off %s", async (sql) => {
    const [holder, other] = [await servers.proxy.connect(), await servers.proxy.connect()];
    try {
      await holder.query("BEGIN");
      await holder.query("LOCK TABLE accounts IN ACCESS SHARE MODE");
      await other.query("SET lock_timeout = '200ms'; BEGIN");
      await expect(other.query(sql)).rejects.toMatchObject({ fields: { C: "55P03" } });
      await other.query("ROLLBACK");
      await holder.query("COMMIT");
      await other.query("BEGIN");
      await other.query(sql);
      await other.query("ROLLBACK");
    } finally {
      await holder.close();
      await other.close();
    }
  });
});
