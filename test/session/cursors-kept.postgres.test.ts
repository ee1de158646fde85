/**
 * Cursors where the proxy differs from PostgreSQL: what it refuses, and what it holds of rows
 * that nobody has asked for yet. The proxy is a process of its own, whose memory the system tells.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CURSOR_ROWS_BYTES_MAX } from "../../base/limits.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import type { RawClient } from "../support/raw-client.ts";
import { bind, converse, execute, parse, query, sync } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { errorsOf, expectRefused } from "./refusing.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

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

const ALL = "SELECT id, name FROM accounts ORDER BY id";

const DATES = "SELECT id, '2025-01-03'::date FROM accounts ORDER BY id";

/** More than a client's cursors may keep, a megabyte a row. */
const TOO_MUCH = `SELECT id, repeat('x', 1000000) FROM accounts, generate_series(1, ${Math.ceil(CURSOR_ROWS_BYTES_MAX / 4_000_000) + 1})`;

const REFUSED: readonly (readonly [ErrorId, string, Script])[] = [
  [
    "cursor_format_fixed",
    "rows in text and then in binary",
    [
      query(`BEGIN; DECLARE c CURSOR FOR ${ALL}; FETCH 1 c`),
      parse("", "FETCH 1 c"),
      bind("", "", [], [1]),
      execute(),
      sync(),
    ],
  ],
  [
    "cursor_format_fixed",
    "rows that were read at once",
    [
      query(`BEGIN; DECLARE c SCROLL CURSOR FOR ${ALL}`),
      parse("", "FETCH 1 c"),
      bind("", "", [], [1]),
      execute(),
      sync(),
    ],
  ],
  [
    "cursor_forward_only",
    "back in a cursor that does not say whether it may",
    [query(`BEGIN; DECLARE c CURSOR FOR ${ALL}; FETCH 2 c; FETCH PRIOR FROM c`)],
  ],
  [
    "cursor_settings_changed",
    "rows that were read ahead under another DateStyle",
    [
      query(`SET DateStyle = 'SQL, DMY'; BEGIN; DECLARE c CURSOR FOR ${DATES}; FETCH 1 c`),
      query("SET DateStyle = 'SQL, MDY'; FETCH 1 c"),
    ],
  ],
  [
    "cursor_settings_changed",
    "to move over rows that are yet to be read",
    [query(`BEGIN; DECLARE c CURSOR FOR ${DATES}; FETCH 1 c; SET search_path TO side; MOVE ALL c`)],
  ],
  [
    "cursor_settings_changed",
    "rows that were read at once",
    [
      query(
        `BEGIN; DECLARE c SCROLL CURSOR FOR ${DATES}; SET LOCAL TimeZone = 'Asia/Tokyo'; FETCH c`,
      ),
    ],
  ],
  [
    "cursor_settings_changed",
    "held rows, read under what lasted until the commit",
    [
      query(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${DATES}; SET LOCAL IntervalStyle = 'iso_8601'`),
      query("COMMIT"),
      query("FETCH c"),
    ],
  ],
  [
    "cursor_settings_changed",
    "held rows of one placement",
    [
      query(
        `BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT '2025-01-03'::date FROM accounts WHERE id = 1`,
      ),
      query("COMMIT"),
      query("SET DateStyle = 'German'; FETCH c"),
    ],
  ],
  [
    "cursor_rows_too_large",
    "too much to scroll through",
    [query(`BEGIN; DECLARE c SCROLL CURSOR FOR ${TOO_MUCH}`)],
  ],
  [
    "cursor_rows_too_large",
    "too much to hold",
    [query(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${TOO_MUCH}`), query("COMMIT")],
  ],
  [
    "cursor_rows_too_large",
    "too much to hold of one placement, in two cursors",
    [
      query(
        `BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT repeat('x', 1000000) FROM accounts, generate_series(1, 40) WHERE id = 1`,
      ),
      query(
        `DECLARE d CURSOR WITH HOLD FOR SELECT repeat('x', 1000000) FROM accounts, generate_series(1, 40) WHERE id = 1`,
      ),
      query("COMMIT"),
    ],
  ],
  ["cursor_unknown", "one that is not there", [query("BEGIN"), query("MOVE nobody")]],
  [
    "cursor_not_supported",
    "a portal of Bind",
    [query("BEGIN"), parse("", "SELECT 1"), bind("p", ""), sync(), query("FETCH p")],
  ],
  [
    "cursor_not_supported",
    "what is the session's own",
    [query("BEGIN; DECLARE c CURSOR FOR SELECT pg_advisory_lock(id) FROM notes")],
  ],
  [
    "current_of_not_supported",
    "a row of several placements",
    [
      query(`BEGIN; DECLARE c CURSOR FOR ${ALL}; FETCH c`),
      query("UPDATE accounts SET name = 'x' WHERE CURRENT OF c"),
    ],
  ],
];

