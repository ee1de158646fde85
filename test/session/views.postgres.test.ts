/** Views over sharded tables, made through the proxy, read as one PostgreSQL would read them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import {
  bind,
  converse,
  describe as describeMessage,
  execute,
  parse,
  query,
  run,
  sync,
} from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { startServers, type Servers } from "./servers.ts";

let servers: Servers;
let plain: RawClient;
let proxied: RawClient;

const VIEWS = `
  CREATE VIEW rich AS SELECT id, name AS label, balance FROM accounts WHERE balance >= 20;
  CREATE VIEW sums (account, n, notes) AS
    SELECT account, count(*), string_agg(note, ',' ORDER BY n) FROM entries GROUP BY account;
  CREATE VIEW both_of AS SELECT r.*, s.n FROM rich r LEFT JOIN sums s ON s.account = r.id;
  CREATE VIEW coded AS SELECT code, upper(name) AS name FROM countries;
  CREATE VIEW noted AS SELECT id, body FROM notes;
  CREATE VIEW tree AS WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 3) SELECT n FROM up;`;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  plain = await servers.connectPlain();
  proxied = await servers.proxy.connect();
  for (const client of [plain, proxied]) {
    await client.query(VIEWS);
    await client.query(
      "INSERT INTO entries VALUES (2, 1, 'x'), (101, 1, 'y'), (101, 2, NULL), (201, 1, 'z')",
    );
    await client.query("INSERT INTO countries VALUES ('ch', 'schweiz')");
    await client.query("INSERT INTO notes VALUES (1, 'one')");
  }
});
afterAll(async () => {
  plain.destroy();
  proxied.destroy();
  await servers[Symbol.asyncDispose]();
});

async function isAlike(script: Script): Promise<void> {
  expect(await converse(proxied, script)).toEqual(await converse(plain, script));
}

test.each([
  "SELECT * FROM rich ORDER BY id",
  "SELECT label FROM rich WHERE id = 101",
  "SELECT public.rich.label FROM public.rich WHERE public.rich.id = 2",
  "TABLE rich ORDER BY id",
  "SELECT * FROM both_of ORDER BY id",
  "SELECT count(*), sum(n) FROM both_of",
  "SELECT v.a, b FROM sums AS v (a, b) WHERE v.a = 101",
  "SELECT * FROM sums ORDER BY notes",
  "SELECT id FROM accounts WHERE id IN (SELECT id FROM rich) ORDER BY id",
  "SELECT r.id, c.code FROM rich r CROSS JOIN coded c ORDER BY 1",
  "SELECT * FROM coded",
  "SELECT * FROM noted",
  "SELECT * FROM tree",
  "SELECT to_jsonb(rich) FROM rich WHERE id = 2",
  "SELECT id FROM rich UNION SELECT account FROM sums ORDER BY 1",
  "SELECT nope FROM rich",
  "SELECT * FROM rich JOIN nowhere USING (id)",
  "SELECT label, 1 / (balance - 20) FROM rich WHERE id = 2",
  "SELECT * FROM rich WHERE label = 1",
])("%s", async (sql) => {
  await isAlike([query(sql)]);
  await isAlike([run(sql), sync()]);
});

test("a parameter pins a view's key, in text and in binary", async () => {
  const binary = Buffer.alloc(8);
  binary.writeBigInt64BE(201n);
  await isAlike([
    parse("s", "SELECT label, balance FROM rich WHERE id = $1"),
    describeMessage("S", "s"),
    bind("", "s", ["101"], [1]),
    execute(),
    bind("", "s", [binary]),
    execute(),
    sync(),
  ]);
});

test("a view that is replaced is read as it then is, in the transaction that replaces it too", async () => {
  await isAlike([
    query("CREATE VIEW changing AS SELECT id, balance AS n FROM accounts WHERE id > 100"),
    query("SELECT * FROM changing ORDER BY id"),
    query("BEGIN"),
    query("CREATE OR REPLACE VIEW changing AS SELECT id, -balance AS n FROM accounts"),
    query("SELECT * FROM changing ORDER BY id"),
    query("ROLLBACK"),
    query("SELECT * FROM changing ORDER BY id"),
    query("ALTER VIEW changing RENAME COLUMN n TO m"),
    query("SELECT m FROM changing WHERE id = 201"),
    query("ALTER TABLE accounts ALTER balance TYPE bigint"),
    query("DROP VIEW changing"),
    query("SELECT * FROM changing"),
  ]);
});

test("what a view needs stays, and the catalogs tell of it", async () => {
  await isAlike([
    query("DROP TABLE entries"),
    query("DROP VIEW rich"),
    query("SELECT pg_get_viewdef('rich'::regclass)"),
    query(
      "SELECT table_name FROM information_schema.views WHERE table_schema = 'public' ORDER BY 1",
    ),
  ]);
});

test("a view made past the proxy is read once the catalog has been looked at", async () => {
  const past = "CREATE VIEW past AS SELECT id FROM accounts";
  await servers.first.query("main", past);
  await expect
    .poll(() => proxied.query("SELECT * FROM past ORDER BY id").catch(() => []), {
      timeout: 15_000,
    })
    .toEqual([["1"], ["2"], ["101"], ["201"]]);
  await servers.first.query(
    "main",
    "CREATE OR REPLACE VIEW past AS SELECT id FROM accounts WHERE id < 2",
  );
  await expect
    .poll(() => proxied.query("SELECT * FROM past ORDER BY id"), { timeout: 15_000 })
    .toEqual([["1"]]);
});

describe("refused", () => {
  test.each([
    ["UPDATE rich SET balance = 1 WHERE id = 2", "view_written"],
    ["INSERT INTO rich VALUES (9, 'i', 30)", "view_written"],
    ["SELECT rich FROM rich", "view_not_supported"],
    ["CREATE MATERIALIZED VIEW kept AS SELECT * FROM both_of", "ddl_not_supported"],
  ])("%s", async (sql, id) => {
    await expect(proxied.query(sql)).rejects.toMatchObject({ fields: { R: id } });
  });

  test("a materialized view that was filled in the catalog database", async () => {
    await servers.first.query("main", "CREATE MATERIALIZED VIEW stale AS SELECT * FROM rich");
    await expect
      .poll(() => proxied.query("SELECT * FROM stale").catch((error: unknown) => error), {
        timeout: 15_000,
      })
      .toMatchObject({ fields: { R: "view_not_supported" } });
    await expect(proxied.query("REFRESH MATERIALIZED VIEW stale")).rejects.toMatchObject({
      fields: { R: "ddl_not_supported" },
    });
  });
});