describe("is refused", () => {
  test.each(REFUSED)("%s: %s", async (id, _, script) => {
    expectRefused(await errorsOf(client, script), id);
    expect(await converse(client, [query("ROLLBACK; SELECT count(*) FROM accounts")])).toContain(
      "DataRow 4",
    );
  });
});

test("rows are fetched once a setting is what it was, or where it is another before the first", async () => {
  await client.query(`BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR ${DATES}; COMMIT`);
  await client.query("SET DateStyle = 'SQL, DMY'; MOVE 1 c");
  await expect(client.query("FETCH c")).rejects.toMatchObject({
    fields: { M: expect.stringContaining("another DateStyle") },
  });
  await client.query("SET statement_timeout = '1min'; RESET DateStyle");
  expect(await client.query("FETCH c")).toEqual([["2", "2025-01-03"]]);
  await client.query(`CLOSE c; BEGIN; DECLARE c CURSOR FOR ${DATES}; SET DateStyle = 'SQL, MDY'`);
  expect(await client.query("FETCH 1 c")).toEqual([["1", "01/03/2025"]]);
});

test("a commit that cannot hold a cursor's rows is none", async () => {
  const script = [
    query("BEGIN; INSERT INTO accounts VALUES (7, 'lost', 0), (107, 'lost', 0)"),
    query(`DECLARE c CURSOR WITH HOLD FOR ${TOO_MUCH}`),
    query("COMMIT"),
  ];
  expectRefused(await errorsOf(client, script), "cursor_rows_too_large");
  const lines = await converse(client, [query("SELECT count(*) FROM accounts"), query("FETCH c")]);
  expect(lines).toContain("DataRow 4");
  expect(lines.at(-2)).toContain('cursor "c" does not exist');
});

describe.skipIf(process.platform !== "linux")("a million rows", () => {
  const ROWS = 1_000_000;
  const AT_ONCE = 20_000;
  const MEGABYTES_MAX = 60;

  function residentMegabytes(): number {
    const status = readFileSync(`/proc/${servers.proxy.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  test("are read in bounded memory, between other statements", async () => {
    const rows = `SELECT id, n, repeat('x', 100) FROM accounts, generate_series(1, ${ROWS / 4}) n ORDER BY n, id`;
    await client.query(`BEGIN; DECLARE c NO SCROLL CURSOR FOR ${rows}`);
    await client.query("FETCH 1 c");
    const before = residentMegabytes();
    let most = 0;
    let count = 1;
    for (;;) {
      const fetched = await client.query(`FETCH FORWARD ${AT_ONCE} FROM c`);
      count += fetched.length;
      most = Math.max(most, residentMegabytes());
      if (fetched.length < AT_ONCE) break;
      await client.query("UPDATE accounts SET balance = balance + 1");
    }
    await client.query("COMMIT");
    expect(count).toBe(ROWS);
    expect(most - before).toBeLessThan(MEGABYTES_MAX);
  }, 120_000);
});
